"""DPM-Solver++: a multistep solver of the diffusion ODE."""

import math
from dataclasses import dataclass

from torch import Tensor

from ..priors import Prior
from ..problem import Problem
from .base import Constrain, Draw, Remembering

Estimate = tuple[Tensor, float]  # of the clean image, and the noise level at which it was made


def extrapolated(x0: Tensor, sigma: float, sigma_next: float, before: Estimate | None) -> Tensor:
    """The clean image halfway from `sigma` to `sigma_next`, on the line through two estimates in log sigma.

    Lu et al., arXiv 2211.01095, Alg. 2, D_i, with lambda = -log sigma and r = h_{i-1} / h_i. The first estimate of a
    trajectory and the step to 0, which is infinitely long in log sigma, are taken as they are.

    Args:
        x0: the estimate at `sigma`.
        before: the estimate of the step before.
    """
    if before is None or sigma_next == 0:
        return x0
    x0_before, sigma_before = before
    ratio = math.log(sigma / sigma_next) / math.log(sigma_before / sigma)  # 1 / r
    return x0 + ratio / 2 * (x0 - x0_before)


@dataclass(frozen=True)
class DPMSolver(Remembering):
    """DPM-Solver++ (2M): Lu, Zhou, Bao, Chen, Li & Zhu, arXiv 2211.01095, Alg. 2. The prior alone.

    Second order for one prior call a step: the clean image is extrapolated from two estimates. Deterministic. The first
    step, the last one, and the first after time travel are those of DDIM.
    """

    needs = None

    def advance(self, x: Tensor, sigma: float, sigma_next: float, memory: Estimate | None, *, problem: Problem,
                denoise: Prior, constrain: Constrain, noise: Draw) -> tuple[Tensor, Estimate]:
        x0 = constrain(denoise(x, sigma))
        target = extrapolated(x0, sigma, sigma_next, memory)
        return target + sigma_next / sigma * (x - target), (x0, sigma)
