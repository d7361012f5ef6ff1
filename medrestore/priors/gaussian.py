"""A prior whose posteriors are known in closed form, for tests and comparisons."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..errors import InputError
from ..operators.representation import ShortRepr
from .base import Prior


@dataclass(frozen=True)
class StationaryGaussian(ShortRepr, Prior):
    """N(mean, F diag(power) Fh) in every channel, on a periodic grid.

    Args:
        power: (height, width) variance of each Fourier coefficient (orthonormal, uncentred), even under negation.
        mean: of every pixel.
        channels: independent channels.

    Raises:
        InputError: `power` has other axes, negative values, or is not even.
    """

    power: Tensor
    mean: float = 0.0
    channels: int = 1
    size: tuple[int, int] | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        power = self.power
        if power.ndim != 2:
            raise InputError(f"power must be of (height, width), and its shape is {tuple(power.shape)}")
        if not bool((power >= 0).all()):
            raise InputError("power holds variances, and some of them are negative or not numbers")
        if not torch.allclose(power, power.flip(0, 1).roll((1, 1), (0, 1)), rtol=1e-3, atol=1e-6):
            raise InputError("power is not even under negation of the frequency, as that of real images is; "
                             "average it with power.flip(0, 1).roll((1, 1), (0, 1))")
        object.__setattr__(self, "size", tuple(power.shape))

    def _filter(self, gain: Tensor, x: Tensor) -> Tensor:
        return torch.fft.ifft2(gain * torch.fft.fft2(x)).real

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        return self.mean + self._filter(self.power / (self.power + sigma**2), x - self.mean)

    def sample(self, noise: Tensor) -> Tensor:
        """An image (batch, channels, height, width) of the prior, made of white noise of that shape."""
        return self.mean + self._filter(self.power.sqrt(), noise)
