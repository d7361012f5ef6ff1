"""The prior alone."""

from dataclasses import dataclass

from .base import Method
from .budget import ddim_split


@dataclass(frozen=True)
class DDIM(Method):
    """Denoising diffusion implicit models: Song, Meng & Ermon, ICLR 2021, eq. 12."""

    needs = None
    eta: float = 0.0

    def step(self, x, sigma, sigma_next, *, problem, denoise, fix, noise):
        x0 = fix(denoise(x, sigma))
        kept, fresh = ddim_split(sigma, sigma_next, self.eta)
        return x0 + kept * (x - x0) / sigma + fresh * noise()


@dataclass(frozen=True)
class DDPM(Method):
    """Ancestral sampling: Ho, Jain & Abbeel, NeurIPS 2020, Alg. 2, at any spacing of the levels."""

    needs = None

    def step(self, x, sigma, sigma_next, *, problem, denoise, fix, noise):
        x0 = fix(denoise(x, sigma))
        share = (sigma_next / sigma) ** 2  # mean of q(x_next | x, x0) in x0 + sigma n
        return (1 - share) * x0 + share * x + sigma_next * (1 - share) ** 0.5 * noise()


@dataclass(frozen=True)
class ProbabilityFlow(Method):
    """The deterministic flow of the noise level: Karras et al., NeurIPS 2022, Alg. 1.

    Args:
        heun: second order (two prior calls a step, one in the last); False is Euler.
    """

    needs = None
    heun: bool = True

    def step(self, x, sigma, sigma_next, *, problem, denoise, fix, noise):
        slope = (x - fix(denoise(x, sigma))) / sigma
        euler = x + (sigma_next - sigma) * slope
        if not self.heun or sigma_next == 0:
            return euler
        slope_next = (euler - fix(denoise(euler, sigma_next))) / sigma_next
        return x + (sigma_next - sigma) * (slope + slope_next) / 2
