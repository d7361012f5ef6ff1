"""Zero-filled and root-sum-of-squares images."""

import torch
from helpers.slices import forward, scan

from medrestore.baselines import RootSumOfSquares, ZeroFilled, rss
from medrestore.fft import fft2c


def test_zero_filled_is_the_adjoint():
    _, maps, mask, _ = scan(9, 8)
    random = torch.Generator().manual_seed(1)
    x = torch.randn(1, 1, 9, 8, dtype=torch.complex64, generator=random)
    y = torch.randn(maps.shape, dtype=torch.complex64, generator=random)
    left = torch.vdot(y.flatten(), forward(x, maps, mask).flatten())
    right = torch.vdot(ZeroFilled().reconstruct(y, maps, mask).flatten(), x.flatten())
    assert torch.allclose(left, right, rtol=1e-5)


def test_rss_of_coil_images():
    _, maps, _, image = scan(9, 8)
    assert torch.allclose(rss(fft2c(maps * image)), image.abs(), atol=1e-6)  # the maps have unit sum of squares


def test_root_sum_of_squares_as_a_baseline():
    kspace, maps, mask, _ = scan(21, 18)
    found = RootSumOfSquares().reconstruct(kspace + 5 * (1 - mask), maps, mask)
    assert found.dtype == torch.complex64 and torch.allclose(found.real, rss(kspace), atol=1e-5) and not found.imag.any()
