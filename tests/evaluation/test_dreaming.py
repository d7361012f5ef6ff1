"""The challenge's score, emulated and corrected; LPIPS and Frechet distance against independent transcriptions."""

import csv
from dataclasses import dataclass
from math import inf, log10

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from medrestore.errors import InputError
from medrestore.evaluation import (
    frechet_distance,
    score_scene,
    summarise,
    write_frames_csv,
    write_scenes_csv,
)
from medrestore.evaluation.dreaming import official_errors
from medrestore.metrics import psnr, ssim

SIZE = (32, 40)


@dataclass(frozen=True)
class Shown:
    """A scene in memory."""

    name: str
    truths: list[Tensor]
    masks: list[Tensor]

    @property
    def count(self) -> int:
        return len(self.truths)

    def mask(self, index: int) -> Tensor:
        return self.masks[index]

    def truth(self, index: int) -> Tensor | None:
        return self.truths[index]


def photo(seed=0, low=1, high=255):
    """(3, h, w) without the values at which +1 or -1 would leave 8 bits; its largest is 254 unless told."""
    return torch.from_numpy(np.random.default_rng(seed).integers(low, high, (3, *SIZE), dtype=np.uint8))


def square():
    known = torch.ones(1, *SIZE, dtype=torch.bool)
    known[:, 8:20, 10:30] = False
    return known


def scene(count=3, empty=()):
    masks = [square() | (index in empty) for index in range(count)]
    return Shown("scene_0092", [photo(index) for index in range(count)], masks)


def filled(truth, value):
    return torch.where(square(), truth, torch.as_tensor(value, dtype=torch.uint8))


def test_plus_one():
    truth = photo(high=255)
    truth[0, 0, 0] = 255  # the peak; this one pixel saturates
    prediction = truth.clone()
    prediction[truth < 255] += 1
    mae, value = official_errors(prediction, truth)
    changed = float((truth < 255).double().mean())
    assert mae == pytest.approx(changed) and round(mae, 1) == 1.0
    assert value == pytest.approx(20 * log10(255) - 10 * log10(changed)) and round(value, 1) == 48.1


def test_minus_one_depends_only_on_how_many_pixels_are_zero():
    truth = photo()
    truth[0, 0, 0] = 255
    zeros = round((1 - 249.2 / 255) * truth.numel())  # the share of zeros that the measured 249.2 implies
    truth[1].view(-1)[:zeros] = 0
    prediction = torch.where(truth > 0, truth - 1, 0).to(torch.uint8)
    mae, value = official_errors(prediction, truth)
    share = 1 - zeros / truth.numel()
    assert mae == pytest.approx(255 * share) and round(mae, 1) == pytest.approx(249.2, abs=0.1)
    assert value == pytest.approx(20 * log10(255) - 10 * log10(share)) and round(value, 1) == 48.2
    assert official_errors(photo() - 1, photo())[0] == 255  # no zeros at all


def test_wrapped_fills():
    """White never wraps in MAE, black is 256 - truth, and squares wrap for every fill."""
    truth = photo()
    inside = truth[:, ~square()[0]].double()
    pixels = truth.numel()
    white_mae, white_psnr = official_errors(filled(truth, 255), truth)
    black_mae, black_psnr = official_errors(filled(truth, 0), truth)
    assert white_mae == pytest.approx(float((255 - inside).sum()) / pixels)
    assert black_mae == pytest.approx(float((256 - inside).sum()) / pixels)
    for fill, found in ((255, white_psnr), (0, black_psnr)):
        squared = float(((fill - inside) ** 2 % 256).sum()) / pixels
        assert found == pytest.approx(20 * log10(float(truth.max())) - 10 * log10(squared))
    # bounded whatever the fill: no PSNR under 20 log10(peak) - 10 log10(255 x the hole's share)
    assert min(white_psnr, black_psnr) > 20 * log10(254) - 10 * log10(255 * inside.numel() / pixels)


