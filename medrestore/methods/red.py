"""Regularisation by denoising."""

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from ..consistency import prox
from ..priors import Prior
from ..problem import Problem
from ..settings import Bounds
from .base import Constrain, Draw, ProximalMethod, Remembering
from .budget import justified_gamma

Memory = tuple[Tensor, float]  # x of the step before, and its t


@dataclass(frozen=True)
class RED(Remembering, ProximalMethod):
    """Regularisation by denoising: Romano, Elad & Milanfar, SIIMS 10, 2017, eq. 40, in the accelerated proximal form of
    Reehorst & Schniter, IEEE TCI 5, 2019, Alg. 5 (RED-APG).

    Finds the x at which (A^H (A x - y)) / sigma_y^2 + lam (x - D(x)) / sigma^2 = 0: with an MMSE denoiser, lam = 1 is the
    most probable image under the prior blurred by noise of std sigma (Reehorst & Schniter, sec. IV: score matching). The
    papers hold sigma fixed; here it falls, a step or more at each level, so that a local optimum is left in time, and the
    momentum goes on. Deterministic but for where it starts: an estimate, and no samples.

    Args:
        lam: weight of the prior; how much less than `justified_gamma` to trust the data.
        L: of the papers' bound on the curvature; 1 is the fixed-point iteration of Romano et al., and shorter steps above it.
        momentum: Nesterov's, of RED-APG; False is RED-PG.
        iterations: at each level, a network call each.
        cg_steps: conjugate-gradient steps a data step; None solves it.
        rtol: how well, where conjugate gradients do; see `prox`.
    """

    draws = False
    lam: Annotated[float, Bounds(above=0)] = 1.0
    L: Annotated[float, Bounds(at_least=1)] = 1.0
    momentum: bool = False
    iterations: Annotated[int, Bounds(at_least=1)] = 1
    cg_steps: Annotated[int | None, Bounds(at_least=1)] = None
    rtol: Annotated[float | None, Bounds(above=0)] = None

    def calls(self, steps: int, coils: int = 1) -> int:
        return self.iterations * steps

    def advance(self, x: Tensor, sigma: float, sigma_next: float, memory: Memory | None, *, problem: Problem, denoise: Prior,
                constrain: Constrain, noise: Draw) -> tuple[Tensor, Memory]:
        gamma = justified_gamma(sigma, problem.sigma, self.lam * self.L)
        before, t = (x, 1.0) if memory is None else memory
        for _ in range(self.iterations):
            t_next = (1 + (1 + 4 * t**2) ** 0.5) / 2 if self.momentum else 1.0
            z = x + (t - 1) / t_next * (x - before)
            v = (denoise(z, sigma) - (1 - self.L) * z) / self.L
            before, t = x, t_next
            x = constrain(prox(problem, v, gamma, cg_steps=self.cg_steps, rtol=self.rtol))
        return x, (before, t)
