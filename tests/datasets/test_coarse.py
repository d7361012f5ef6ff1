"""Coarse images of fine ones."""

import pytest
import torch

from medrestore.datasets.coarse import coarse


def fine(channels: int, side: int = 32) -> torch.Tensor:
    return 2 * torch.rand(channels, side, side, generator=torch.Generator().manual_seed(0)) - 1


def drawn(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_pooling_is_the_mean_of_pixels() -> None:
    image = fine(3)
    made = coarse(image, 4, "average", drawn(0))
    torch.testing.assert_close(made[1, 2, 3], image[1, 8:12, 12:16].mean())
    assert torch.equal(made, coarse(image, 4, "average", drawn(1)))


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_the_random_recipe_is_drawn_from_its_seed_alone(channels: int) -> None:
    image = fine(channels)
    made = [coarse(image, 4, "bsr", drawn(seed)) for seed in (0, 0, 1)]
    assert made[0].shape == (channels, 8, 8) and torch.equal(made[0], made[1]) and not torch.allclose(made[0], made[2])
    assert channels == 2 or float(made[0].abs().max()) <= 1


def test_the_random_recipe_keeps_an_even_image_but_for_its_noise() -> None:
    even = torch.full((3, 64, 64), 0.5)
    made = torch.stack([coarse(even, 4, "bsr", drawn(seed)) for seed in range(12)])
    assert float((made.mean((1, 2, 3)) - 0.5).abs().max()) < 0.05


def test_complex_images_keep_their_phase() -> None:
    phase = torch.tensor(0.7)
    image = torch.stack([phase.cos().expand(32, 32), phase.sin().expand(32, 32)])
    made = coarse(image, 4, "bsr", drawn(3)).mean((1, 2))
    assert float(torch.atan2(made[1], made[0])) == pytest.approx(0.7, abs=0.05)
