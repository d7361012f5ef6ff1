"""Score-MRI: predictor-corrector sampling of the images of the coils."""

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor

from ..consistency import prox
from ..operators import CoilOperator, SpectralOperator
from ..operators.base import required
from ..priors import Prior
from ..problem import Problem
from ..settings import Bounds
from .base import Constrain, Draw, Method
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
class ScoreMRI(Method):
    combination: Literal["hybrid", "ssos"] = "hybrid"
    every: Annotated[int, Bounds(at_least=1)] = 5
    correctors: Annotated[int, Bounds(at_least=0)] = 1
    snr: Annotated[float, Bounds(above=0)] = 0.16
    predictor: Predictor = "ancestral"
    noised: bool = False

    needs = CoilOperator

    def calls(self, steps: int, coils: int = 1) -> int:
        return coils * (steps + self.correctors * (steps - 1))

    def begin(self, problem: Problem | None, shape: torch.Size) -> CoilState:
        assert problem is not None  # as `needs` says
        return CoilState(of_coils(problem, shape[0]))

    def step(self, x: Tensor, sigma: float, sigma_next: float, *, problem: Problem, denoise: Prior,
             constrain: Constrain, noise: Draw) -> Tensor:
        state = self.begin(problem, x.shape)
        return self.advance(x, sigma, sigma_next, state, problem=problem, denoise=denoise, constrain=constrain, noise=noise)[0]

    def advance(self, x: Tensor, sigma: float, sigma_next: float, memory: CoilState, *, problem: Problem, denoise: Prior,
                constrain: Constrain, noise: Draw) -> tuple[Tensor, CoilState]:
        coils, measured = required(problem.operator, CoilOperator).coils, memory.problem  # type: ignore[type-abstract]

        def fresh() -> Tensor:
            return torch.stack([noise() for _ in range(coils.count)], 1).flatten(0, 1)

        def consistent(images: Tensor, level: float) -> Tensor:
            if self.noised and level == sigma_next:
                y = measured.y + level * measured.operator(fresh())
                return prox(Problem(measured.operator, y), images, justified_gamma(level, measured.sigma, 1.0))
            return prox(measured, images, justified_gamma(level, measured.sigma, 1.0))

        images = memory.images
        if images is None:
            n = fresh()
            images = coils.spread(x) + sigma * (n - coils.spread(coils.combine(n)))
        x0 = denoise(images, sigma)
        if sigma_next == 0:
            images = consistent(x0, sigma)
            x = constrain((coils.root if self.combination == "ssos" else coils.combine)(images))
            return x, CoilState(measured, memory.step + 1, images)
        images = consistent(predicted(images, x0, sigma, sigma_next, fresh(), "ve", self.predictor), sigma_next)
        for _ in range(self.correctors):
            score = (denoise(images, sigma_next) - images) / sigma_next**2
            images = consistent(corrected(images, score, fresh(), self.snr), sigma_next)
        if self.combination == "hybrid" and (memory.step + 1) % self.every == 0:
            g = justified_gamma(sigma_next, problem.sigma, 1.0)
            lam = 1.0 if g == float("inf") else g / (1 + g)
            x = coils.combine(images)
            images = images + lam * coils.spread(problem.operator.adjoint(problem.y - problem.operator(x)))
        return coils.combine(images), CoilState(measured, memory.step + 1, images)


def of_coils(problem: Problem, batch: int) -> Problem[SpectralOperator]:
    """What was measured of the image of each coil, for a batch of images."""
    coils, y = required(problem.operator, CoilOperator).coils, problem.y  # type: ignore[type-abstract]
    y = y.expand(batch, *y.shape[1:]).reshape(batch * coils.count, 1, *y.shape[2:])
    sigma = problem.sigma
    if isinstance(sigma, Tensor):
        sigma = sigma.expand(batch, 1, 1, 1).repeat_interleave(coils.count, 0)
    return Problem(coils.measure, y, sigma)
