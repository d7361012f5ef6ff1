"""Decomposed diffusion sampling."""

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from ..consistency import prox
from ..priors import Prior
from ..problem import Problem
from ..settings import Bounds
from .base import Constrain, Draw, ProximalMethod
from .budget import ddim_split, fixed_gamma, justified_gamma
from .dpm_solver import Estimate, extrapolated


@dataclass(frozen=True)
class DDS(ProximalMethod):
    """Decomposed diffusion sampling: Chung, Lee & Ye, ICLR 2024, Alg. 1 and 3.

    A few conjugate-gradient steps from the denoised image stay in its Krylov space: enough for the data, too few to
    leave the prior. Needs only A and its adjoint, so it works with any multi-coil encoding.

    The published multi-coil code multiplies the data by (1 + i) through broadcasting and takes unconjugated products
    in its conjugate gradients; neither is in the paper, nor here.

    The paper's own constants are `DDS(gamma=5.0, cg_steps=5, eta=0.85)`. A fixed gamma fits the noise at the last levels, and
    an old noise direction carries the prior's mistakes along; the defaults here were ahead on validation subjects at 4x
    (docs/methods.md).

    Args:
        gamma: weight of the data; None ties it to the noise level of the step and of the data (`justified_gamma`). For
            noise-free data the paper's other form, least squares from the estimate, is used.
        cg_steps: conjugate-gradient steps a data step; None solves it.
        rtol: how well, where conjugate gradients do; see `prox`.
        lam: how much less than `justified_gamma` to trust the data.
        eta: share of fresh noise, DDIM's eta; None renews all of it at each step, however close the levels are.
        order: 1 is the paper. 2 extrapolates each estimate from the one before, as DPM-Solver++ does (`dpm_solver`), which
            is not in the paper: samples spread about as far as the posterior, where those of order 1 spread less, and
            their mean is better (of 4 samples, on the shipped scan at 4x: 1.1 and 1.0 dB with 10 and 20 network calls a
            sample), while a single sample is 0.4 dB worse (benchmarks/multistep.py). Meant for the default eta: with
            an eta below 1 it loses up to 2 dB.
    """

    gamma: Annotated[float | None, Bounds(above=0)] = None
    cg_steps: Annotated[int | None, Bounds(at_least=1)] = None
    lam: Annotated[float, Bounds(above=0)] = 1.0
    eta: Annotated[float | None, Bounds(at_least=0)] = None
    rtol: Annotated[float | None, Bounds(above=0)] = None
    order: Annotated[int, Bounds(at_least=1, at_most=2)] = 1

    @property
    def constant_gamma(self) -> float | None:
        return self.gamma

    def step(self, x: Tensor, sigma: float, sigma_next: float, *, problem: Problem, denoise: Prior,
             constrain: Constrain, noise: Draw) -> Tensor:
        x0, e = self.estimate(x, sigma, problem=problem, denoise=denoise, constrain=constrain)
        kept, fresh = ddim_split(sigma, sigma_next, self.eta)         # DDIM
        return x0 + kept * e + fresh * noise()

    def advance(self, x: Tensor, sigma: float, sigma_next: float, memory: Estimate | None, *, problem: Problem,
                denoise: Prior, constrain: Constrain, noise: Draw) -> tuple[Tensor, Estimate | None]:
        if self.order == 1:
            return super().advance(x, sigma, sigma_next, None, problem=problem, denoise=denoise, constrain=constrain,
                                   noise=noise)
        x0, e = self.estimate(x, sigma, problem=problem, denoise=denoise, constrain=constrain)
        kept, fresh = ddim_split(sigma, sigma_next, self.eta)
        return extrapolated(x0, sigma, sigma_next, memory) + kept * e + fresh * noise(), (x0, sigma)

    def estimate(self, x: Tensor, sigma: float, *, problem: Problem, denoise: Prior,
                 constrain: Constrain) -> tuple[Tensor, Tensor]:
        """(x0, e): the clean image that agrees with the data, and the noise of x as the prior has it."""
        gamma = (justified_gamma(sigma, problem.sigma, self.lam) if self.gamma is None
                 else fixed_gamma(self.gamma, problem.exact))
        x0 = denoise(x, sigma)                                        # Tweedie
        e = (x - x0) / sigma                                          # the noise it points along
        return constrain(prox(problem, x0, gamma, cg_steps=self.cg_steps, rtol=self.rtol)), e  # Krylov steps to the data
