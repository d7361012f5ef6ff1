"""Denoising diffusion restoration models."""

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from ..operators import SpectralOperator
from ..priors import Prior
from ..problem import Problem
from ..settings import Bounds
from .base import Constrain, Draw, Method
from .budget import spectral_gains


@dataclass(frozen=True)
class DDRM(Method):
    """Denoising diffusion restoration: Kawar et al., NeurIPS 2022, eqs. 4-8.

    With eta_b = 1 its steps are those of DDNM+; it begins at the data instead of at pure noise where they are cleaner
    than the first level, which the loop's pure noise at a high level equals in the limit. Unlike the published code, the
    last step agrees with noise-free data.
    """

    needs = SpectralOperator
    eta: Annotated[float, Bounds(at_least=0, at_most=1)] = 0.85
    eta_b: Annotated[float, Bounds(at_least=0, at_most=1)] = 1.0

    def step(self, x: Tensor, sigma: float, sigma_next: float, *, problem: Problem, denoise: Prior,
             constrain: Constrain, noise: Draw) -> Tensor:
        S = problem.spectrum
        trust, kept, fresh = spectral_gains(S.s, problem.sigma, sigma_next, self.eta, self.eta_b)
        x0 = denoise(x, sigma)
        e = S.analyse((x - x0) / sigma)
        x0 = constrain(S.correct(x0, trust, problem.observed))
        return x0 + S.synthesise(kept * e + fresh * S.analyse(noise()))
