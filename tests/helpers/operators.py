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


def spokes(count: int, samples: int) -> Tensor:
    """A trajectory (readout, sample, 2) of `count` lines through the centre, `samples` cycles a field of view long."""
    angles, along = torch.arange(count) * 1.9416, torch.arange(samples) - samples // 2
    return torch.stack([along * angles.sin()[:, None], along * angles.cos()[:, None]], -1).float()


def grid(height: int, width: int) -> Tensor:
    """(height * width, 2) of the points of the transform."""
    rows, columns = torch.arange(height) - height // 2, torch.arange(width) - width // 2
    return torch.cartesian_prod(rows, columns).float()


def dense_fourier(points: Tensor, height: int, width: int) -> Tensor:
    """(n, height * width) complex128, from the definition."""
    places = grid(height, width).double() / torch.tensor([height, width])
    return torch.exp(-2j * torch.pi * (points.double() @ places.T)) / (height * width) ** 0.5


def full(trajectory: Tensor) -> Tensor:
    """(readout, sample): the mask of a trajectory whose samples were all measured."""
    return torch.ones(trajectory.shape[:2], device=trajectory.device)
