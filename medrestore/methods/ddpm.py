"""Ancestral sampling: the prior alone."""

from dataclasses import dataclass

from torch import Tensor

from ..priors import Prior
from ..problem import Problem
from .base import Constrain, Draw, Method


@dataclass(frozen=True)
class DDPM(Method):
    """Ancestral sampling: Ho, Jain & Abbeel, NeurIPS 2020, Alg. 2, at any spacing of the levels."""

    needs = None

    def step(self, x: Tensor, sigma: float, sigma_next: float, *, problem: Problem, denoise: Prior,
             constrain: Constrain, noise: Draw) -> Tensor:
        x0 = constrain(denoise(x, sigma))
        share = (sigma_next / sigma) ** 2  # mean of q(x_next | x, x0) in x0 + sigma n
        return (1 - share) * x0 + share * x + sigma_next * (1 - share) ** 0.5 * noise()
