"""Methods that work on the singular values of A, each coefficient on its own."""

from dataclasses import dataclass

import torch

from ..consistency import project
from ..operators import SpectralOperator
from .base import Method
from .budget import ddim_split, fixed_split, spectral_gains


@dataclass(frozen=True)
class DDNM(Method):
    """The range from y, the null space from the prior: Wang, Yu & Zhang, ICLR 2023, Alg. 1. For noise-free data.

    The noise is split by eta as in the paper's experiments; the published "simplified" code adds less noise than the
    level asks for (it scales the injected noise twice), which this does not.
    """

    needs = SpectralOperator
    eta: float = 0.85

    def step(self, x, sigma, sigma_next, *, problem, denoise, fix, noise):
        x0 = denoise(x, sigma)
        e = (x - x0) / sigma
        x0 = fix(project(problem, x0))
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
    eta: float = 0.85

    def step(self, x, sigma, sigma_next, *, problem, denoise, fix, noise):
        S = problem.operator.spectrum
        trust, kept, fresh = spectral_gains(S.s, problem.sigma, sigma_next, self.eta)
        x0 = denoise(x, sigma)                                                      # predict
        e = (x - x0) / sigma
        x0 = fix(S.correct(x0, trust, problem.observed))                            # correct
        return x0 + S.synthesise(kept * S.analyse(e) + fresh * S.analyse(noise()))  # renoise


@dataclass(frozen=True)
class DDRM(Method):
    """Denoising diffusion restoration: Kawar et al., NeurIPS 2022, eqs. 4-8.

    With eta_b = 1 its steps are those of DDNM+; it begins at the data instead of at pure noise where they are cleaner
    than the first level, which the loop's pure noise at a high level equals in the limit. Unlike the published code, the
    last step agrees with noise-free data.
    """

    needs = SpectralOperator
    eta: float = 0.85
    eta_b: float = 1.0

    def step(self, x, sigma, sigma_next, *, problem, denoise, fix, noise):
        S = problem.operator.spectrum
        trust, kept, fresh = spectral_gains(S.s, problem.sigma, sigma_next, self.eta, self.eta_b)
        x0 = denoise(x, sigma)
        e = S.analyse((x - x0) / sigma)
        x0 = fix(S.correct(x0, trust, problem.observed))
        return x0 + S.synthesise(kept * e + fresh * S.analyse(noise()))


@dataclass(frozen=True)
class RePaint(Method):
    """What is known from y, freshly noised; the rest from the prior: Lugmayr et al., CVPR 2022, Alg. 1.

    Stated for pixel masks, here for any spectral operator: "known" are the coefficients with s > 0. The paper's
    resampling is `levels.time_travel`. The last step returns the known coefficients as they are, which the published
    code leaves regenerated.
    """

    needs = SpectralOperator

    def step(self, x, sigma, sigma_next, *, problem, denoise, fix, noise):
        S = problem.operator.spectrum
        x0 = fix(project(problem, denoise(x, sigma)))
        kept, fresh = ddim_split(sigma, sigma_next, eta=1.0)
        unknown = kept * (x - x0) / sigma + fresh * noise()
        known = sigma_next * noise()
        return x0 + S.synthesise(torch.where(S.s > 0, S.analyse(known), S.analyse(unknown)))
