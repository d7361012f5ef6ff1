"""Plug-and-play diffusion models: a split Gibbs sampler."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

from torch import Tensor

from ..levels import levels_inside
from ..operators import LinearOperator
from ..priors import Prior
from ..problem import Problem
from ..settings import Bounds
from .base import Constrain, Draw, ProximalMethod
from .likelihood import given_data


@dataclass(frozen=True)
class PnPDM(ProximalMethod):
    """Plug-and-play diffusion models: Wu, Sun, Chen, Zhang, Yue & Bouman, NeurIPS 2024, Alg. 1.

    Gibbs sampling of an image and a copy of it that are coupled by a Gaussian of std rho: the copy given image and data, a
    Gaussian for linear operators (its sec. 3.1), and the image given the copy, which is the sampling of the prior from
    noise level rho down (its Alg. 2). rho runs down the noise levels. Departures: the reverse diffusion takes ancestral steps
    on levels of its own, where the paper takes Euler's of the same equation on what is left of a fixed ladder of 100; the
    paper goes on at the last rho, after which samples are averaged, here the last image is the sample.

    Args:
        prior_steps: of the reverse diffusion, a call of the prior each.
        cg_steps: conjugate-gradient steps a data step; None solves it.
        rtol: how well, where conjugate gradients do; see `prox`.
    """

    needs = LinearOperator
    prior_steps: Annotated[int, Bounds(at_least=1)] = 4
    cg_steps: Annotated[int | None, Bounds(at_least=1)] = None
    rtol: Annotated[float | None, Bounds(above=0)] = None

    def calls(self, steps: int, coils: int = 1) -> int:
        return self.prior_steps * steps

    def step(self, x: Tensor, sigma: float, sigma_next: float, *, problem: Problem, denoise: Prior,
             constrain: Constrain, noise: Draw) -> Tensor:
        for level, lower in pairwise(levels_inside(self.prior_steps, sigma, denoise.sigma_range[0])):
            share = (lower / level) ** 2
            x = (1 - share) * denoise(x, level) + share * x
            if lower > 0:
                x = x + level * (1 - share) ** 0.5 * noise()  # the larger of DDPM's two variances
        x = given_data(problem, constrain(x), sigma_next, noise=noise, cg_steps=self.cg_steps, rtol=self.rtol)
        return x if sigma_next > 0 else constrain(x)
