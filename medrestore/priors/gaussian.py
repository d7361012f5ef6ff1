"""A prior whose posteriors are known in closed form: the yardstick of the tests."""

from dataclasses import dataclass

import torch
from torch import Tensor

from .base import Prior


@dataclass(frozen=True)
class StationaryGaussian(Prior):
    """N(mean, F diag(power) Fh) in every channel, on a periodic grid.

    Args:
        power: (height, width) variance of each Fourier coefficient (orthonormal, uncentred), even under negation.
        mean: of every pixel.
        channels: independent channels.
    """

    power: Tensor
    mean: float = 0.0
    channels: int = 1

    @property
    def size(self) -> tuple[int, int]:
        height, width = self.power.shape
        return height, width

    def _filter(self, gain: Tensor, x: Tensor) -> Tensor:
        return torch.fft.ifft2(gain * torch.fft.fft2(x)).real

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        return self.mean + self._filter(self.power / (self.power + sigma**2), x - self.mean)

    def sample(self, noise: Tensor) -> Tensor:
        """An image (batch, channels, height, width) of the prior, made of white noise of that shape."""
        return self.mean + self._filter(self.power.sqrt(), noise)
