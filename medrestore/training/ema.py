"""Exponential moving averages of a network's weights, with a half-life in images."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


class ExponentialMovingAverage:
    """The exponential moving average of a network's weights.

    Early in a run the half-life is a twentieth of the images trained on, so that the first weights are soon
    forgotten (Karras et al., NeurIPS 2022, app. F.2).

    Args:
        net: whose weights; the average starts as a copy.
        half_life: images after which weights count half.
    """

    def __init__(self, net: torch.nn.Module, half_life: int) -> None:
        self.half_life = half_life
        self.weights = [weight.detach().clone() for weight in net.parameters()]

    @torch.no_grad()
    def update(self, net: torch.nn.Module, total: int, images: int) -> None:
        """Takes in the weights after a step of `images`, the last of `total` images of the run."""
        half_life = min(self.half_life, total / 20)
        share = 1 - 0.5 ** (images / half_life)
        torch._foreach_lerp_(self.weights, [weight.detach() for weight in net.parameters()], share)

    @contextmanager
    def applied_to(self, net: torch.nn.Module) -> Iterator[torch.nn.Module]:
        """The network with the averaged weights, for the duration of the context."""
        own = [weight.detach().clone() for weight in net.parameters()]
        try:
            _copy(net, self.weights)
            yield net
        finally:
            _copy(net, own)

    @torch.no_grad()
    def copy_from(self, net: torch.nn.Module) -> None:
        """Replaces the average by the network's current weights."""
        for average, weight in zip(self.weights, net.parameters(), strict=True):
            average.copy_(weight)


@torch.no_grad()
def _copy(net: torch.nn.Module, weights: list[torch.Tensor]) -> None:
    for weight, source in zip(net.parameters(), weights, strict=True):
        weight.copy_(source)
