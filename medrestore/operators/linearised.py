"""The derivative of a differentiable operator at an image, as a linear operator."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from .base import LinearOperator, Operator


@dataclass(frozen=True, repr=False)
class Linearised(LinearOperator):
    """J, the derivative of A at an image: A(at + d) = A(at) + J d + ..., and its adjoint, by automatic differentiation.

    J d is the derivative of the adjoint, which is linear, by the measurement it is applied to; no forward mode is needed.

    Args:
        operator: A.
        at: (batch, channel, height, width); A is called once, there.

    Attributes:
        value: A(at), without gradient.
    """

    operator: Operator
    at: Tensor
    value: Tensor = field(init=False)
    _graph: tuple[Tensor, Tensor, Tensor, Tensor] = field(init=False)

    def __post_init__(self) -> None:
        with torch.enable_grad():
            x = self.at.detach().requires_grad_()
            measured = self.operator(x)
            u = torch.zeros_like(measured, requires_grad=True)
            (pulled,) = torch.autograd.grad(measured, x, u, create_graph=True)
        object.__setattr__(self, "value", measured.detach())
        object.__setattr__(self, "_graph", (x, measured, u, pulled))

    @property
    def support(self) -> Tensor | None:
        return self.operator.support

    @property
    def sampled(self) -> Tensor | None:
        return self.operator.sampled

    @property
    def kind(self) -> str:
        return self.operator.kind

    def __call__(self, x: Tensor) -> Tensor:
        _, measured, u, pulled = self._graph
        if not pulled.requires_grad:  # A is constant there
            return torch.zeros_like(measured)
        return _product(pulled, u, x)

    def adjoint(self, y: Tensor) -> Tensor:
        x, measured, _, _ = self._graph
        return _product(measured, x, y)


def _product(output: Tensor, given: Tensor, vector: Tensor) -> Tensor:
    """What the derivative of an output by what was given makes of a vector, with a gradient where the vector has one."""
    further = torch.is_grad_enabled() and vector.requires_grad
    (made,) = torch.autograd.grad(output, given, vector, retain_graph=True, create_graph=further)
    return made
