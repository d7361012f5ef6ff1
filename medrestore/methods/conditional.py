"""Sampling of a prior that is given the coarse image."""

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from ..priors import Prior
from ..problem import Problem
from ..settings import Bounds
from .base import Constrain, Draw, Method
from .budget import ddim_split


@dataclass(frozen=True)
class Conditional(Method):
    """DDIM with a prior that is given the coarse image: SR3 (Saharia et al., IEEE TPAMI 2023, Alg. 2), and in codes the latent
    super-resolution of Rombach et al. (CVPR 2022, sec. 4.4).

    The data decide the image by the condition alone: nothing makes it agree with them otherwise.

    Args:
        eta: 0 is deterministic after the first noise, 1 is DDPM, as SR3 samples.
    """

    given = True
    eta: Annotated[float, Bounds(at_least=0, at_most=1)] = 1.0

    def step(self, x: Tensor, sigma: float, sigma_next: float, *, problem: Problem, denoise: Prior,
             constrain: Constrain, noise: Draw) -> Tensor:
        x0 = denoise(x, sigma)
        kept, fresh = ddim_split(sigma, sigma_next, self.eta)
        return x0 + kept * (x - x0) / sigma + fresh * noise()
