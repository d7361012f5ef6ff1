"""Weights averaged over a run, with a half-life in images."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


class Average:
    """An exponential average of a network's weights.

    Early in a run the half-life is a twentieth of what has been seen, so that the first weights are soon forgotten (Karras et
    al., NeurIPS 2022, app. F.2).

    Args:
        net: whose weights; the average starts as a copy.
        half_life: images after which weights count half.
    """

    def __init__(self, net: torch.nn.Module, half_life: int) -> None:
        self.half_life = half_life
        self.weights = [weight.detach().clone() for weight in net.parameters()]

    @torch.no_grad()
    def follow(self, net: torch.nn.Module, seen: int, images: int) -> None:
        """Takes in the weights after a step that saw `images`, the last of `seen`."""
        half_life = min(self.half_life, seen / 20)
        share = 1 - 0.5 ** (images / half_life)
        torch._foreach_lerp_(self.weights, [weight.detach() for weight in net.parameters()], share)

    @contextmanager
    def worn_by(self, net: torch.nn.Module) -> Iterator[torch.nn.Module]:
        """The network with the averaged weights, for a while."""
        own = [weight.detach().clone() for weight in net.parameters()]
        try:
            _copy(net, self.weights)
            yield net
        finally:
            _copy(net, own)

    @torch.no_grad()
    def take(self, net: torch.nn.Module) -> None:
        """Becomes the weights that the network has now."""
        for average, weight in zip(self.weights, net.parameters(), strict=True):
            average.copy_(weight)


@torch.no_grad()
def _copy(net: torch.nn.Module, weights: list[torch.Tensor]) -> None:
    for weight, other in zip(net.parameters(), weights, strict=True):
        weight.copy_(other)
