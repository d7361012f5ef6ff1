"""Denoising diffusion null-space models: the range from the data, the null space from the prior."""

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from ..consistency import project
from ..operators import SpectralOperator
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
