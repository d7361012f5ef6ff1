"""Decoupled annealing posterior sampling."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

from torch import Tensor

from ..levels import levels_inside
from ..operators import LinearOperator
from ..priors import Prior
from ..problem import Problem
from ..settings import Bounds
from .base import Constrain, Draw, ProximalMethod
from .likelihood import given_data


@dataclass(frozen=True)
class DAPS(ProximalMethod):
    """Decoupled annealing posterior sampling: Zhang, Chu, Berner, Meng, Anandkumar & Song, CVPR 2025, Alg. 1.

    At each level: the probability flow from x down to a clean image x0, a sample of p(x0 | x, y) taken for N(x0, r^2 I) times
    the likelihood, and noise of the next level. r = sigma, as in the paper. It draws that sample by Langevin steps; for
    linear operators it is a Gaussian, and is drawn exactly (`likelihood.given_data`).

    Args:
        ode_steps: Euler steps of the flow, a call of the prior each. One ends on the mean of x0 given x, which is what
            N(x0, r^2 I) asks for, and samples then spread as the posterior does. The paper's 5 to 10 end on an image of
            the prior, whose own spread r then adds to: sqrt(2) too much where nothing is measured (docs/posteriors.md).
        cg_steps: conjugate-gradient steps a data step; None solves it.
        rtol: how well, where conjugate gradients do; see `prox`.
    """

    needs = LinearOperator
    ode_steps: Annotated[int, Bounds(at_least=1)] = 1
    cg_steps: Annotated[int | None, Bounds(at_least=1)] = None
    rtol: Annotated[float | None, Bounds(above=0)] = None

    def calls(self, steps: int, coils: int = 1) -> int:
        return self.ode_steps * steps

    def step(self, x: Tensor, sigma: float, sigma_next: float, *, problem: Problem, denoise: Prior,
             constrain: Constrain, noise: Draw) -> Tensor:
        x0 = x
        for level, lower in pairwise(levels_inside(self.ode_steps, sigma, denoise.sigma_range[0])):
            x0 = x0 + (lower / level - 1) * (x0 - denoise(x0, level))
        x0 = given_data(problem, x0, sigma, noise=noise, cg_steps=self.cg_steps, rtol=self.rtol)
        return constrain(x0) + sigma_next * noise()
