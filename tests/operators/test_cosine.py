"""Cosine coefficients of blocks, of grey images and of colours."""

import pytest
import torch
from laws import close, white

from medrestore.operators import check
from medrestore.operators.cosine import CosineSamples, PlaneSamples, all_planes, image_of_coefficients, in_place


def test_coefficients_are_those_of_the_cosine_transform() -> None:
    """Of a constant block 8 times its value; of a cosine one coefficient; and back."""
    x = torch.full((1, 1, 8, 16), 0.5)
    at = torch.arange(8) + 0.5
    x[..., 8:] = torch.cos(torch.pi * 3 * at / 8)
    expected = torch.zeros(1, 1, 8, 16)
    expected[..., 0, 0], expected[..., 0, 11] = 4.0, 32**0.5
    close(in_place(x), expected, 1e-5)
    close(image_of_coefficients(in_place(x)), x, 1e-5)


def test_laws_of_grey_images() -> None:
    check(CosineSamples(0.2 + white((1, 1, 16, 24)).abs()), (1, 16, 24))


@pytest.mark.parametrize(("channels", "halved"), [(1, False), (3, False), (3, True)])
@pytest.mark.parametrize("size", [(13, 21), (17, 16)], ids=str)
def test_laws_of_sides_of_any_length_and_of_colours(size: tuple[int, int], channels: int, halved: bool) -> None:
    """Also where a block has one row of its own, so that its waves down are none."""
    A = all_planes(white((1, channels, *size)), halved=halved)
    weighted = tuple(weight * (0.2 + white(tuple(weight.shape), seed=1).abs()) for weight in A.weights)
    check(PlaneSamples(size, weighted), (channels, *size))
    assert bool((A.sampled == 0).any()) == (size[0] == 17 or halved)
