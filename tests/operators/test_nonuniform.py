"""Blurs that differ from place to place."""

import pytest
import torch
from laws import close, white

from medrestore.errors import InputError
from medrestore.operators import CircularBlur, VaryingBlur, check, gaussian_kernel, varying_blur


def grid() -> torch.Tensor:
    kernels = torch.zeros(2, 2, 9, 9)
    kernels[..., 4, 4] = 1
    kernels[0, 1] = gaussian_kernel(1.0)
    kernels[1, 0] = gaussian_kernel(1.0).T.roll(2, 0)
    return kernels


@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
def test_laws(dtype: torch.dtype) -> None:
    check(varying_blur(grid(), (12, 10)), (2, 12, 10), dtype=dtype)


def test_one_kernel_is_a_blur() -> None:
    kernel = white((5, 3))
    x = white((2, 3, 8, 9))
    close(VaryingBlur(kernel[None], torch.ones(1, 8, 9))(x), CircularBlur(kernel, (8, 9))(x))


def test_pixels_see_the_kernel_of_their_place() -> None:
    """Without blur where the kernels of two corners are points, the blur of the third corner at that corner."""
    A = varying_blur(grid(), (16, 16))
    x = white((1, 1, 16, 16))
    close(A(x)[..., 0, 0], x[..., 0, 0])
    close(A(x)[..., 15, 15], x[..., 15, 15])
    close(A(x)[..., 0, 15], CircularBlur(gaussian_kernel(1.0), (16, 16))(x)[..., 0, 15])
    close(A.weights.sum(0), torch.ones(16, 16))


def test_refusals() -> None:
    with pytest.raises(InputError, match="needed"):
        VaryingBlur(torch.ones(2, 3, 3), torch.ones(1, 8, 8))
    with pytest.raises(InputError, match="larger than the image"):
        VaryingBlur(torch.ones(1, 9, 9), torch.ones(1, 8, 8))
    with pytest.raises(InputError, match="a grid of kernels"):
        varying_blur(torch.ones(3, 3, 3), (8, 8))
