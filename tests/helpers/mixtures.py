"""Classes of points whose priors, classifier and posteriors are known in closed form."""

import torch
from torch import Tensor

from medrestore.priors import ClassConditional, Classes, Classifier

MODES = torch.tensor([[-1.5, 0.0], [0.5, 1.5], [1.0, -1.0]])  # of two channels
WEIGHTS = torch.tensor([0.2, 0.3, 0.5])
CLASS_OF = torch.tensor([0, 0, 1])  # of each mode: class "left" has two, of weights 0.4 and 0.6
VARIANCE = 0.04  # of every mode
NAMES = ("left", "right")


def logits(x: Tensor, sigma: float) -> Tensor:
    """(batch, mode): log of weight times density of each mode of images (batch, 2, 1, 1), up to a constant."""
    distance = (x[:, None, :, 0, 0] - MODES.to(x)).square().sum(2)
    return WEIGHTS.to(x).log() - distance / (2 * (VARIANCE + sigma**2))


class Mixture(ClassConditional):
    """Of all modes, or of those of a class alone."""

    channels = 2
    sigma_range = (0.005, 40.0)

    def __init__(self, classes: Classes | None = Classes(2, NAMES, has_null=True)) -> None:  # noqa: B008
        self.classes = classes

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        return self._estimate(x, sigma, logits(x, sigma))

    def of_classes(self, x: Tensor, sigma: float, labels: Tensor) -> Tensor:
        others = (labels[:, None] != CLASS_OF) & (labels[:, None] < 2)
        return self._estimate(x, sigma, logits(x, sigma).masked_fill(others, -torch.inf))

    def _estimate(self, x: Tensor, sigma: float, known: Tensor) -> Tensor:
        mean = (known.softmax(1) @ MODES.to(x))[:, :, None, None]
        return mean + VARIANCE / (VARIANCE + sigma**2) * (x - mean)


class Bayes(Classifier):
    """The exact p(class | x)."""

    channels, classes = 2, Classes(2, NAMES)

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        known = logits(x, sigma).log_softmax(1)
        return torch.stack([known[:, own].logsumexp(1) for own in ([0, 1], [2])], 1)
