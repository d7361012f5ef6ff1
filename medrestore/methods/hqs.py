"""Plug-and-play half-quadratic splitting."""

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from ..consistency import prox
from ..priors import Prior
from ..problem import Problem
from ..settings import Bounds
from .base import Constrain, Draw, ProximalMethod
from .budget import justified_gamma
from .dpm_solver import Estimate, extrapolated


@dataclass(frozen=True)
class HQS(ProximalMethod):
    """Plug-and-play half-quadratic splitting, no diffusion: Zhang et al., TPAMI 2022 (DPIR), Alg. 1.

    Deterministic but for where it starts: an estimate of the mean, and no samples.

    Args:
        lam: how much less than `justified_gamma` to trust the data. The paper's own is 0.23. With 1 images are too smooth: on
            five masks of a real scan 0.25 was 0.3 to 1.5 dB ahead (docs/mri.md).
        cg_steps: conjugate-gradient steps a data step; None solves it.
        rtol: how well, where conjugate gradients do; see `prox`.
        order: 1 is DPIR. 2 extrapolates each estimate from the one before, as DPM-Solver++ does (`dpm_solver`), which is
            not in the paper: estimates lag behind the falling noise level, and half a step ahead in log sigma makes up
            for most of it. On the shipped scan at 4x it gains 1.9, 1.7 and 1.5 dB with 10, 20 and 50 network calls
            (benchmarks/multistep.py); with fewer than 10 it does not.
    """

    draws = False
    lam: Annotated[float, Bounds(above=0)] = 0.25
    cg_steps: Annotated[int | None, Bounds(at_least=1)] = None
    rtol: Annotated[float | None, Bounds(above=0)] = None
    order: Annotated[int, Bounds(at_least=1, at_most=2)] = 1

    def step(self, x: Tensor, sigma: float, sigma_next: float, *, problem: Problem, denoise: Prior,
             constrain: Constrain, noise: Draw) -> Tensor:
        gamma = justified_gamma(sigma, problem.sigma, self.lam)
        return constrain(denoise(prox(problem, x, gamma, cg_steps=self.cg_steps, rtol=self.rtol), sigma))

    def advance(self, x: Tensor, sigma: float, sigma_next: float, memory: Estimate | None, *, problem: Problem,
                denoise: Prior, constrain: Constrain, noise: Draw) -> tuple[Tensor, Estimate | None]:
        x0 = self.step(x, sigma, sigma_next, problem=problem, denoise=denoise, constrain=constrain, noise=noise)
        return (x0, None) if self.order == 1 else (extrapolated(x0, sigma, sigma_next, memory), (x0, sigma))