def test_black_beats_the_mean_in_the_official_score_alone():
    """The inversion that was measured; on a bright, smooth region the definition itself forces it."""
    truth = torch.full((3, *SIZE), 200, dtype=torch.uint8)
    truth[:, ::2] = 202
    shown = Shown("s", [truth], [square()])
    maes = {}
    for protocol in ("dreaming-official", "dreaming-corrected"):
        maes[protocol] = [score_scene([filled(truth, value)], shown, protocol=protocol)[0].mae for value in (0, 201)]
    assert maes["dreaming-official"][0] < maes["dreaming-official"][1]
    assert maes["dreaming-corrected"][0] > maes["dreaming-corrected"][1]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000))
def test_official_errors_against_scalar_arithmetic(seed):
    random = np.random.default_rng(seed)
    a, b = (random.integers(0, 256, (3, 2, 2), dtype=np.uint8) for _ in range(2))
    differences = [(int(x) - int(y)) % 256 for x, y in zip(a.flat, b.flat, strict=True)]
    mae, value = official_errors(torch.from_numpy(a), torch.from_numpy(b))
    assert mae == pytest.approx(sum(differences) / 12)
    squared = sum(d * d % 256 for d in differences) / 12
    assert value == pytest.approx(inf if squared == 0 else 20 * log10(b.max()) - 10 * log10(squared))


def test_perfect_scene():
    official, _ = score_scene(scene().truths, scene(), protocol="dreaming-official")
    assert official.mae_term == 0 and official.psnr == inf and official.psnr_term == official.accuracy == -inf
    corrected, rows = score_scene(scene().truths, scene())
    assert corrected.mae_term == 0 and corrected.psnr == 100 and corrected.psnr_term == -1 and corrected.accuracy == -0.5
    assert corrected.ssim == pytest.approx(1) and corrected.hole_ssim == pytest.approx(1) and corrected.flicker == 0
    assert [row.psnr for row in rows] == [inf] * 3 and [row.known_changed for row in rows] == [0] * 3


def test_terms_and_their_weights():
    shown = scene()
    predictions = [truth + 1 for truth in shown.truths]
    official, _ = score_scene(predictions, shown, protocol="dreaming-official")
    peaks = [20 * log10(float(truth.max())) for truth in shown.truths]
    assert official.mae == 1 and official.mae_term == pytest.approx(200 / 255**2)
    assert official.psnr_term == pytest.approx(1 - sum(peaks) / 3 / 50)
    assert official.accuracy == pytest.approx((official.mae_term + official.psnr_term) / 2)
    assert official.lpips_term is official.fid_term is official.consistency is None
    corrected, _ = score_scene(predictions, shown)
    assert corrected.mae_term == pytest.approx(200 / 255) and corrected.psnr == pytest.approx(20 * log10(255))
    features = np.random.default_rng(0).normal(size=(2, 40, 8))
    whole, _ = score_scene(predictions, shown, lpips=lambda a, b: (a - b).abs().mean((1, 2, 3)), features=tuple(features))
    assert whole.lpips_term == pytest.approx(10 * 2 / 255, rel=1e-5)
    assert whole.fid_term == pytest.approx(frechet_distance(*features) / 100)
    assert whole.consistency == pytest.approx((whole.lpips_term + whole.fid_term) / 2)
    summary = summarise([corrected, corrected])
    assert summary.accuracy == pytest.approx(corrected.accuracy) and summary.scenes == 2 and summary.consistency is None


def test_frames_that_hide_nothing_are_skipped():
    shown = scene(empty=(1,))
    wrong = [shown.truths[0] + 1, photo(9), shown.truths[2] + 1]  # what is wrong in frame 1 does not count
    for protocol in ("dreaming-official", "dreaming-corrected"):
        score, rows = score_scene(wrong, shown, protocol=protocol)
        assert score.scored == 2 and score.frames == 3 and score.mae == 1 and rows[1].mae is None
    with pytest.raises(InputError, match="hides nothing in any of its 3 frames"):
        score_scene(shown.truths, scene(empty=(0, 1, 2)))


