"""Complex images by a prior of real ones."""

from torch import Tensor

from ..codecs import CalibratedComplex, Interval
from ..errors import InputError
from .base import Prior, WrappedPrior


class ByParts(WrappedPrior):
    """The real and the imaginary part of complex images, each denoised as an image by a prior of one channel.

    As score-MRI does (Chung & Ye, Medical Image Analysis 2022, sec. 3.2), whose network saw magnitudes from 0 to 1 alone. Two
    network calls an image, in a batch. Its coordinates are those of the images whose interval the prior's recipe states.

    Args:
        prior: of one channel.

    Raises:
        InputError: a prior of more channels, or without an interval.
    """

    def __init__(self, prior: Prior) -> None:
        if prior.channels != 1 or not isinstance(prior.recipe, Interval):
            raise InputError("complex images by parts take a prior of one channel with an interval of its images, and this one "
                             f"has {prior.channels} channels and the recipe {prior.recipe}; give another prior")
        super().__init__(prior)
        self.channels, self.interval, self.recipe = 2, prior.recipe, CalibratedComplex()
        low, high = prior.sigma_range
        self.sigma_range = low * self.interval.scale, high * self.interval.scale

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        codec, parts = self.interval, x.reshape(-1, 1, *x.shape[-2:])
        return codec.decode(self.prior(codec.encode(parts), sigma / codec.scale)).reshape(x.shape)
