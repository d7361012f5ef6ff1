"""Plug-and-play with the alternating direction method of multipliers."""

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from ..consistency import prox
from ..priors import Prior
from ..problem import Problem
from ..settings import Bounds
from .base import Constrain, Draw, ProximalMethod, Remembering
from .budget import justified_gamma


@dataclass(frozen=True)
class PnPADMM(Remembering, ProximalMethod):
    """Plug-and-play ADMM with continuation: Chan, Wang & Elgendy, IEEE TCI 3, 2017 (arXiv 1605.01710), Alg. 1.

    Their weight rho_k = lam / sigma_k^2 rises as the noise levels fall, by which the data step is that of `justified_gamma`.
    The dual variable is the method's memory. Deterministic but for where it starts: an estimate, and no samples.

    Departure: where rho rises the dual variable, which is scaled by it, is scaled along (Boyd et al., 2011, sec. 3.4.1): their
    levels fall from 0.1 or so by a few per cent a step, ours from where the image is lost in noise, and what the dual
    variable sums up there would never be worked off.

    Args:
        lam: how much less than `justified_gamma` to trust the data.
        cg_steps: conjugate-gradient steps a data step; None solves it.
        rtol: how well, where conjugate gradients do; see `prox`.
    """

    draws = False
    lam: Annotated[float, Bounds(above=0)] = 1.0
    cg_steps: Annotated[int | None, Bounds(at_least=1)] = None
    rtol: Annotated[float | None, Bounds(above=0)] = None

    def begin(self, problem: Problem | None, shape: torch.Size) -> float:
        return 0.0

    def advance(self, x: Tensor, sigma: float, sigma_next: float, memory: Tensor | float, *, problem: Problem, denoise: Prior,
                constrain: Constrain, noise: Draw) -> tuple[Tensor, Tensor | float]:
        v, u = x, memory
        gamma = justified_gamma(sigma, problem.sigma, self.lam)                      # 1 / (rho sigma_y^2)
        x = prox(problem, v - u, gamma, cg_steps=self.cg_steps, rtol=self.rtol)      # inversion
        v = constrain(denoise(x + u, sigma))                                         # denoising
        return v, (sigma_next / sigma) ** 2 * (u + x - v)                            # dual, scaled by the next 1 / rho
