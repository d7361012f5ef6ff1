"""Operators that are differentiable and no more."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from .base import Operator


@dataclass(frozen=True)
class Decoded(Operator):
    """A after a differentiable map, such as the decoder of a prior: no longer linear, still differentiable.

    Args:
        operator: A.
        decode: codes (batch, channel, height, width) to images.
        support: where the code may differ from zero; see `Operator`.
    """

    operator: Operator
    decode: Callable[[Tensor], Tensor]
    support: Tensor | None = None

    @property
    def kind(self) -> str:
        return self.operator.kind

    @property
    def sampled(self) -> Tensor | None:
        return self.operator.sampled

    def __call__(self, x: Tensor) -> Tensor:
        return self.operator(self.decode(x))
