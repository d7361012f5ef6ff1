"""Posterior sampling by annealed Langevin dynamics."""

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
from .budget import justified_gamma


@dataclass(frozen=True)
class Langevin(ProximalMethod):
    """Annealed Langevin dynamics (CSGM-Langevin): Jalal et al., NeurIPS 2021, eq. 4, preconditioned as BART 1.0's `sample`.

    At each level sigma some steps of x <- x + eps P g + noise of covariance 2 eps P, where g is the gradient of
    log p_sigma(x) + log N(y; A x, v) and P = (I / sigma^2 + Ah A / v)^-1. P and the noise of covariance P are one proximal step
    of perturbed data.

    Departures: the paper has P = I, eps in proportion to sigma^2 and v = sigma_y^2 + gamma_t^2, gamma_t falling to zero
    (`annealed`); its published code makes the gradient of the data as long as the score. Step lengths must then be
    found for each acceleration; with P one serves every direction, and v = sigma_y^2 samples best (docs/posteriors.md). The
    noise is scaled by sqrt(1 - eps / 2), with which a step leaves a Gaussian of covariance P as it is, whatever eps. The last
    level ends with the mean of the image given x and y, where the published code returns x.

    Args:
        iterations: Langevin steps at each level, a network call each.
        eps: step length, in units in which 1 draws anew from the Gaussian of covariance P.
        annealed: whether v = sigma_y^2 + sigma^2 instead of sigma_y^2.
        cg_steps: conjugate-gradient steps a data step; None solves it.
        rtol: how well, where conjugate gradients do; see `prox`.
    """

    needs = LinearOperator
    iterations: Annotated[int, Bounds(at_least=1)] = 2
    eps: Annotated[float, Bounds(above=0, at_most=1)] = 0.5
    annealed: bool = False
    cg_steps: Annotated[int | None, Bounds(at_least=1)] = None
    rtol: Annotated[float | None, Bounds(above=0)] = None

    def calls(self, steps: int, coils: int = 1) -> int:
        return self.iterations * steps + 1

    def step(self, x: Tensor, sigma: float, sigma_next: float, *, problem: Problem, denoise: Prior,
             constrain: Constrain, noise: Draw) -> Tensor:
        variance = problem.sigma**2 + (sigma**2 if self.annealed else 0.0)
        for _ in range(self.iterations):
            e = constrain(denoise(x, sigma)) - x                                       # sigma^2 times the score
            spread = (2 * self.eps * (1 - self.eps / 2)) ** 0.5
            r = problem.y - problem.operator(x)
            a = self.eps * e + spread * sigma * noise()
            b = self.eps * r + spread * variance**0.5 * white_of_data(r, noise)
            gamma = justified_gamma(sigma, variance**0.5, 1.0)
            x = x + prox(Problem(problem.operator, b), a, gamma, cg_steps=self.cg_steps, rtol=self.rtol)
        if sigma_next > 0:
            return x
        x0 = denoise(x, sigma)
        return constrain(prox(problem, x0, justified_gamma(sigma, problem.sigma, 1.0), cg_steps=self.cg_steps, rtol=self.rtol))

def white_of_data(like: Tensor, noise: Draw) -> Tensor:
    """White noise shaped like a measurement (batch, ...), from the streams of the samples; complex where it is complex."""
    per_sample = like[0].numel() * (2 if like.is_complex() else 1)
    draws = [noise().flatten(1)]
    while len(draws) * draws[0].shape[1] < per_sample:
        draws.append(noise().flatten(1))
    n = torch.cat(draws, 1)[:, :per_sample]
    return torch.view_as_complex(n.reshape(*like.shape, 2)) if like.is_complex() else n.reshape(like.shape)
