"""Slices, errors and all classical baselines for tests."""

import numpy as np
import torch

from medrestore.baselines import CGSense, L1Wavelet, TotalVariation, ZeroFilled
from medrestore.fft import fft2c

COILS = 4


def maps_of(height, width, coils=COILS):
    """Smooth complex sensitivities around the image, normalised to unit sum of squares."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    angles = torch.arange(coils) * 2 * torch.pi / coils
    cy, cx = 1.2 * angles.sin()[:, None, None], 1.2 * angles.cos()[:, None, None]
    maps = torch.exp(-((y - cy) ** 2 + (x - cx) ** 2) / 2) * torch.exp(1j * (cy * x - cx * y))
    return (maps / torch.linalg.vector_norm(maps, dim=0))[None].to(torch.complex64)


def blocks(height, width):
    """A piecewise constant image with a constant phase."""
    image = torch.zeros(height, width)
    image[height // 6 : -height // 6, width // 6 : -width // 6] = 0.5
    image[height // 3 : height // 2, width // 4 : width // 2] = 1.0
    return (image * np.exp(0.7j)).to(torch.complex64)[None, None]


def scan(height=45, width=38, noise_std=0.01, mask=None):
    """(kspace, maps, mask, image); every third phase encode and a centre block by default."""
    image, maps = blocks(height, width), maps_of(height, width)
    if mask is None:
        mask = torch.zeros(1, width)
        mask[:, ::3] = 1
        mask[:, width // 2 - 3 : width // 2 + 3] = 1
    random = torch.Generator().manual_seed(0)
    noise = 2**0.5 * noise_std * torch.randn(maps.shape, dtype=torch.complex64, generator=random)
    return (fft2c(maps * image) + noise) * mask, maps, mask, image


def forward(x, maps, mask):
    return fft2c(maps * x) * mask


def error(x, image):
    return (torch.linalg.vector_norm(x - image) / torch.linalg.vector_norm(image)).item()


ALL = [ZeroFilled(), CGSense(1e-3), TotalVariation(1e-3, 60), L1Wavelet(1e-3, 60)]
