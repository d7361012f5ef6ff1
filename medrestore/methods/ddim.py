"""Denoising diffusion implicit models: the prior alone."""

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from ..priors import Prior
from ..problem import Problem
from ..settings import Bounds
from .base import Constrain, Draw, Method
from .budget import ddim_split


@dataclass(frozen=True)
class DDIM(Method):
    """Denoising diffusion implicit models: Song, Meng & Ermon, ICLR 2021, eq. 12."""

    needs = None
    eta: Annotated[float, Bounds(at_least=0, at_most=1)] = 0.0

    def step(self, x: Tensor, sigma: float, sigma_next: float, *, problem: Problem, denoise: Prior,
             constrain: Constrain, noise: Draw) -> Tensor:
        x0 = constrain(denoise(x, sigma))
        kept, fresh = ddim_split(sigma, sigma_next, self.eta)
        return x0 + kept * (x - x0) / sigma + fresh * noise()
