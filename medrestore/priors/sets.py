"""Several images that are one measurement's together, by a prior of one."""

from torch import Tensor

from ..errors import InputError
from .base import Prior, WrappedPrior


class BySets(WrappedPrior):
    """The complex images of several sets of coil maps, each denoised as an image of its own, in one batch.

    Args:
        prior: of complex images: two channels, real and imaginary.
        sets: of coil maps; channels are the real parts of all sets, then the imaginary ones.

    Raises:
        InputError: a prior of other images.
    """

    def __init__(self, prior: Prior, sets: int) -> None:
        if prior.channels != 2:
            raise InputError("sets of coil maps take a prior of complex images, two channels, and this one has "
                             f"{prior.channels}; give another prior")
        super().__init__(prior)
        self.channels, self.sets = 2 * sets, sets

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        images = x.unflatten(1, (2, self.sets)).transpose(1, 2)
        return self.prior(images.flatten(0, 1), sigma).reshape(images.shape).transpose(1, 2).flatten(1, 2)
