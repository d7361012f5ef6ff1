"""Centred, orthonormal Fourier transforms: the only FFTs of images and k-space in the library.

Both domains keep their origin at index n // 2, for odd sizes too.
"""

import torch
from torch import Tensor

_AXES = (-2, -1)


def fft2c(x: Tensor, axes: tuple[int, ...] = _AXES) -> Tensor:
    """Image to k-space over `axes`."""
    return torch.fft.fftshift(torch.fft.fftn(torch.fft.ifftshift(x, dim=axes), dim=axes, norm="ortho"), dim=axes)


def ifft2c(k: Tensor, axes: tuple[int, ...] = _AXES) -> Tensor:
    """k-space to image over `axes`."""
    return torch.fft.fftshift(torch.fft.ifftn(torch.fft.ifftshift(k, dim=axes), dim=axes, norm="ortho"), dim=axes)
