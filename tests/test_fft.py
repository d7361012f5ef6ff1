"""Centred orthonormal transforms against the sum that defines them."""

import numpy as np
import pytest
import torch

from medrestore.fft import fft2c, ifft2c


def matrix(size: int) -> np.ndarray:
    n = np.arange(size) - size // 2
    return np.exp(-2j * np.pi * np.outer(n, n) / size) / np.sqrt(size)


@pytest.mark.parametrize("shape", [(6, 8), (5, 7), (1, 4), (9, 2)])
def test_transform_is_the_centred_orthonormal_sum(shape):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, *shape, dtype=torch.complex128, generator=generator)
    expected = matrix(shape[0]) @ x.numpy() @ matrix(shape[1]).T
    np.testing.assert_allclose(fft2c(x).numpy(), expected, atol=1e-12)
    torch.testing.assert_close(ifft2c(fft2c(x)), x)


def test_one_axis_leaves_the_other():
    x = torch.randn(4, 5, dtype=torch.complex128, generator=torch.Generator().manual_seed(1))
    np.testing.assert_allclose(fft2c(x, axes=(-2,)).numpy(), matrix(4) @ x.numpy(), atol=1e-12)
    torch.testing.assert_close(fft2c(fft2c(x, axes=(-2,)), axes=(-1,)), fft2c(x))


def test_the_inverse_is_the_adjoint():
    generator = torch.Generator().manual_seed(2)
    x, k = (torch.randn(5, 6, dtype=torch.complex128, generator=generator) for _ in range(2))
    torch.testing.assert_close(torch.vdot(fft2c(x).flatten(), k.flatten()), torch.vdot(x.flatten(), ifft2c(k).flatten()))
