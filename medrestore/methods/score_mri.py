"""Score-MRI: predictor-corrector sampling of the images of the coils."""

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor

from ..consistency import prox
from ..operators import CoilOperator, Coils, SpectralOperator
from ..operators.base import required
from ..priors import Prior
from ..problem import Problem
from ..settings import Bounds
from .base import Constrain, Draw, Remembering
from .budget import justified_gamma
from .score_sde import Predictor, corrected, predicted


@dataclass(frozen=True)
class CoilState:
    """Where a trajectory of coil images is.

    Attributes:
        problem: what was measured of the image of every coil.
        step: how many steps were taken.
        images: (batch * coil, channel, height, width), None before the first step.
    """

    problem: Problem[SpectralOperator]
    step: int = 0
    images: Tensor | None = None


@dataclass(frozen=True)
class ScoreMRI(Remembering):
    """Score-MRI: Chung & Ye, Medical Image Analysis 80, 2022: the images of the coils by predictor and corrector.

    Each half of a step ends with a data step on the k-space of every coil, x <- x + lam F^-1 (y - M F x), y without noise of
    the level (Alg. 1-3). `hybrid` also moves all coils towards one image behind them, x_c <- x_c + lam S_c Ah (y - A Sh x), and
    combines them by their maps (Alg. 5); `ssos` is the root of the sum of their squares (Alg. 4), with the phase that the maps
    give, since data are compared with complex images. With a prior of real images the real and the imaginary part are
    denoised apart (`priors.ByParts`), as the paper's network does. A network call for each coil, so it is slow.

    Departures: lam is 1 for data without noise, and sigma^2 / (sigma^2 + sigma_y^2) at level sigma for others, where the paper
    lets it fall from 1 to 0.2 by hand; the published hybrid applies the maps twice and adds one image to all coils. Ancestral
    prediction and a common step of the coils at each level suit tens of levels; the paper has reverse diffusion, and 2000 or
    500 levels with a common step every 50.

    Args:
        combination: of the coils.
        every: levels between two common steps of the coils.
        correctors: Langevin steps at each level, a network call for each coil.
        snr: of the corrector.
        predictor: see `ScoreSDE`.
    """

    needs, by_parts = CoilOperator, True
    combination: Literal["hybrid", "ssos"] = "hybrid"
    every: Annotated[int, Bounds(at_least=1)] = 1
    correctors: Annotated[int, Bounds(at_least=0)] = 1
    snr: Annotated[float, Bounds(above=0)] = 0.16
    predictor: Predictor = "ancestral"

    def calls(self, steps: int, coils: int = 1) -> int:
        return coils * (steps + self.correctors * (steps - 1))

    def begin(self, problem: Problem | None, shape: torch.Size) -> CoilState:
        assert problem is not None  # as `needs` says
        return CoilState(of_coils(problem, shape[0]))

    def advance(self, x: Tensor, sigma: float, sigma_next: float, memory: CoilState, *, problem: Problem, denoise: Prior,
                constrain: Constrain, noise: Draw) -> tuple[Tensor, CoilState]:
        coils, measured = coils_of(problem), memory.problem

        def fresh() -> Tensor:
            return torch.stack([noise() for _ in range(coils.count)], 1).flatten(0, 1)

        def consistent(images: Tensor, level: float) -> Tensor:
            return prox(measured, images, justified_gamma(level, measured.sigma, 1.0))

        images = begun(coils, x, sigma, fresh()) if memory.images is None else memory.images
        x0 = denoise(images, sigma)
        if sigma_next == 0:
            images = consistent(x0, sigma)
            x = (coils.root if self.combination == "ssos" else coils.combine)(images)
            return constrain(x), CoilState(measured, memory.step + 1, images)
        images = consistent(predicted(images, x0, sigma, sigma_next, fresh(), "ve", self.predictor), sigma_next)
        for _ in range(self.correctors):
            score = (denoise(images, sigma_next) - images) / sigma_next**2
            images = consistent(corrected(images, score, fresh(), self.snr), sigma_next)
        if self.combination == "hybrid" and (memory.step + 1) % self.every == 0:
            left = problem.operator.adjoint(problem.y - problem.operator(coils.combine(images)))
            images = images + coils.spread(trust(sigma_next, problem) * left)
        return coils.combine(images), CoilState(measured, memory.step + 1, images)


def coils_of(problem: Problem) -> Coils:
    """The coils of a problem whose operator has them."""
    return required(problem.operator, CoilOperator).coils  # type: ignore[type-abstract]  # any subclass will do


def begun(coils: Coils, x: Tensor, sigma: float, n: Tensor) -> Tensor:
    """Coil images with white noise of std sigma, whose combination is x: the noise of x, and n where the maps see none of it."""
    return coils.spread(x) + sigma * (n - coils.spread(coils.combine(n)))


def trust(sigma: float, problem: Problem) -> float | Tensor:
    """sigma^2 / (sigma^2 + sigma_y^2)."""
    return sigma**2 / (sigma**2 + problem.sigma**2)


def of_coils(problem: Problem, batch: int) -> Problem[SpectralOperator]:
    """What was measured of the image of each coil, for a batch of images."""
    coils, y = coils_of(problem), problem.y
    y = y.expand(batch, *y.shape[1:]).reshape(batch * coils.count, 1, *y.shape[2:])
    sigma = problem.sigma
    if isinstance(sigma, Tensor):
        sigma = sigma.expand(batch, 1, 1, 1).repeat_interleave(coils.count, 0)
    return Problem(coils.measure, y, sigma)
