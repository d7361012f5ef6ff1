"""Guidance by the gradient of the misfit through the prior."""

from dataclasses import dataclass, replace
from typing import Annotated

import torch
from torch import Tensor

from ..consistency import energy, misfit
from ..priors import Prior
from ..problem import Problem
from ..settings import Bounds
from .base import Constrain, Draw, Method
from .budget import ddim_split

IN_ALL = 400.0  # steps times their size: on simulated 8-coil scans 19 levels were best with 20, 99 with 5 to 10
LONGEST = 20.0  # on the shipped scan at 4x, 10 levels: 20 gives 25.2 dB, 40 gives 20.1, zero-filling 22.3


def in_all(steps: int) -> float:
    """The size of steps where it is left open and their number is known."""
    return min(max(IN_ALL / steps, 1.0), LONGEST)


def guided(x: Tensor, sigma: float, sigma_next: float, *, problem: Problem, denoise: Prior) -> tuple[Tensor, Tensor]:
    """(x0, gradient): the clean image, and that of the norm of its misfit in x, for steps of unit size.

    Alg. 1 of DPS is stated for sqrt(abar) x, and the gradient is scaled for x at `sigma_next`.
    """
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        x0 = denoise(x, sigma)
        (gradient,) = torch.autograd.grad(misfit(problem, x0).sum(), x)
    return x0.detach(), _likelihood_scale(sigma, sigma_next) * gradient


def likelihood_step(x0: Tensor, sigma: float, sigma_next: float, problem: Problem) -> Tensor:
    """(batch, 1, 1, 1): the size of the step for which Gaussian data ask; longer ones overshoot and fit the noise.

    The score of y at x is J^T A^T (r^2 A A^T + sigma_y^2)^-1 (y - A x0), r^2 = sigma^2 / (1 + sigma^2) (PiGDM, Song et al.,
    ICLR 2023, eq. 7), and x0 moves by sigma^2 of it. A A^T is taken as a number, its quotient along the gradient A^T r.
    """
    with torch.enable_grad():
        image = x0.detach().requires_grad_()
        size = misfit(problem, image)
        (gradient,) = torch.autograd.grad(size.sum(), image)
    size = size.detach().reshape(-1, 1, 1, 1)
    move = size * gradient
    seen = energy(problem.operator(x0 + move) - problem.operator(x0))
    gain = seen / energy(move).clamp(min=torch.finfo(x0.real.dtype).tiny)
    most = sigma**2 / (gain * sigma**2 / (1 + sigma**2) + problem.sigma**2)
    return most.nan_to_num(0.0) * size / _likelihood_scale(sigma, sigma_next)


def _likelihood_scale(sigma: float, sigma_next: float) -> float:
    return ((1 + sigma**2) * (1 + sigma_next**2)) ** 0.5


@dataclass(frozen=True)
class DPS(Method):
    """Diffusion posterior sampling: Chung et al., ICLR 2023, Alg. 1. Differentiates through the prior.

    The step is scaled by the norm of the misfit of each sample, as the paper has it; the published code takes one norm
    over the batch, so that its result depends on the batch.

    Args:
        step_size: of the gradient of that norm, 0.3 to 1 in the published code, for a thousand steps; the paper's zeta', on the
            gradient of the squared norm, is half of it. Fewer steps must be longer to reach the data: the commands take
            `IN_ALL` over their number, 1 to `LONGEST`, and `bounded`, where none is given; 1 elsewhere.
        eta: share of fresh noise; 1 is the paper's DDPM.
        bounded: no step is longer than `likelihood_step`; one call of A, its adjoint and A again more. The paper's steps
            of one length fit the noise at the low levels, and overshoot where the image has few pixels.
    """

    step_size: Annotated[float | None, Bounds(above=0)] = None
    eta: Annotated[float, Bounds(at_least=0)] = 1.0
    bounded: bool = False

    def in_steps(self, steps: int) -> "DPS":
        return replace(self, step_size=in_all(steps), bounded=True) if self.step_size is None else self

    def step(self, x: Tensor, sigma: float, sigma_next: float, *, problem: Problem, denoise: Prior,
             constrain: Constrain, noise: Draw) -> Tensor:
        x0, gradient = guided(x, sigma, sigma_next, problem=problem, denoise=denoise)
        kept, fresh = ddim_split(sigma, sigma_next, self.eta)
        step_size: float | Tensor = 1.0 if self.step_size is None else self.step_size
        if self.bounded:
            step_size = likelihood_step(x0, sigma, sigma_next, problem).clamp(max=step_size)
        return constrain(x0 - step_size * gradient) + kept * (x - x0) / sigma + fresh * noise()
