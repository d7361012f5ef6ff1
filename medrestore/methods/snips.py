"""SNIPS: annealed Langevin dynamics on singular coefficients."""

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from ..operators import SpectralOperator
from ..priors import Prior
from ..problem import Problem
from ..settings import Bounds
from .base import Constrain, Draw, Method
from .budget import spectral_noise


@dataclass(frozen=True)
class SNIPS(Method):
    """Solving noisy inverse problems stochastically: Kawar, Vaksman & Elad, NeurIPS 2021, Alg. 1.

    `tau` Langevin steps a noise level on the coefficients of V. The noise of x is taken for a part of the noise of the data,
    nu = sigma_y / s on each coefficient, or the other way round, so that the score given y is known (eq. 7-9): where nu <=
    sigma, x is pulled to y / s alone; elsewhere to both y and the prior; where s = 0 to the prior. The steps are c times
    sigma^2 - nu^2, sigma^2 (1 - sigma^2 / nu^2) and sigma^2 (eq. 10), which makes every pull a fraction of a distance: no
    division by differences of noise levels. Departures: a step adds noise of variance c (2 - c), not 2 c, times that, which
    is the same for the paper's small c and keeps the noise level, which the prior is told, for a large one; the last step is
    the prior's estimate with exact data met, where the paper ends on the estimate.

    Args:
        c: step size. Levels must be close, as what is left of the noise lags behind by one.
            The paper's, 0.033 with 5 steps at each of 500 levels, needs thousands of calls of the prior.
        tau: steps a level, a call of the prior each.
    """

    needs = SpectralOperator
    c: Annotated[float, Bounds(above=0, at_most=1)] = 0.8
    tau: Annotated[int, Bounds(at_least=1)] = 1

    def calls(self, steps: int, coils: int = 1) -> int:
        return self.tau * steps

    def step(self, x: Tensor, sigma: float, sigma_next: float, *, problem: Problem, denoise: Prior,
             constrain: Constrain, noise: Draw) -> Tensor:
        S, y = problem.spectrum, problem.observed
        nu = spectral_noise(S.s, problem.sigma)
        clean = nu <= sigma
        w = torch.where(clean, 1.0, (sigma / nu.where(~clean, 1.0)) ** 2)  # share of the pull that is to y
        c = self.c
        fresh = (c * (2 - c) * torch.where(clean, sigma**2 - nu.where(clean, 0.0) ** 2, sigma**2 * (1 - w))).sqrt()
        for _ in range(self.tau if sigma_next > 0 else self.tau - 1):
            x0 = constrain(denoise(x, sigma))
            v, d = S.analyse(x), S.analyse(x0 - x)
            x = S.synthesise(v + c * (w * (y - v) + (1 - w) * d) + fresh * S.analyse(noise()))
        return x if sigma_next > 0 else constrain(S.correct(denoise(x, sigma), (nu == 0).to(x), y))
