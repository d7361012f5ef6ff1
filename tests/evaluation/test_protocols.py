"""Named protocols: rows of scores, what they hide and what they catch, and what they refuse."""

import re
from math import inf, log10
from pathlib import Path

import numpy as np
import pytest
import torch

from medrestore.errors import InputError
from medrestore.evaluation import LPIPS, METRICS, Metric, score
from medrestore.evaluation.protocols import metric
from medrestore.metrics import fastmri_scores

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def volume(seed=0, shape=(3, 24, 20)):
    generator = torch.Generator().manual_seed(seed)
    truth = torch.randn(shape, dtype=torch.complex64, generator=generator) * torch.arange(1, 1 + shape[0])[:, None, None]
    return truth + 0.1 * torch.randn(shape, dtype=torch.complex64, generator=generator), truth


def pictures(seed=0, count=2, size=24):
    generator = torch.Generator().manual_seed(seed)
    truth = torch.rand(count, 3, size, size, generator=generator)
    return truth + 0.05 * torch.randn(truth.shape, generator=generator), truth


def test_fastmri_is_one_row_of_the_magnitudes():
    prediction, truth = volume()
    (row,) = score("fastmri", prediction, truth)
    scores = fastmri_scores(prediction.abs(), truth.abs())
    assert row == {"slice": None, "protocol": "fastmri", "psnr": scores.psnr, "ssim": scores.ssim, "nmse": scores.nmse,
                   "data_range": float(truth[:, 2:22].abs().max())}
    assert score("fastmri", prediction.abs().numpy(), truth.abs().numpy()) == [row]
    assert score("fastmri", prediction, truth, data_range=9.0)[0]["data_range"] == 9.0


def test_slices_share_the_frame_and_the_peak_of_their_volume():
    prediction, truth = volume()
    (whole,), slices = score("fastmri", prediction, truth), score("fastmri-slice", prediction, truth)
    assert [row["slice"] for row in slices] == [0, 1, 2]
    assert {row["data_range"] for row in slices} == {whole["data_range"]}
    assert np.mean([row["ssim"] for row in slices]) == pytest.approx(whole["ssim"], abs=1e-12)
    assert -10 * log10(np.mean([10 ** (-row["psnr"] / 10) for row in slices])) == pytest.approx(whole["psnr"], abs=1e-9)
    assert np.mean([row["psnr"] for row in slices]) > whole["psnr"]  # a mean of logarithms is another number


def test_an_empty_or_perfect_slice_does_not_stop_the_volume():
    prediction, truth = volume()
    truth[0], prediction[2] = 0, truth[2]
    rows = score("fastmri-slice", prediction, truth)
    assert rows[0]["nmse"] is None and np.isfinite(rows[0]["psnr"])
    assert (rows[2]["psnr"], rows[2]["nmse"]) == (inf, 0)
    rows = score("complex", prediction, truth)
    assert (rows[0]["nrmse"], rows[0]["phase_error"]) == (None, None)
    assert (rows[2]["nrmse"], rows[2]["phase_error"]) == (0, 0)


def test_complex_sees_what_magnitudes_hide():
    _, truth = volume()
    turned = truth * np.exp(0.5j)
    assert score("fastmri", turned, truth)[0]["psnr"] > 100
    for row in score("complex", turned, truth):
        assert row["nrmse"] == pytest.approx(abs(np.exp(0.5j) - 1), rel=1e-5)
        assert row["phase_error"] == pytest.approx(np.degrees(0.5), rel=1e-5)


def test_natural_scores_frames_against_the_range_one():
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    prediction, truth = pictures()
    rows = score("natural", prediction, truth)
    for row, x, y in zip(rows, prediction.double().numpy(), truth.double().numpy(), strict=True):
        assert row["psnr"] == pytest.approx(peak_signal_noise_ratio(y, x, data_range=1))
        assert row["ssim"] == pytest.approx(structural_similarity(y, x, channel_axis=0, data_range=1))
        assert (row["lpips"], row["fid"], row["data_range"]) == (None, None, 1.0)
    assert [row["slice"] for row in rows] == [0, 1]


