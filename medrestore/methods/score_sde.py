"""Score-based SDEs with predictor and corrector, conditioned by projection."""

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor

from ..operators import SpectralOperator
from ..priors import Prior
from ..problem import Problem
from ..settings import Bounds
from .base import Constrain, Draw, Method
from .budget import spectral_noise

SDE = Literal["ve", "vp"]
Predictor = Literal["ancestral", "reverse-diffusion"]


@dataclass(frozen=True)
class ScoreSDE(Method):
    """Predictor-corrector sampling: Song et al., ICLR 2021, Alg. 2-5, with their imputation (app. I.2) as the projection.

    After each half of a step, coefficients that the data measure are replaced by the data's, with as much fresh noise as the
    level has beyond the data's own. Stated for masks and colors and data without noise; here for any spectral operator, and
    coefficients whose data are noisier than the level are left to the prior, which denoises them from there on. The last step,
    to 0, is the denoised image without a corrector, as in the published code.

    Departures: norms of the corrector are those of each sample, where the published code takes means over the batch; the
    predictor is by default the ancestral one (app. F), as reverse diffusion brings sqrt(sigma^2 - sigma_next^2) of noise
    along, which is more than sigma_next unless levels are close: a thousand of them, not fifty.

    Args:
        sde: variance exploding or preserving: how much noise the predictor and how long a step the corrector has.
        predictor: ancestral sampling (app. F), or reverse diffusion (app. E).
        correctors: Langevin steps at each level, a network call each.
        snr: of the corrector, r of Alg. 4 and 5.
    """

    needs = SpectralOperator
    sde: SDE = "ve"
    predictor: Predictor = "ancestral"
    correctors: Annotated[int, Bounds(at_least=0)] = 1
    snr: Annotated[float, Bounds(above=0)] = 0.16

    def calls(self, steps: int, coils: int = 1) -> int:
        return steps + self.correctors * (steps - 1)

    def step(self, x: Tensor, sigma: float, sigma_next: float, *, problem: Problem, denoise: Prior,
             constrain: Constrain, noise: Draw) -> Tensor:
        x0 = constrain(denoise(x, sigma))
        if sigma_next == 0:
            return constrain(imputed(problem, x0, 0.0, None))
        x = predicted(x, x0, sigma, sigma_next, noise(), self.sde, self.predictor)
        x = imputed(problem, x, sigma_next, noise())
        alpha = 1.0 if self.sde == "ve" else (1 + sigma_next**2) / (1 + sigma**2)
        for _ in range(self.correctors):
            score = (constrain(denoise(x, sigma_next)) - x) / sigma_next**2 + informed(problem, x, sigma_next)
            x = corrected(x, score, noise(), self.snr, alpha)
            x = imputed(problem, x, sigma_next, noise())
        return x


def predicted(x: Tensor, x0: Tensor, sigma: float, sigma_next: float, n: Tensor, sde: SDE = "ve",
              predictor: Predictor = "ancestral") -> Tensor:
    """x at `sigma_next`: Song et al., ICLR 2021, eqs. 36, 46 and 47 and Ho, Jain & Abbeel, NeurIPS 2020, in x0 + sigma n.

    Args:
        x0: the clean image that x at `sigma` stands for.
        n: white noise.
    """
    gain, variance = 1 - (sigma_next / sigma) ** 2, sigma**2 - sigma_next**2
    if sde == "ve":
        fresh = variance if predictor == "reverse-diffusion" else gain * sigma_next**2
        return x + gain * (x0 - x) + fresh**0.5 * n
    abar, abar_next = 1 / (1 + sigma**2), 1 / (1 + sigma_next**2)
    beta = 1 - abar / abar_next
    fresh = beta / abar_next
    if predictor == "ancestral":
        return x + gain * (x0 - x) + fresh**0.5 * n
    mean = (abar / abar_next) ** 0.5 * ((2 - (1 - beta) ** 0.5) * x + beta / abar * (x0 - x) / sigma**2)
    return mean + fresh**0.5 * n


def corrected(x: Tensor, score: Tensor, n: Tensor, snr: float, alpha: float = 1.0) -> Tensor:
    """A Langevin step at one level: Song et al., ICLR 2021, Alg. 4 and 5, in x0 + sigma n.

    Args:
        score: gradient of log p at x.
        n: white noise.
        alpha: of Alg. 5; 1 for Alg. 4.
    """
    norm = torch.linalg.vector_norm(score.flatten(1), dim=1)
    size = torch.linalg.vector_norm(n.flatten(1), dim=1)
    step = 2 * alpha * (snr * size / norm.clamp(min=torch.finfo(norm.dtype).tiny)) ** 2
    step = step.reshape(-1, 1, 1, 1)
    return x + step * score + (2 * step).sqrt() * n


def imputed(problem: Problem[SpectralOperator], x: Tensor, sigma: float, n: Tensor | None) -> Tensor:
    """x at level `sigma` with the coefficients that the data know as well as that from the data.

    Args:
        n: white noise, None at level 0.
    """
    S = problem.spectrum
    nu = spectral_noise(S.s, problem.sigma)
    known = nu <= sigma
    target = problem.observed
    if n is not None:
        target = target + (sigma**2 - nu.where(known, 0.0) ** 2).clamp(min=0).sqrt() * S.analyse(n)
    return S.correct(x, known.to(S.s.dtype), target)


def informed(problem: Problem[SpectralOperator], x: Tensor, sigma: float) -> Tensor | float:
    """The part of the score at level `sigma` that comes from data which are noisier than the level.

    A coefficient of y, of noise nu, is x at level nu if nothing else was measured: given x at a lower level it has the variance
    nu^2 - sigma^2, which is taken for no less than sigma^2, so that a step of the corrector stays stable.
    """
    if problem.exact is True:
        return 0.0
    S = problem.spectrum
    nu = spectral_noise(S.s, problem.sigma)
    weight = torch.where(nu > sigma, 1 / (nu**2 - sigma**2).clamp(min=sigma**2), 0.0)
    return S.synthesise(weight * (problem.observed - S.analyse(x)))
