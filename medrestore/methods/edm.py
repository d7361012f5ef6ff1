"""The probability-flow ODE: the prior alone."""

from dataclasses import dataclass

from torch import Tensor

from ..priors import Prior
from ..problem import Problem
from .base import Constrain, Draw, Method


@dataclass(frozen=True)
class ProbabilityFlow(Method):
    """The deterministic flow of the noise level: Karras et al., NeurIPS 2022, Alg. 1.

    Args:
        heun: second order (two prior calls a step, one in the last); False is Euler.
    """

    needs = None
    heun: bool = True

    def calls(self, steps: int, coils: int = 1) -> int:
        return 2 * steps - 1 if self.heun else steps

    def step(self, x: Tensor, sigma: float, sigma_next: float, *, problem: Problem, denoise: Prior,
             constrain: Constrain, noise: Draw) -> Tensor:
        slope = (x - constrain(denoise(x, sigma))) / sigma
        euler = x + (sigma_next - sigma) * slope
        if not self.heun or sigma_next == 0:
            return euler
        slope_next = (euler - constrain(denoise(euler, sigma_next))) / sigma_next
        return x + (sigma_next - sigma) * (slope + slope_next) / 2
