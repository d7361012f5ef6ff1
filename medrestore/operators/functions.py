"""A linear operator of two functions of one's own: A and its pseudo-inverse."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .base import PseudoInvertible


@dataclass(frozen=True)
class Functions(PseudoInvertible):
    """A and A^+ as functions, for the methods that need no more; the adjoint is that of `forward` by automatic differentiation.

    `check` tells whether they are what they should be.

    Args:
        forward: A, linear and differentiable, (batch, channel, height, width) to (batch, ...).
        inverse: A^+, back to the image.
        support, sampled: see `Operator`.
    """

    forward: Callable[[Tensor], Tensor]
    inverse: Callable[[Tensor], Tensor]
    support: Tensor | None = None
    sampled: Tensor | None = None

    def __call__(self, x: Tensor) -> Tensor:
        return self.forward(x)

    def adjoint(self, y: Tensor) -> Tensor:
        with torch.enable_grad():
            x = torch.zeros_like(self.inverse(y)).requires_grad_()  # at any image: A is linear
            (image,) = torch.autograd.grad(self.forward(x), x, y)
        return image

    def pinv(self, y: Tensor) -> Tensor:
        return self.inverse(y)
