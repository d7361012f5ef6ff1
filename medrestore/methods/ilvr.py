"""Iterative latent variable refinement."""

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from ..consistency import project
from ..operators import PseudoInvertible
from ..priors import Prior
from ..problem import Problem
from ..settings import Bounds
from .base import Constrain, Draw, Method
from .budget import ddim_split


def with_noised_data(problem: Problem[PseudoInvertible], x: Tensor, sigma: float, noise: Tensor) -> Tensor:
    """x with what A measures of it replaced by the data at noise level sigma: x + A^+ (y + sigma A n - A x).

    Args:
        x: at that level.
        noise: n, white.
    """
    return project(problem, x - sigma * noise) + sigma * noise


@dataclass(frozen=True)
class ILVR(Method):
    """Iterative latent variable refinement: Choi, Kim, Jeong, Gwon & Yoon, ICCV 2021, Alg. 1. For noise-free data.

    After each unconditional step the low frequencies of x are replaced by those of y, noised to the same level. The paper's
    filter phi, a reduction by N and back, is A^+ A here, so that any operator with a pseudo-inverse serves. Constraints are
    applied to the clean estimate. For a spectral operator the samples are distributed as those of `RePaint`.

    Args:
        down_to: the noise level below which steps are unconditional, so that y guides the coarse structure alone: the end of
            the paper's conditioning range (its sec. 4.3). 0 conditions every step, and the data are met.
    """

    needs, exact = PseudoInvertible, True
    down_to: Annotated[float, Bounds(at_least=0)] = 0.0

    def step(self, x: Tensor, sigma: float, sigma_next: float, *, problem: Problem, denoise: Prior,
             constrain: Constrain, noise: Draw) -> Tensor:
        kept, fresh = ddim_split(sigma, sigma_next, eta=1.0)
        x0 = denoise(x, sigma)
        proposal = constrain(x0) + kept * (x - x0) / sigma + fresh * noise()  # x'_{t-1}
        if sigma_next < self.down_to:
            return proposal
        x = with_noised_data(problem, proposal, sigma_next, noise())
        return x if sigma_next > 0 else constrain(x)