def test_perceptual_scores_only_with_what_the_caller_gives():
    prediction, truth = pictures(size=64)
    random = np.random.RandomState(0)
    rows = score("natural", prediction, truth, lpips=LPIPS(), features=(random.randn(5, 4), random.randn(5, 4) + 1))
    assert [row["slice"] for row in rows] == [0, 1, None]
    assert rows[0]["lpips"] == 0  # this network's heads are zero
    assert rows[2]["fid"] > 0 and "psnr" not in rows[2] and "fid" not in rows[0]


def test_a_metric_is_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it measures comes with it, so that volumes and slices have it alike."""
    mae = Metric("mae_of_peak", "%", False, 1, "MAE", lambda x, y, peak: 100 * float(abs(x - y).mean()) / peak)
    for protocol in ("fastmri", "fastmri-slice"):
        monkeypatch.setitem(METRICS, protocol, (*METRICS[protocol], mae))
    truth = np.full((2, 8, 8), 4.0)
    assert [row["mae_of_peak"] for row in score("fastmri", truth + 1, truth)] == [25.0]
    assert [row["mae_of_peak"] for row in score("fastmri-slice", truth + 1, truth, data_range=10.0)] == [10.0, 10.0]


@pytest.mark.parametrize(("protocol", "prediction", "reference", "options", "sentence"), [
    ("best", *volume(), {}, "no protocol 'best' for images; there are fastmri, fastmri-slice"),
    ("dreaming-official", *pictures(), {}, "scored by score_scene"),
    ("fastmri", *volume(), {"lpips": LPIPS()}, "has no LPIPS"),
    ("complex", volume()[0].abs(), volume()[1], {}, "prediction is real"),
    ("complex", volume()[0][0], volume()[1][0], {}, "complex scores"),
    ("natural", *pictures(), {"data_range": 255}, "range 1, not 255"),
    ("natural", *[255 * x for x in pictures()], {}, "reference spans"),
    ("natural", *[(255 * x).to(torch.uint8) for x in pictures()], {}, "not torch.uint8"),
    ("natural", *[x[:, :1] for x in pictures()], {}, "with 1 channels"),
    ("natural", pictures()[0][:1], pictures()[1], {}, "same shape"),
])
def test_refusals(protocol, prediction, reference, options, sentence):
    with pytest.raises(InputError, match=sentence):
        score(protocol, prediction, reference, **options)


def test_metrics_are_described_by_protocol():
    assert metric("psnr").heading == "PSNR (dB)" and metric("ssim").heading == "SSIM"
    assert metric("residual").title == "|Ax − y| / |y|" and metric("consistency").title == "consistency term"
    listed = [one for names in METRICS.values() for one in names]
    assert len({one.name for one in listed}) == len(set(listed))  # a name means the same in every protocol
    for protocol, names in METRICS.items():
        assert len({one.name for one in names}) == len(names) and metric(names[0].name, protocol) is names[0]
    for row in (*score("fastmri-slice", *volume()), *score("complex", *volume()), *score("natural", *pictures())):
        known = {one.name for one in METRICS[row["protocol"]]}
        assert set(row) - known <= {"slice", "protocol", "data_range"}
    with pytest.raises(InputError, match="no metric 'mse' in fastmri; there are psnr"):
        metric("mse", "fastmri")
    with pytest.raises(InputError, match="no protocol 'mine'"):
        metric("psnr", "mine")


def test_the_table_of_the_page_is_what_its_script_measures():
    """Min-max scores cannot tell a wrong reconstruction from a right one; the page shows it in numbers."""
    text = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"^```python run\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    (code,) = (block for block in blocks if "stretched" in block)
    names: dict[str, object] = {}
    exec(compile(code, "docs/metrics.md", "exec"), names)
    table = "".join(f"| {' | '.join(map(str, line))} |\n" for line in names["lines"])
    assert table in text
    right, wrong, turned = ([float(value) for value in line[1:]] for line in names["lines"])
    assert wrong[:2] == turned[:2] == right[:2]  # min-max PSNR and SSIM
    assert wrong[2] < right[2] - 10 and wrong[3] < right[3] - 0.02  # a fixed range sees scale
    assert turned[2:4] == right[2:4] and min(wrong[4], turned[4]) > 5 * right[4]  # complex scores see phase, too
    assert wrong[5] > 40 and turned[5] > 80 and right[5] < 10
