"""What least squares leaves unexplained is the noise when the model holds, and more when it does not."""

from dataclasses import replace

import pytest
import torch

from medrestore.consistency import unexplained
from medrestore.mri import sampling_mask, simulate_scan, simulated_maps
from medrestore.operators import Identity, Mask, Sense
from medrestore.problem import Problem

SHAPE, SIGMA = (40, 36), 0.05


def scan(coils: int, kind: str, accel: float) -> tuple[Sense, torch.Tensor]:
    generator = torch.Generator().manual_seed(coils)
    maps = simulated_maps(coils, SHAPE, generator=generator)
    maps[..., :6] = 0  # no object there
    mask = sampling_mask(kind, SHAPE, accel, acs=10, seed=1).mask
    image = torch.randn(1, 1, *SHAPE, dtype=torch.complex64, generator=generator)
    return Sense(maps, mask), simulate_scan(image, maps, mask, noise_std=SIGMA, generator=generator)


@pytest.mark.parametrize("kind", ["uniform1d", "gaussian2d"])
def test_it_is_the_noise_when_the_model_holds(kind: str) -> None:
    sense, y = scan(8, kind, 2)
    assert unexplained(Problem(sense, y)) == pytest.approx(SIGMA, rel=0.05)
    if sense.one_axis:
        assert unexplained(Problem(sense.spectral(), y)) == pytest.approx(SIGMA, rel=0.04)


def test_it_grows_when_the_coil_maps_are_wrong() -> None:
    sense, y = scan(8, "uniform1d", 2)
    wrong = replace(sense, maps=sense.maps.flip(1))
    assert unexplained(Problem(wrong.spectral(), y)) > 3 * SIGMA


def test_without_data_in_excess_it_says_nothing() -> None:
    sense, y = scan(2, "uniform1d", 3)
    assert unexplained(Problem(sense.spectral(), y)) < 1.1 * SIGMA  # the few numbers that no image reaches
    keep = torch.ones(*SHAPE)
    assert unexplained(Problem(Mask(keep), torch.randn(1, 1, *SHAPE, generator=torch.Generator().manual_seed(0)))) == 0
    assert unexplained(Problem(Identity(), torch.ones(1, 1, *SHAPE))) == 0
