"""Regularisation by denoising diffusion."""

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from ..consistency import misfit
from ..priors import Prior
from ..problem import Problem
from ..settings import Bounds
from .base import Constrain, Draw, Remembering

BETAS, TINY = (0.9, 0.99), 1e-8  # of Adam, as in the published code


@dataclass(frozen=True)
class Iterate:
    """Where the optimisation stands.

    Attributes:
        mu: the image, the mean of the variational distribution.
        mean, square: moving averages of the gradient and of its square.
        count: steps so far.
    """

    mu: Tensor
    mean: Tensor
    square: Tensor
    count: int


@dataclass(frozen=True)
class REDDiff(Remembering):
    """Regularisation by denoising diffusion: Mardani, Song, Kautz & Vahdat, ICLR 2024, Alg. 1. An estimate, and no samples.

    One step of Adam (Kingma & Ba, ICLR 2015) a noise level, on |y - A(mu)|^2 / 2 + lambda_t sg(e - n)^T mu, where e is the
    noise that the prior finds in mu + sigma n. With the paper's lambda_t = lam sigma, the inverse of its signal-to-noise
    ratio, the gradient of the second term is lam (mu - x0). No gradient passes through the prior. The image begins at the
    prior's estimate of the first x, not at A^+ y, which not every operator has.

    Args:
        lam: weight of the prior. The paper's: the noise of the data does not enter.
        lr: step size of Adam, in the units of the prior.
    """

    draws = False
    lam: Annotated[float, Bounds(above=0)] = 0.25
    lr: Annotated[float, Bounds(above=0)] = 0.1

    def advance(self, x: Tensor, sigma: float, sigma_next: float, memory: Iterate | None, *, problem: Problem,
                denoise: Prior, constrain: Constrain, noise: Draw) -> tuple[Tensor, Iterate]:
        if memory is None:
            mu = denoise(x, sigma)
            memory, prior_part = Iterate(mu, torch.zeros_like(mu), torch.zeros_like(mu), 0), torch.zeros_like(mu)
        else:
            mu = memory.mu
            prior_part = mu - denoise(mu + sigma * noise(), sigma)
        with torch.enable_grad():
            at = mu.detach().requires_grad_()
            (data_part,) = torch.autograd.grad(misfit(problem, at).square().sum() / 2, at)
        memory = self._adam(memory, data_part + self.lam * prior_part)
        mu = constrain(memory.mu)
        return mu, Iterate(mu, memory.mean, memory.square, memory.count)

    def _adam(self, at: Iterate, gradient: Tensor) -> Iterate:
        """One step of Adam, each pixel on its own."""
        first, second, count = *BETAS, at.count + 1
        mean = first * at.mean + (1 - first) * gradient
        square = second * at.square + (1 - second) * gradient.square()
        step = mean / (1 - first**count) / ((square / (1 - second**count)).sqrt() + TINY)
        return Iterate(at.mu - self.lr * step, mean, square, count)
