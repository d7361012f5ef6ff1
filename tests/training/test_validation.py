"""Validation scores and pictures have the same noise every time."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from medrestore.codecs import CalibratedComplex, Interval
from medrestore.priors.gaussian import StationaryGaussian
from medrestore.priors.parametrisations import Parametrisation
from medrestore.training.validation import COLUMNS, LEVELS, pictures, sampled_images, scores, write_pictures


def untold(numbers: Any) -> torch.nn.Module:
    """The network of no conditions."""
    return torch.nn.Identity()


class Gaussian(Parametrisation):
    """The exact denoiser of a stationary Gaussian, without a network."""

    sigma_range = (0.01, 40.0)

    def __init__(self, power: torch.Tensor) -> None:
        self.prior = StationaryGaussian(power)

    def inputs(self, x: torch.Tensor, sigma: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x, sigma

    def estimate(self, net: Any, x: torch.Tensor, sigma: torch.Tensor) -> torch.Tensor:
        return self.prior(x, float(sigma[0]))


def test_samples_are_drawn_from_the_prior() -> None:
    """Deterministic sampling from a Gaussian prior gives images of its power."""
    noise = torch.randn(200, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    images = sampled_images(torch.nn.Identity(), Gaussian(torch.full((8, 8), 0.25)), noise, steps=60)
    assert float(images.std()) == pytest.approx(0.5, rel=0.06)


def test_scores_of_the_exact_denoiser() -> None:
    """White images of variance 1/4: the posterior variance at std s is s^2 / (1 + 4 s^2)."""
    images = 0.5 * torch.randn(40, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    target = Gaussian(torch.full((32, 32), 0.25))
    arguments: dict[str, Any] = {"draw": lambda n, generator: torch.full((n,), 0.5), "weight": torch.ones_like, "seed": 3}
    values = scores(untold, target, images, **arguments)
    assert tuple(values) == COLUMNS and values == scores(untold, target, images, **arguments)
    variances = torch.tensor([s**2 / (1 + 4 * s**2) for s in LEVELS])
    assert [values[f"psnr_at_{s}"] for s in LEVELS] == pytest.approx((-10 * variances.log10()).tolist(), abs=0.1)
    assert values["validation_loss"] == pytest.approx(0.125, rel=0.03)


@pytest.mark.parametrize(("recipe", "channels", "planes"), [(CalibratedComplex(), 2, 1), (Interval(0.0, 1.0), 3, 3),
                                                            (Interval(0.0, 1.0), 5, 1)])
def test_pictures_of_any_number_of_channels(tmp_path: Path, recipe: Any, channels: int, planes: int) -> None:
    images = torch.zeros(5, channels, 8, 8)
    sheets = pictures(untold, Gaussian(torch.full((8, 8), 0.25)), images, recipe, seed=3)
    assert sheets["samples"].shape == (planes, 16, 32) and sheets["denoising"].shape == (planes, 32, 96)
    assert all(float(sheet.min()) >= 0 and float(sheet.max()) <= 1 for sheet in sheets.values())
    write_pictures(sheets, tmp_path / "samples", 48)
    written = np.asarray(Image.open(tmp_path / "samples" / "samples-000000048.png"))
    assert written.shape == ((16, 32) if planes == 1 else (16, 32, 3))
