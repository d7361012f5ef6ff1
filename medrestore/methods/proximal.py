"""Methods that need A and its adjoint only: the estimate is pulled towards the data."""

import math
from dataclasses import dataclass

from ..consistency import pull
from ..operators import LinearOperator
from .base import Method
from .budget import ddim_split


def justified_gamma(sigma: float, sigma_y: float, lam: float) -> float:
    """The weight of the data that their noise justifies: sigma^2 / (lam sigma_y^2), infinite for exact data.

    An estimate at level sigma is off by about sigma, the data by sigma_y (Zhu et al., CVPRW 2023, eq. 13).
    """
    return sigma**2 / (lam * sigma_y**2) if sigma_y > 0 else math.inf


@dataclass(frozen=True)
class DDS(Method):
    """Decomposed diffusion sampling: Chung, Lee & Ye, ICLR 2024, Alg. 1 and 3.

    A few conjugate-gradient steps from the denoised image stay in its Krylov space: enough for the data, too few to
    leave the prior. Needs only A and its adjoint, so it works with any multi-coil encoding.

    The published multi-coil code multiplies the data by (1 + i) through broadcasting and takes unconjugated products
    in its conjugate gradients; neither is in the paper, nor here.

    The paper's own constants are `DDS(gamma=5.0, cg_steps=5, eta=0.85)`. A fixed gamma fits the noise late in the walk, and
    an old noise direction carries the prior's mistakes along; the defaults here were ahead on validation subjects at 4x
    (docs/methods.md).

    Args:
        gamma: weight of the data; None ties it to the noise level of the step and of the data (`justified_gamma`). For
            noise-free data the paper's other form, least squares from the estimate, is used.
        cg_steps: conjugate-gradient steps a data step; None solves it.
        rtol: how well, where conjugate gradients do; see `pull`.
        lam: how much less than `justified_gamma` to trust the data.
        eta: share of fresh noise, DDIM's eta; see `ddim_split` for values above 1.
    """

    needs = LinearOperator
    gamma: float | None = None
    cg_steps: int | None = None
    lam: float = 1.0
    eta: float = 2.0
    rtol: float | None = None

    def step(self, x, sigma, sigma_next, *, problem, denoise, fix, noise):
        gamma = justified_gamma(sigma, problem.sigma, self.lam)
        if self.gamma is not None and problem.sigma > 0:
            gamma = self.gamma
        x0 = denoise(x, sigma)                                        # Tweedie
        e = (x - x0) / sigma                                          # the noise it points along
        x0 = fix(pull(problem, x0, gamma, cg_steps=self.cg_steps, rtol=self.rtol))  # Krylov steps to the data
        kept, fresh = ddim_split(sigma, sigma_next, self.eta)         # DDIM
        return x0 + kept * e + fresh * noise()


@dataclass(frozen=True)
class DiffPIR(Method):
    """Half-quadratic splitting with a diffusion denoiser: Zhu et al., CVPRW 2023, Alg. 1.

    The released code ends on a network call whose output it discards, and mixes units that make its lam four times
    smaller than the paper's; here the last step is a data step, and the units are one. The defaults give the posterior's
    spread on problems where it is known (docs/posteriors.md); the released deblurring constants are lam 7, zeta 0.3.

    Args:
        lam: how much less than `justified_gamma` to trust the data.
        zeta: share of fresh noise in the next level.
        cg_steps: conjugate-gradient steps a data step; None solves it.
        rtol: how well, where conjugate gradients do; see `pull`.
    """

    needs = LinearOperator
    lam: float = 1.25
    zeta: float = 0.5
    cg_steps: int | None = None
    rtol: float | None = None

    def step(self, x, sigma, sigma_next, *, problem, denoise, fix, noise):
        x0 = denoise(x, sigma)
        gamma = justified_gamma(sigma, problem.sigma, self.lam)           # 1 / rho_t
        x0 = fix(pull(problem, x0, gamma, cg_steps=self.cg_steps, rtol=self.rtol))
        e = (x - x0) / sigma                                              # recomputed after the data step
        return x0 + sigma_next * ((1 - self.zeta) ** 0.5 * e + self.zeta**0.5 * noise())


@dataclass(frozen=True)
class HQS(Method):
    """Plug-and-play half-quadratic splitting, no diffusion: Zhang et al., TPAMI 2022 (DPIR), Alg. 1.

    Deterministic but for where it starts: an estimate of the mean, and no samples. DPIR's own lam is 0.23.

    Args:
        lam: how much less than `justified_gamma` to trust the data.
        cg_steps: conjugate-gradient steps a data step; None solves it.
        rtol: how well, where conjugate gradients do; see `pull`.
    """

    needs = LinearOperator
    draws = False
    lam: float = 1.0
    cg_steps: int | None = None
    rtol: float | None = None

    def step(self, x, sigma, sigma_next, *, problem, denoise, fix, noise):
        gamma = justified_gamma(sigma, problem.sigma, self.lam)
        return fix(denoise(pull(problem, x, gamma, cg_steps=self.cg_steps, rtol=self.rtol), sigma))
