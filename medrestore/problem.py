"""y = A(x) + noise."""

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from .codecs import AffineCodec, Codec
from .operators import LinearOperator, Operator
from .operators.base import Window


@dataclass(frozen=True)
class Decoded(Operator):
    """A after a decoder: no longer linear, still differentiable."""

    operator: Operator
    codec: Codec

    def __call__(self, x: Tensor) -> Tensor:
        return self.operator(self.codec.decode(x))


@dataclass(frozen=True)
class Problem:
    """Measured data y = A(x) + n.

    Args:
        operator: A.
        y: the data, (batch, ...) as A returns them; a batch of 1 serves any number of samples.
        sigma: std of every real number in n (real and imaginary part each), in the units of y.
    """

    operator: Operator
    y: Tensor
    sigma: float = 0.0

    def encoded(self, codec: Codec) -> "Problem":
        """The same problem in a prior's coordinates, and in its units: divided by the codec's scale."""
        A = self.operator
        if not (isinstance(codec, AffineCodec) and isinstance(A, LinearOperator)):
            return replace(self, operator=Decoded(A, codec))
        y = self.y
        if codec.offset != 0:  # A (scale L z + offset) = y
            y = y - A(torch.full_like(A.adjoint(y), codec.offset))
        return Problem(A @ codec.linear, y / codec.scale, self.sigma / codec.scale)

    def restrict(self, window: Window) -> "Problem":
        """The part of a local problem that lies inside a window of the image."""
        return replace(self, operator=self.operator.restrict(window), y=self.y[(..., *self.operator.footprint(window))])

    @cached_property
    def observed(self) -> Tensor:
        """A^+ y on the grid of V's coefficients, zero in the null space; for spectral operators."""
        S = self.operator.spectrum
        return S.invert(S.unmeasure(self.y))

    @cached_property
    def back_projected(self) -> Tensor:
        """Ah y; for linear operators."""
        return self.operator.adjoint(self.y)

    @cached_property
    def resolved(self) -> Tensor:
        """(I + gamma Ah A)^-1 gamma Ah y, what a data step makes of nothing; for operators with a resolvent."""
        A = self.operator
        x = A.resolve(A.gamma * self.back_projected)
        return x + A.resolve(A.gamma * (self.back_projected - A.normal(x)) - x)  # refined: the first is off by rounding * gamma

    @cached_property
    def count(self) -> Tensor:
        """(batch,) how many real numbers were measured, a complex entry counting two."""
        sampled = self.operator.sampled
        reached = torch.ones_like(self.y, dtype=torch.bool) if sampled is None else torch.broadcast_to(sampled != 0, self.y.shape)
        return reached.flatten(1).sum(1) * (2 if self.y.is_complex() else 1)
