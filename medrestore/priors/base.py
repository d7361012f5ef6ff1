"""The contract of a prior: the mean of the clean image given a noisy one."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from copy import copy

from torch import Tensor

from ..codecs import Recipe
from ..errors import InputError
from .classes import Classes


class Prior(ABC):
    """E[x0 | x] for x = x0 + sigma n, in the prior's own coordinates (real, about unit scale, float32).

    Attributes:
        channels: channels of one image, `x` being (batch, channels, height, width).
        multiple: height and width must be multiples of this.
        size: (height, width) where the prior takes one size only, else None.
        recipe: how images become its coordinates, or None when the caller brings the codec.
        sigma_range: (lowest, highest) noise level, std per real number, at which the estimate may be trusted.
        whole: whether it takes whole images alone, no windows of them.
    """

    channels: int
    multiple: int = 1
    size: tuple[int, int] | None = None
    recipe: Recipe | None = None
    sigma_range: tuple[float, float] = (0.0, float("inf"))
    whole: bool = False

    @abstractmethod
    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        """The mean of x0 given `x`, shaped like `x`; `sigma` is the std of the noise in every real number of `x`."""

    def with_reference(self, image: Tensor) -> "Prior":
        """The same prior, given a second image of the same object, such as another contrast or an earlier scan.

        Args:
            image: (1 or batch, channels, height, width) real, registered to the image, of its size in the prior's coordinates,
                about 1 at its brightest.

        Raises:
            InputError: the prior takes none.
        """
        raise InputError("the prior takes no reference image; leave it out, or give a `prior` that was trained with "
                         "conditions.reference")

    def watched(self, seen: Callable[[int], None]) -> "Prior":
        """The prior with its calls counted; see `Watched`."""
        return Watched(self, seen)


class ClassConditional(Prior):
    """A prior that may be told the class of each image.

    Attributes:
        classes: that it knows; None for a prior of any images alike.
    """

    classes: Classes | None

    @abstractmethod
    def of_classes(self, x: Tensor, sigma: float, labels: Tensor) -> Tensor:
        """The mean of x0 given `x` and the class of each image, by its number, `labels` (batch,) int64."""


class WrappedPrior(Prior):
    """A prior that observes or changes the estimates of another, and takes the same images at the same noise levels.

    Args:
        prior: the other.
    """

    def __init__(self, prior: Prior) -> None:
        self.prior = prior
        self.channels, self.multiple, self.size = prior.channels, prior.multiple, prior.size
        self.recipe, self.sigma_range, self.whole = prior.recipe, prior.sigma_range, prior.whole

    def with_reference(self, image: Tensor) -> Prior:
        told = copy(self)
        told.prior = self.prior.with_reference(image)
        return told

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.prior!r})"


class Watched(WrappedPrior):
    """A prior whose calls are counted.

    Args:
        prior: the prior.
        seen: called with the number of images of each call, after it.
    """

    def __init__(self, prior: Prior, seen: Callable[[int], None]) -> None:
        super().__init__(prior)
        self._seen = seen

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        estimate = self.prior(x, sigma)
        self._seen(len(x))
        return estimate
