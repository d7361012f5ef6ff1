"""Pseudo-inverse guidance."""

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from ..consistency import prox
from ..operators import LinearOperator
from ..priors import Prior
from ..problem import Problem
from ..settings import Bounds
from .base import Constrain, Draw, ProximalMethod
from .budget import ddim_split, justified_gamma


@dataclass(frozen=True)
class PiGDM(ProximalMethod):
    """Pseudo-inverse guided diffusion: Song, Vahdat, Mardani & Kautz, ICLR 2023, Alg. 1. Differentiates through the prior.

    The clean image given x is taken for N(x0, r^2 I), with r^2 = sigma^2 / (1 + sigma^2) for images of unit scale, so that the
    guidance is J^T A^T (r^2 A A^T + sigma_y^2 I)^-1 (y - A x0), J the Jacobian of the denoiser (eq. 8), weighted by r^2
    (sec. 3.3). What is to be multiplied by J^T is r^-2 times what a proximal step of weight r^2 / sigma_y^2 changes x0 by, so
    that any linear operator serves, not those with a known spectrum alone.

    Args:
        eta: share of fresh noise, DDIM's eta; the paper's is 1.
        cg_steps: conjugate-gradient steps a data step; None solves it.
        rtol: how well, where conjugate gradients do; see `prox`.
    """

    needs = LinearOperator
    eta: Annotated[float, Bounds(at_least=0)] = 1.0
    cg_steps: Annotated[int | None, Bounds(at_least=1)] = None
    rtol: Annotated[float | None, Bounds(above=0)] = None

    def step(self, x: Tensor, sigma: float, sigma_next: float, *, problem: Problem, denoise: Prior,
             constrain: Constrain, noise: Draw) -> Tensor:
        r = sigma / (1 + sigma**2) ** 0.5
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            x0 = denoise(x, sigma)
            with torch.no_grad():
                near = prox(problem, x0.detach(), justified_gamma(r, problem.sigma, 1.0), cg_steps=self.cg_steps, rtol=self.rtol)
            (g,) = torch.autograd.grad(x0, x, near - x0.detach())
        x, x0 = x.detach(), x0.detach()
        kept, fresh = ddim_split(sigma, sigma_next, self.eta)
        return constrain(x0 + g) + kept * (x - x0) / sigma + fresh * noise()
