"""What class a noisy image is of."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from ..codecs import Recipe
from .classes import Classes
from .parametrisations import Parametrisation


class Classifier(ABC):
    """log p(class | x) for x = x0 + sigma n, in a prior's coordinates; differentiable in x.

    Attributes:
        classes: that it tells apart.
        channels: of one image.
        multiple: height and width must be multiples of this.
        size: (height, width) where it takes one size only, else None.
        recipe: how images become its coordinates, or None where it does not matter.
        sigma_range: (lowest, highest) noise level that it knows; beyond them it is asked at the nearest.
    """

    classes: Classes
    channels: int
    multiple: int = 1
    size: tuple[int, int] | None = None
    recipe: Recipe | None = None
    sigma_range: tuple[float, float] = (0.0, float("inf"))

    @abstractmethod
    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        """(batch, classes) log-probabilities for `x` (batch, channels, height, width) at the noise level `sigma`, std."""


class NetworkClassifier(Classifier):
    """A trained network as a classifier.

    Args:
        net: `(input (b, c, h, w), time (b,)) -> logits (b, classes)`.
        parametrisation: how x and sigma become its input and time.
        classes, channels, multiple, size, recipe: as of `Classifier`.
    """

    def __init__(self, net: nn.Module, parametrisation: Parametrisation, *, classes: Classes, channels: int, multiple: int = 1,
                 size: tuple[int, int] | None = None, recipe: Recipe | None = None) -> None:
        self.net, self.parametrisation, self.classes = net.eval(), parametrisation, classes
        self.channels, self.multiple, self.size, self.recipe = channels, multiple, size, recipe
        self.sigma_range = parametrisation.sigma_range

    def __repr__(self) -> str:
        return f"NetworkClassifier({type(self.net).__name__}, {self.parametrisation!r}, {self.classes.number} classes)"

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        level = torch.full((len(x),), float(sigma), device=x.device)
        logits: Tensor = self.net(*self.parametrisation.inputs(x, level))
        return logits.float().log_softmax(1)
