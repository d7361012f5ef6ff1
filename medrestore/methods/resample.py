"""Hard data consistency for priors of codes, by resampling."""

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor

from ..consistency import prox
from ..operators import LinearOperator, OfCodes
from ..priors import Prior
from ..problem import Problem
from ..settings import Bounds
from .base import Constrain, Draw, Method
from .budget import ddim_split, justified_gamma


@dataclass(frozen=True)
class ReSample(Method):
    """ReSample: Song, Kwon, Zhang, Hu, Qu & Shen, ICLR 2024, Alg. 1, for linear measurements of what is decoded.

    A step estimates the clean code (Tweedie), takes the step of DDIM, makes the decoded estimate agree with the data in
    pixels, encodes it again, and draws the next code from the product of both (eq. 12 with the variance of eq. 13):
    z' ~ N((s^2 z(y) + v z_ddim) / (s^2 + v), s^2 v / (s^2 + v)), v = sigma_next^2. Written for z0 + sigma n, the paper's
    s_t^2 = gamma (1 - abar_next) / abar (1 - abar / abar_next), which is for sqrt(abar) z, is
    s^2 = gamma sigma_next^2 (sigma^2 - sigma_next^2).

    Departures: the data step is the proximal step of the pixels in closed form or by conjugate gradients where the paper
    descends to the noise's size (its eq. 9 in pixels), it is taken at every level instead of every tenth, and the second
    stage, descent in codes, is left out: what the autoencoder cannot reconstruct stays lost.

    Args:
        gamma: how much the consistent estimate counts in resampling; 40 in the paper.
        lam: how much less than `justified_gamma` to trust the data in the data step.
        eta: of the step of DDIM.
    """

    needs = OfCodes
    gamma: Annotated[float, Bounds(above=0)] = 40.0
    lam: Annotated[float, Bounds(above=0)] = 1.0
    eta: Annotated[float, Bounds(at_least=0, at_most=1)] = 0.0

    def step(self, x: Tensor, sigma: float, sigma_next: float, *, problem: Problem[OfCodes], denoise: Prior,
             constrain: Constrain, noise: Draw) -> Tensor:
        z0 = denoise(x, sigma)
        zy = constrain(self.consistent(z0, sigma, problem))
        if sigma_next == 0:
            return zy
        kept, fresh = ddim_split(sigma, sigma_next, self.eta)
        z = z0 + kept * (x - z0) / sigma + fresh * noise()
        v = sigma_next**2
        s = self.gamma * v * (sigma**2 - v)
        return (s * zy + v * z) / (s + v) + (s * v / (s + v)) ** 0.5 * noise()

    def consistent(self, z0: Tensor, sigma: float, problem: Problem[OfCodes]) -> Tensor:
        """The code of the image nearest to that of z0 that agrees with the data as closely as their noise lets it."""
        codes = problem.operator
        A = codes.operator
        assert isinstance(A, LinearOperator)  # of which alone `Problem.encoded` makes OfCodes
        pixels = Problem(A, problem.y, problem.sigma)
        return codes.encode(prox(pixels, codes.decode(z0), justified_gamma(sigma, problem.sigma, self.lam)))
