"""Masks, lines and coil maps for tests of operators."""

import torch
from laws import white
from torch import Tensor

COMPLEX = torch.complex64


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pixels(*shape: int, seed: int = 0) -> Tensor:
    return (torch.rand(shape, generator=generator(seed)) < 0.6).float()


def lines(width: int) -> Tensor:
    mask = torch.zeros(1, width)
    mask[:, ::3] = 1
    mask[:, width // 2 - 2 : width // 2 + 2] = 1
    return mask


def coil_maps(height: int, width: int, coils: int = 4) -> Tensor:
    """Smooth sensitivities of unit norm, zero in two columns and a corner."""
    maps = torch.fft.ifft2(white((1, coils, 4, 4), COMPLEX), s=(height, width))
    maps = maps / maps.abs().square().sum(1, keepdim=True).sqrt()
    maps[..., :2] = 0
    maps[..., :3, -3:] = 0
    return maps
