"""Advice on scores, followed: what belongs together is scored, by a protocol that suits it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from evaluation.test_dreaming import Shown, photo, scene, square
from evaluation.test_perceptual import weights
from helpers.advice import case, followed
from safetensors.torch import save_file

from medrestore.evaluation import (
    LPIPS,
    calibration,
    conformal_factor,
    frechet_distance,
    load_lpips,
    residual_chi_squared,
    score,
    score_scene,
    summarise,
)
from medrestore.evaluation.perceptual import read_tensors

RNG = np.random.default_rng(0)
FEATURES = RNG.standard_normal((4, 3))
STATE, HEADS = weights()
RGB = torch.rand(1, 3, 64, 64)
COMPLEX = torch.rand(1, 16, 16) + 1j * torch.rand(1, 16, 16)


class Unseen(Shown):
    def truth(self, index: int) -> None:
        return None


def lpips(folder: Path, *names: str) -> LPIPS:
    for name, state in {"alexnet": STATE, "lpips": HEADS}.items():
        save_file(state, folder / f"{name}.safetensors")
    return load_lpips(*(folder / f"{name}.safetensors" for name in names))


def stored(path: Path, content: Any) -> Mapping[str, torch.Tensor]:
    torch.save(content, path)
    return read_tensors(path)


def safe(folder: Path) -> bool:
    save_file(HEADS, folder / "a.safetensors")
    return read_tensors(folder / "a.safetensors").keys() == HEADS.keys()


def needed(count: int) -> float:
    return conformal_factor([1.0 + n for n in range(count)], confidence=0.75)


CASES = [
    case(
        "{} has {} frames and its prediction {}; score what belongs together.",
        lambda _: score_scene(scene(2).truths[:1], scene(2)),
        lambda _: score_scene(scene(2).truths, scene(2))[0].mae_term == 0,
    ),
    case(
        "{} has {} frames and its prediction more; score what belongs together.",
        lambda _: score_scene(scene(2).truths, scene(1)),
        lambda _: len(score_scene(scene(1).truths, scene(1))[1]) == 1,
    ),
    case(
        "{} comes without a truth, so it cannot be scored; give the unobstructed frames.",
        lambda _: score_scene([photo()], Unseen("s", [photo()], [square()])),
        lambda _: len(score_scene([photo()], Shown("s", [photo()], [square()]))[1]) == 1,
    ),
    case(
        "{} scenes of the protocols {} have no summary; score at least one scene, all by one protocol.",
        lambda _: summarise([SCORES["dreaming-official"], SCORES["dreaming-corrected"]]),
        lambda _: summarise([SCORES["dreaming-official"]] * 2).scenes == 2,
    ),
    case(
        "{} does not exist; give a file of weights.",
        lambda folder: read_tensors(folder / "none.pth"),
        lambda folder: safe(folder),
    ),
    case(
        "{} is no plain state dict; save the tensors by name as .safetensors.",
        lambda folder: stored(folder / "a.pth", [torch.ones(2)]),
        lambda folder: safe(folder),
    ),
    case(
        "{} is no file of tensors alone (damaged, or it holds code); give .safetensors.",
        lambda folder: stored(folder / "a.pth", LPIPS()),
        lambda folder: safe(folder),
    ),
    case(
        "{}: {} of LPIPS-AlexNet {}, {} is needed; give AlexNet's weights and those of LPIPS, both.",
        lambda folder: lpips(folder, "lpips"),
        lambda folder: float(lpips(folder, "alexnet", "lpips")(RGB, RGB)) == 0,
    ),
    case(
        "Features of the shapes {} and {} have no Frechet distance; give (picture, feature) twice, "
        "at least two pictures each.",
        lambda _: frechet_distance(FEATURES[:1], FEATURES),
        lambda _: abs(frechet_distance(FEATURES, FEATURES + np.array([1, 0, 0])) - 1) < 1e-6,
    ),
    case(
        "natural scores RGB as numbers in [0, 1], not {} with {} channels; convert the pictures.",
        lambda _: score("natural", (255 * RGB).to(torch.uint8), (255 * RGB).to(torch.uint8)),
        lambda _: score("natural", RGB, (255 * RGB).to(torch.uint8) / 255)[0]["psnr"] > 45,
    ),
    case(
        "natural scores RGB in [0, 1], but the reference spans {} to {}; convert both pictures alike.",
        lambda _: score("natural", 255 * RGB, 255 * RGB),
        lambda _: score("natural", RGB, RGB)[0]["ssim"] > 0.999,
    ),
    case(
        "complex needs complex images and the {} is real; score magnitudes by fastmri.",
        lambda _: score("complex", COMPLEX.abs(), COMPLEX.abs()),
        lambda _: score("fastmri-slice", COMPLEX.abs(), 2 * COMPLEX.abs())[0]["nmse"] == pytest.approx(0.25),
    ),
    case(
        "A x has the shape {} but the data {}; give both of one problem.",
        lambda _: residual_chi_squared(torch.ones(4, 3), torch.ones(5, 3), 1.0),
        lambda _: residual_chi_squared(torch.ones(4, 3), torch.zeros(4, 3), 1.0) == 1,
    ),
    case(
        "a needed factor is negative or not a number; leave out what cannot be scored.",
        lambda _: conformal_factor([1.0, 2.0, 3.0, float("nan")], confidence=0.75),
        lambda _: conformal_factor([1.0, 2.0, 3.0], confidence=0.75) == 3,
    ),
    case(
        "{} calibration images cannot give a confidence of {}; give {} or more.",
        lambda _: needed(2),
        lambda _: needed(3) == 3,
    ),
    case(
        "of samples and truth one is complex and one is real; give both as magnitudes or both as complex.",
        lambda _: calibration(COMPLEX.abs().repeat(3, 1, 1), COMPLEX[0]),
        lambda _: (
            [
                calibration(samples, truth).squared_error == 0
                for samples, truth in (
                    (COMPLEX.abs().repeat(3, 1, 1), COMPLEX[0].abs()),
                    (COMPLEX.repeat(3, 1, 1), COMPLEX[0]),
                )
            ]
            == [True, True]
        ),
    ),
]
SCORES = {
    name: score_scene([photo()], scene(1), protocol=name)[0]
    for name in ("dreaming-official", "dreaming-corrected")
}  # type: ignore[arg-type]


@pytest.mark.parametrize(("sentence", "wrong", "right"), CASES)
def test_scores_as_a_sentence_proposes(sentence: str, wrong: Any, right: Any, tmp_path: Path) -> None:
    followed(sentence, wrong, right, tmp_path)
