"""Manifold constrained gradients."""

from dataclasses import dataclass, replace
from typing import Annotated

from torch import Tensor

from ..operators import PseudoInvertible
from ..priors import Prior
from ..problem import Problem
from ..settings import Bounds
from .base import Constrain, Draw, Method
from .budget import ddim_split
from .dps import guided, in_all
from .ilvr import with_noised_data


@dataclass(frozen=True)
class MCG(Method):
    """Manifold constrained gradients: Chung, Sim, Ryu & Ye, NeurIPS 2022, Alg. 1. For noise-free data.

    A step along the gradient of the misfit through the prior, as in `DPS`, then what A measures is replaced by the data,
    noised to the same level (the paper's projection, A = I - H^T P, b = P y_i, here with A^+). The gradient is of the norm
    of the misfit of each sample, with the paper's step of 0.1 / |misfit| on the squared norm as `step_size` 0.2; its weight
    W is the identity, as in the paper's inpainting.

    Args:
        step_size: as in `DPS`; left open it follows from the number of steps in the same way.
    """

    needs, exact = PseudoInvertible, True
    step_size: Annotated[float | None, Bounds(above=0)] = None

    def in_steps(self, steps: int) -> "MCG":
        return replace(self, step_size=in_all(steps)) if self.step_size is None else self

    def step(self, x: Tensor, sigma: float, sigma_next: float, *, problem: Problem, denoise: Prior,
             constrain: Constrain, noise: Draw) -> Tensor:
        step_size = 1.0 if self.step_size is None else self.step_size
        x0, gradient = guided(x, sigma, sigma_next, problem=problem, denoise=denoise)
        kept, fresh = ddim_split(sigma, sigma_next, eta=1.0)
        proposal = constrain(x0 - step_size * gradient) + kept * (x - x0) / sigma + fresh * noise()
        x = with_noised_data(problem, proposal, sigma_next, noise())
        return x if sigma_next > 0 else constrain(x)
