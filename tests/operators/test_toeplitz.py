"""The Toeplitz matrix of a trajectory against the transform to it and back."""

import pytest
import torch
from helpers.operators import COMPLEX, spokes
from laws import close, inner, white

from medrestore.operators import Toeplitz
from medrestore.operators.nufft import nufft, nufft_adjoint

POWER = torch.rand(60, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("size", [(12, 10), (11, 9), (32, 32), (5, 16), (1, 7)])
def test_it_is_the_transform_and_back(size: tuple[int, int]) -> None:
    points, x = spokes(5, 12).flatten(0, 1), white((2, 3, *size), COMPLEX)
    T = Toeplitz.of(points, POWER, size)
    close(T(x), nufft_adjoint(POWER * nufft(x, points), points, size), 2e-5)
    z = white((2, 3, *size), COMPLEX, seed=1)
    assert inner(T(x), z) == pytest.approx(inner(x, T(z)), rel=1e-4, abs=1e-3)


@pytest.mark.parametrize("window", [(slice(2, 9), slice(0, 6)), (slice(0, 12), slice(3, 4)), (slice(0, 12), slice(0, 10))])
def test_within_a_window_of_the_image(window: tuple[slice, slice]) -> None:
    T = Toeplitz.of(spokes(5, 12).flatten(0, 1), POWER, (12, 10))
    x = torch.zeros(12, 10, dtype=COMPLEX)
    x[window] = white((12, 10), COMPLEX)[window]
    part = x[window]
    assert T.cropped((part.shape[0], part.shape[1])).shape == tuple(part.shape)
    close(T.cropped((part.shape[0], part.shape[1]))(part), T(x)[window], 1e-5)


def test_fully_sampled_it_is_the_identity() -> None:
    rows, columns = torch.arange(8) - 4, torch.arange(9) - 4
    x = white((8, 9), COMPLEX)
    close(Toeplitz.of(torch.cartesian_prod(rows, columns).float(), torch.ones(72), (8, 9))(x), x, 1e-5)


def test_its_gradient() -> None:
    T, x = Toeplitz.of(spokes(5, 12).flatten(0, 1), POWER, (6, 5)), white((6, 5), COMPLEX).requires_grad_()
    (found,) = torch.autograd.grad(T(x).abs().square().sum(), x)
    close(found, 2 * T(T(x.detach())), 1e-5)
