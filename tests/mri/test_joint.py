"""Coil maps estimated together with the image."""

import pytest
import torch
from helpers.priors import smooth
from laws import white

from medrestore.errors import InputError
from medrestore.mri import joint_maps, points_of, radial, simulated_maps
from medrestore.noise import Noise
from medrestore.operators import NonCartesianSense, Sense

SIDE = 24
MASK = torch.zeros(1, SIDE)
MASK[:, ::2] = 1
MASK[:, 9:15] = 1


def image_and_maps(coils: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    """A bright object and the maps of an array."""
    maps = simulated_maps(coils, (SIDE, SIDE), generator=torch.Generator().manual_seed(1))
    parts = 3 + smooth(SIDE, channels=2).sample(white((1, 2, SIDE, SIDE)))
    return torch.complex(parts[:, :1], 0.3 * parts[:, 1:]), maps


def rippled(maps: torch.Tensor) -> torch.Tensor:
    """Wrong maps."""
    turned = torch.sin(torch.arange(SIDE) / 3)[:, None] * torch.arange(6)[:, None, None].remainder(3)[None]
    return maps * torch.exp(0.25j * turned)


def scan(coils: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    """k-space of a bright object and the maps behind it."""
    image, maps = image_and_maps(coils)
    noise = Noise([4])((1, 2 * coils, SIDE, SIDE))
    return Sense(maps, MASK)(image) + 0.01 * MASK * torch.complex(noise[:, :coils], noise[:, coils:]), maps


def misalignment(a: torch.Tensor, b: torch.Tensor) -> float:
    """Root mean squared sine of the angle between the coils of each pixel, which no scale or phase of the image changes."""
    match = (a.conj() * b).sum(1).abs() / (a.norm(dim=1) * b.norm(dim=1))
    return float((1 - match.square()).clamp(min=0).mean().sqrt())


def test_wrong_maps_are_mended() -> None:
    kspace, maps = scan()
    wrong = rippled(maps)
    mended = joint_maps(kspace, MASK, wrong)
    assert misalignment(mended, maps) < 0.2 * misalignment(wrong, maps)
    assert float((mended.abs().square().sum(1) - 1).abs().max()) < 1e-4


def test_along_a_trajectory_they_are_mended_alike() -> None:
    image, maps = image_and_maps()
    spokes = radial(24, (SIDE, SIDE))
    mask, wrong = torch.ones(spokes.shape[:2]), rippled(maps)
    y = NonCartesianSense(maps, spokes, mask)(image)
    mended = joint_maps(y, mask, wrong, trajectory=spokes)
    assert misalignment(mended, maps) < 0.2 * misalignment(wrong, maps)


def test_points_of_the_grid_are_the_mask() -> None:
    kspace, maps = scan()
    points = points_of(MASK, (SIDE, SIDE))
    readouts = kspace[..., MASK[0] > 0].mT.contiguous()
    found = joint_maps(readouts, torch.ones(points.shape[:2]), rippled(maps), trajectory=points, alternations=3)
    expected = joint_maps(kspace, MASK, rippled(maps), alternations=3)
    assert misalignment(found, expected) < 5e-3


def test_right_maps_stay() -> None:
    kspace, maps = scan()
    assert misalignment(joint_maps(kspace, MASK, maps), maps) < 0.02


def test_refusals() -> None:
    kspace, maps = scan()
    with pytest.raises(InputError, match="two or more coils"):
        joint_maps(kspace[:, :1], MASK, maps[:, :1])
    with pytest.raises(InputError, match="no sample"):
        joint_maps(0 * kspace, MASK, maps)
