"""Images of a Gaussian field, with priors of that very field: complex, grey and in colour."""

from helpers.frames import picture, power
from torch import Tensor

from medrestore.codecs import CalibratedComplex, Interval
from medrestore.priors import Prior, StationaryGaussian


class FieldOf(Prior):
    """The field seen at any size, in 1, 2 (complex) or 3 channels.

    Args:
        channels: of the prior.
    """

    multiple = 2
    sigma_range = (0.001, 80.0)

    def __init__(self, channels: int = 3) -> None:
        self.channels = channels
        self.recipe = CalibratedComplex() if channels == 2 else Interval()
        self.sizes: list[tuple[int, int]] = []

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        self.sizes.append((x.shape[-2], x.shape[-1]))
        return StationaryGaussian(power(*x.shape[-2:]))(x, sigma)


def grey(seed: int = 0, size: tuple[int, int] = (32, 40)) -> Tensor:
    """(height, width) uint8 of the field."""
    return picture(seed, size)[0]


def off(a: Tensor, b: Tensor) -> float:
    """Root mean square difference."""
    return float((a.float() - b.float()).square().mean().sqrt())
