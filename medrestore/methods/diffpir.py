"""Half-quadratic splitting with a diffusion denoiser."""

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from ..consistency import prox
from ..priors import Prior
from ..problem import Problem
from ..settings import Bounds
from .base import Constrain, Draw, ProximalMethod
from .budget import justified_gamma


@dataclass(frozen=True)
class DiffPIR(ProximalMethod):
    """Half-quadratic splitting with a diffusion denoiser: Zhu et al., CVPRW 2023, Alg. 1.

    The released code ends on a network call whose output it discards, and mixes units that make its lam four times
    smaller than the paper's; here the last step is a data step, and the units are one. The defaults give the posterior's
    spread on problems where it is known (docs/posteriors.md); the released deblurring constants are lam 7, zeta 0.3.

    Args:
        lam: how much less than `justified_gamma` to trust the data.
        zeta: share of fresh noise in the next level.
        cg_steps: conjugate-gradient steps a data step; None solves it.
        rtol: how well, where conjugate gradients do; see `prox`.
    """

    lam: Annotated[float, Bounds(above=0)] = 1.25
    zeta: Annotated[float, Bounds(at_least=0, at_most=1)] = 0.5
    cg_steps: Annotated[int | None, Bounds(at_least=1)] = None
    rtol: Annotated[float | None, Bounds(above=0)] = None

    def step(self, x: Tensor, sigma: float, sigma_next: float, *, problem: Problem, denoise: Prior,
             constrain: Constrain, noise: Draw) -> Tensor:
        x0 = denoise(x, sigma)
        gamma = justified_gamma(sigma, problem.sigma, self.lam)           # 1 / rho_t
        x0 = constrain(prox(problem, x0, gamma, cg_steps=self.cg_steps, rtol=self.rtol))
        e = (x - x0) / sigma                                              # recomputed after the data step
        return x0 + sigma_next * ((1 - self.zeta) ** 0.5 * e + self.zeta**0.5 * noise())
