"""Guidance by the gradient of the misfit through the prior."""

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from ..consistency import misfit
from ..priors import Prior
from ..problem import Problem
from ..settings import Bounds
from .base import Constrain, Draw, Method
from .budget import ddim_split


@dataclass(frozen=True)
class DPS(Method):
    """Diffusion posterior sampling: Chung et al., ICLR 2023, Alg. 1. Differentiates through the prior.

    The step is scaled by the norm of the misfit of each sample, as the paper has it; the published code takes one norm
    over the batch, so that its result depends on the batch.

    Args:
        step_size: of the gradient of that norm, 0.3 to 1 in the published code; the paper's zeta', on the gradient of the
            squared norm, is half of it.
        eta: share of fresh noise; 1 is the paper's DDPM.
    """

    step_size: Annotated[float, Bounds(above=0)] = 1.0
    eta: Annotated[float, Bounds(at_least=0)] = 1.0

    def step(self, x: Tensor, sigma: float, sigma_next: float, *, problem: Problem, denoise: Prior,
             constrain: Constrain, noise: Draw) -> Tensor:
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            x0 = denoise(x, sigma)
            (gradient,) = torch.autograd.grad(misfit(problem, x0).sum(), x)
        x, x0 = x.detach(), x0.detach()
        kept, fresh = ddim_split(sigma, sigma_next, self.eta)
        scale = ((1 + sigma**2) * (1 + sigma_next**2)) ** 0.5  # Alg. 1 is stated for sqrt(abar) x
        guided = constrain(x0 - self.step_size * scale * gradient)
        return guided + kept * (x - x0) / sigma + fresh * noise()
