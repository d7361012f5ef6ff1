"""Encodings with several sets of maps: the laws, alone and in a prior's coordinates, and what one set makes of them."""

import pytest
import torch
from helpers.operators import COMPLEX, coil_maps, lines, pixels
from laws import close, white
from torch import Tensor

from medrestore.codecs import ComplexChannels, Padded
from medrestore.operators import CoilOperator, Sense, SoftSense, SpectralOperator, check
from medrestore.operators.stack import stack

HEIGHT, WIDTH = 14, 12
MASKS = {"lines": lines(WIDTH), "pixels": pixels(HEIGHT, WIDTH), "weights": 0.3 * pixels(HEIGHT, WIDTH)}


def two_sets() -> Tensor:
    """Orthogonal to each other, the second there in some columns alone."""
    first = coil_maps(HEIGHT, WIDTH)
    second = first.flip(1).clone()
    second -= first * (first.conj() * second).sum(1, keepdim=True)
    second[..., :5] = 0
    return torch.cat([first, second / second.abs().square().sum(1, keepdim=True).sqrt().clamp(min=1e-6)])


@pytest.mark.parametrize("kind", MASKS)
def test_laws(kind: str) -> None:
    A = SoftSense(two_sets(), MASKS[kind])
    check(A, (2, HEIGHT, WIDTH), dtype=COMPLEX)
    encoded = A @ ComplexChannels(2.0).linear
    check(encoded, (4, HEIGHT, WIDTH))
    larger = encoded @ Padded((16, 16), (HEIGHT, WIDTH)).linear
    check(larger, (4, 16, 16))
    other = SoftSense(two_sets().roll(1, 2), MASKS[kind]) @ ComplexChannels(2.0).linear
    check(stack([encoded, other]), (4, HEIGHT, WIDTH))


def test_it_is_the_sum_of_one_set_each() -> None:
    maps, mask = two_sets(), MASKS["pixels"]
    A, x = SoftSense(maps, mask), white((3, 2, HEIGHT, WIDTH), COMPLEX)
    close(A(x), Sense(maps[:1], mask)(x[:, :1]) + Sense(maps[1:], mask)(x[:, 1:]), 1e-6)
    first = torch.cat([x[:, :1], torch.zeros_like(x[:, :1])], 1)
    close(A.normal(first)[:, :1], Sense(maps[:1], mask).normal(x[:, :1]), 1e-6)


def test_the_image_of_a_set_is_zero_where_it_sees_nothing() -> None:
    A = SoftSense(two_sets(), MASKS["lines"])
    assert A.support.shape == (1, 2, HEIGHT, WIDTH)
    assert not A.support[0, 1, :, :5].any() and A.support[0, 0, 3:, 2:].all()
    seen = (A @ ComplexChannels(1.0).linear).support
    assert seen is not None and torch.equal(seen, torch.cat([A.support, A.support], 1))


def test_it_claims_no_spectrum_and_no_images_of_coils() -> None:
    A = SoftSense(two_sets(), MASKS["lines"])
    assert not isinstance(A, SpectralOperator) and not isinstance(A, CoilOperator)
