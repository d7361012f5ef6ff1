"""Denoising diffusion null-space models: the range from the data, the null space from the prior."""

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from ..consistency import project
from ..operators import PseudoInvertible, SpectralOperator
from ..priors import Prior
from ..problem import Problem
from ..settings import Bounds
from .base import Constrain, Draw, Method
from .budget import fixed_split, spectral_gains


@dataclass(frozen=True)
class DDNM(Method):
    """The range from y, the null space from the prior: Wang, Yu & Zhang, ICLR 2023, Alg. 1. For noise-free data.

    The noise is split by eta as in the paper's experiments; the published "simplified" code adds less noise than the
    level asks for (it scales the injected noise twice), which this does not.
    """

    needs, exact = SpectralOperator, True
    eta: Annotated[float, Bounds(at_least=0, at_most=1)] = 0.85

    def step(self, x: Tensor, sigma: float, sigma_next: float, *, problem: Problem, denoise: Prior,
             constrain: Constrain, noise: Draw) -> Tensor:
        x0 = denoise(x, sigma)
        e = (x - x0) / sigma
        x0 = constrain(project(problem, x0))
        kept, fresh = fixed_split(sigma_next, self.eta)
        return x0 + kept * e + fresh * noise()


@dataclass(frozen=True)
class DDNMPlus(Method):
    """DDNM with y's noise accounted for: Wang, Yu & Zhang, ICLR 2023, Alg. 2 and appendix I.

    Departs from the published code, which rotates the kept noise by the wrong basis for all operators but inpainting
    and denoising, and in its "simplified" form squares alpha-bar in the noise level. Time travel is
    `levels.time_travel`.
    """

    needs = SpectralOperator
    eta: Annotated[float, Bounds(at_least=0, at_most=1)] = 0.85

    def step(self, x: Tensor, sigma: float, sigma_next: float, *, problem: Problem, denoise: Prior,
             constrain: Constrain, noise: Draw) -> Tensor:
        S = problem.spectrum
        trust, kept, fresh = spectral_gains(S.s, problem.sigma, sigma_next, self.eta)
        x0 = denoise(x, sigma)                                                      # predict
        e = (x - x0) / sigma
        x0 = constrain(S.correct(x0, trust, problem.observed))                            # correct
        return x0 + S.synthesise(kept * S.analyse(e) + fresh * S.analyse(noise()))  # renoise


@dataclass(frozen=True)
class SimplifiedDDNMPlus(Method):
    """DDNM+ with two numbers a step in place of a spectrum: Wang, Yu & Zhang, ICLR 2023, sec. 3.3, eqs. 17-19.

    Needs A and A^+ alone. lambda_t is how far to believe y, gamma_t the std of the noise that is put back; both are those
    of an A^+ y whose noise is white. It is not, for most operators, and the null space gets less noise than the level asks
    for; the price of needing no spectrum. The paper takes the noise of y for that of A^+ y, which holds in units where
    A A^+ = A A^T; here it is measured (`Problem.inverted_noise`). The published code squares alpha-bar in the noise
    level and scales the injected noise twice, which this does not.

    Args:
        eta: share of fresh noise, as in the paper's experiments; None draws x_{t-1} from q(x_{t-1} | x_t, x0) instead, the
            paper's eq. 4 and 18.
    """

    needs = PseudoInvertible
    eta: Annotated[float | None, Bounds(at_least=0, at_most=1)] = 0.85

    def step(self, x: Tensor, sigma: float, sigma_next: float, *, problem: Problem, denoise: Prior,
             constrain: Constrain, noise: Draw) -> Tensor:
        x0 = denoise(x, sigma)
        e = (x - x0) / sigma
        share = (sigma_next / sigma) ** 2 if self.eta is None else 0.0
        a, level = 1 - share, sigma_next * (1 - share) ** 0.5  # weight of x0 in the mean, and std, of the next x
        brought = a * problem.inverted_noise
        lam = torch.where(brought > level, level / brought.where(brought > 0, 1.0), 1.0)
        gamma = (level**2 - (lam * brought) ** 2).clamp(min=0).sqrt()
        x0 = constrain(x0 + lam * (project(problem, x0) - x0))
        if self.eta is None:
            return a * x0 + share * x + gamma * noise()
        return x0 + gamma * ((1 - self.eta**2) ** 0.5 * e + self.eta * noise())
