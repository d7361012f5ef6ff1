"""Priors in memory for tests: a smooth Gaussian field, and a small network of random weights."""

import torch
from torch import Tensor, nn

from medrestore.codecs import Interval
from medrestore.priors import EDM, NetworkPrior, StationaryGaussian


def smooth(side: int, mean: float = 0.0, channels: int = 1) -> StationaryGaussian:
    """A field of pixel std 1 whose power falls with frequency."""
    f = torch.fft.fftfreq(side)
    power = 1 / (0.02 + f[:, None] ** 2 + f**2)
    return StationaryGaussian(power / power.mean(), mean=mean, channels=channels)


class Convolutions(nn.Module):
    """Three convolutions with smooth activations; the time is added after the first."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        sides = ((channels, width), (width, width), (width, channels))
        self.layers = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in sides)
        generator = torch.Generator().manual_seed(width)
        for weights in self.parameters():
            weights.data = 0.3 * torch.randn(weights.shape, generator=generator)
        self.requires_grad_(False)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        x = self.layers[0](x) + time.reshape(-1, 1, 1, 1)
        return self.layers[2](torch.tanh(self.layers[1](torch.tanh(x))))


def tiny_prior(channels: int = 1, width: int = 4) -> NetworkPrior:
    """A network prior of images in [-1, 1]."""
    return NetworkPrior(Convolutions(channels, width), EDM(0.5, sigmas=(0.005, 40.0)), channels=channels,
                        recipe=Interval(-1.0, 1.0))
