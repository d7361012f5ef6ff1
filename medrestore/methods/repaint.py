"""RePaint: known coefficients with fresh noise, unknown ones from the prior."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..consistency import project
from ..operators import SpectralOperator
from ..priors import Prior
from ..problem import Problem
from .base import Constrain, Draw, Method
from .budget import ddim_split


@dataclass(frozen=True)
class RePaint(Method):
    """Known coefficients from y with fresh noise, unknown ones from the prior: Lugmayr et al., CVPR 2022, Alg. 1.

    Stated for pixel masks, here for any spectral operator: "known" are the coefficients with s > 0. The paper's
    resampling is `levels.time_travel`. The last step returns the known coefficients as they are, which the published
    code leaves regenerated.
    """

    needs, exact = SpectralOperator, True

    def step(self, x: Tensor, sigma: float, sigma_next: float, *, problem: Problem, denoise: Prior,
             constrain: Constrain, noise: Draw) -> Tensor:
        S = problem.spectrum
        x0 = constrain(project(problem, denoise(x, sigma)))
        kept, fresh = ddim_split(sigma, sigma_next, eta=1.0)
        unknown = kept * (x - x0) / sigma + fresh * noise()
        known = sigma_next * noise()
        return x0 + S.synthesise(torch.where(S.s > 0, S.analyse(known), S.analyse(unknown)))
