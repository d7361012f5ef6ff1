"""Complex crops of magnitude slices: right sizes, repeatable, varied, in range."""

from pathlib import Path

import numpy as np
import pytest
import torch

from medrestore.datasets.brain import ComplexCrops, load_volumes, truncate


@pytest.fixture(scope="module")
def volumes() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    y, x = torch.meshgrid(torch.linspace(-1, 1, 90), torch.linspace(-1, 1, 76), indexing="ij")
    head = ((x**2 + y**2) < 0.7).float() * (0.6 + 0.2 * torch.sin(9 * x) * torch.cos(7 * y))
    stack = head * (0.8 + 0.2 * torch.rand(2, 3, 1, 1, generator=generator))
    stack[0, 0] = 0  # an empty slice
    return stack


@pytest.mark.parametrize(("batch", "side"), [(3, 32), (2, 48), (1, 64)])
def test_crops_have_the_asked_shape_and_about_unit_brightness(volumes: torch.Tensor, batch: int, side: int) -> None:
    crops = ComplexCrops(volumes, torch.Generator().manual_seed(1))
    drawn = torch.cat([crops(batch, side) for _ in range(30)])
    assert drawn.shape[1:] == (2, side, side) and torch.isfinite(drawn).all()
    bright = drawn.square().sum(1).sqrt().flatten(1).quantile(0.99, dim=1).median()
    assert 0.5 < bright < 1.6


def test_the_generator_decides_every_crop(volumes: torch.Tensor) -> None:
    first, again, other = (ComplexCrops(volumes, torch.Generator().manual_seed(seed))(4, 32) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_empty_slices_are_left_out(volumes: torch.Tensor) -> None:
    crops = ComplexCrops(volumes, torch.Generator().manual_seed(1))
    assert len(crops._stacks[0]) == 5


def test_truncation_keeps_the_mean_and_the_ratio_of_sizes(volumes: torch.Tensor) -> None:
    small = truncate(volumes[1], 2.0)
    assert small.shape == (3, 44, 38) or small.shape == (3, 46, 38)
    assert small.mean() == pytest.approx(float(volumes[1].mean()), rel=0.05)


def test_load_volumes_turns_anterior_up_and_never_unpickles(tmp_path: Path) -> None:
    vol = np.zeros((2, 5, 7, 3), np.uint8)
    vol[1, 4, 6, 2] = 255
    np.savez(tmp_path / "v.npz", vol=vol)
    loaded = load_volumes(tmp_path / "v.npz")
    assert loaded.shape == (2, 3, 7, 5) and loaded[1, 2, 0, 4] == 1
    np.savez(tmp_path / "bad.npz", vol=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        load_volumes(tmp_path / "bad.npz")