def test_whole_frame_and_hole():
    shown = scene(1)
    truth, hole = shown.truths[0], ~square()
    prediction = filled(truth, 128)
    score, (row,) = score_scene([prediction], shown)
    assert row.psnr == pytest.approx(psnr(prediction, truth, data_range=255))
    assert row.ssim == pytest.approx(ssim(prediction, truth, data_range=255))
    where = hole.expand_as(truth)
    assert row.hole_psnr == pytest.approx(psnr(prediction[where], truth[where], data_range=255))
    assert row.hole_mae * float(hole.double().mean()) == pytest.approx(row.mae)
    assert row.hole_ssim < row.ssim < 1 and score.hole_ssim == row.hole_ssim
    touched = prediction.clone()
    touched[:, 0, :5] += 1
    assert score_scene([touched], shown)[1][0].known_changed == 5


def test_hole_ssim_is_the_map_over_the_hole():
    from skimage.metrics import structural_similarity

    shown = scene(1)
    prediction = filled(shown.truths[0], 90)
    _, values = structural_similarity(
        prediction.permute(1, 2, 0).numpy(), shown.truths[0].permute(1, 2, 0).numpy(), win_size=7, data_range=255,
        channel_axis=-1, full=True,
    )
    assert score_scene([prediction], shown)[1][0].hole_ssim == pytest.approx(values[~square()[0].numpy()].mean(), rel=1e-6)


def test_flicker():
    truth = photo()
    shown = Shown("s", [truth] * 3, [square()] * 3)
    steady, _ = score_scene([filled(truth, 100)] * 3, shown)
    flickering, rows = score_scene([filled(truth, value) for value in (100, 110, 100)], shown)
    assert steady.flicker == 0 and flickering.flicker == pytest.approx(10)
    assert [row.change for row in rows] == [None, 10, 10] and rows[1].true_change == 0
    moving = Shown("s", [photo(index) for index in range(3)], [square()] * 3)
    assert score_scene([filled(truth, 100)] * 3, moving)[0].flicker < -50  # a fill that does not move along


def test_refusals():
    shown = scene()
    for predictions, match in (
        (shown.truths[:2], "3 frames and its prediction 2"),
        ([*shown.truths, photo()], "prediction more"),
        ([truth.float() for truth in shown.truths], "is torch.float32"),
        ([truth[:, 1:] for truth in shown.truths], "at the size of the truth"),
    ):
        with pytest.raises(InputError, match=match):
            score_scene(predictions, shown)
    with pytest.raises(InputError, match="without a truth"):
        score_scene([photo()], Shown("s", [None], [square()]))
    with pytest.raises(InputError, match="there is no protocol 'official'"):
        score_scene(shown.truths, shown, protocol="official")
    scores = [score_scene(shown.truths, shown, protocol=p)[0] for p in ("dreaming-official", "dreaming-corrected")]
    for wrong in ([], scores):
        with pytest.raises(InputError, match="have no summary"):
            summarise(wrong)


def test_tables(tmp_path):
    score, rows = score_scene(scene(empty=(1,)).truths, scene(empty=(1,)))
    write_frames_csv(tmp_path / "new" / "frames.csv", rows)
    write_scenes_csv(tmp_path / "scenes.csv", [score])
    with (tmp_path / "new" / "frames.csv").open() as file:
        frames = list(csv.DictReader(file))
    assert [row["frame"] for row in frames] == ["0", "1", "2"] and frames[0]["psnr"] == "inf" and frames[1]["psnr"] == ""
    with (tmp_path / "scenes.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert row["lpips"] == row["fid_term"] == "not computed" and row["protocol"] == "dreaming-corrected"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["frames.csv", "new", "scenes.csv"]
