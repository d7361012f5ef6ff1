"""Inversion of the sampler."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from torch import Tensor

from ..consistency import misfit
from ..inversion import Trajectory, descend
from ..priors import Prior
from ..problem import Problem
from ..settings import Bounds
from .base import Constrain, TrajectoryMethod


@dataclass(frozen=True)
class SHRED(TrajectoryMethod):
    """Restoration by diffusion inversion: Chihaoui, Lemkhenter & Favaro, arXiv 2405.19572 (later titled BIRD), Alg. 1.

    Adam on the initial noise of a DDIM trajectory over few large steps; the data decide which noise, the prior what it becomes.
    Each sample begins at a noise of its own; the one of least misfit is `Restoration.best`. The paper's settings:
    lr 0.01 and 200 iterations for inpainting, 0.001 and 100 for super-resolution by 8, levels `ddpm_strided(100)`. The defaults
    were each the best of those tried on a validation scene, one changed at a time (docs/inversion.md).

    Args:
        lr: of Adam.
        iterations: at most, each a trajectory (two network calls a level with the full gradient, one with the shortcut).
        tolerance: the mean squared error of the data, in the prior's units, at which a sample is done; by default the
            variance of the noise. Data without noise take all iterations.
        gradient: "full" or "shortcut"; see `inversion.Trajectory`.
        clip: of clean estimates; see `inversion.Trajectory`.
    """

    default_steps = 5
    lr: Annotated[float, Bounds(above=0)] = 0.1
    iterations: Annotated[int, Bounds(at_least=1)] = 120
    tolerance: Annotated[float | None, Bounds(at_least=0)] = None
    gradient: Literal["full", "shortcut"] = "shortcut"
    clip: Annotated[float | None, Bounds(above=0)] = None

    def calls(self, steps: int, coils: int = 1) -> int:
        """At most: the full gradient computes each trajectory but the last again on the way back."""
        return steps * (2 * self.iterations - 1 if self.gradient == "full" else self.iterations)

    def sample(self, noise: Tensor, levels: Sequence[float], *, start: Tensor | float, problem: Problem, denoise: Prior,
               constrain: Constrain, on_step: Callable[[int, Tensor], None] | None) -> Tensor:
        trajectory = Trajectory(denoise, levels, self.gradient, self.clip, constrain=constrain, start=start)

        def judge(x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
            return misfit(problem, x).square() / problem.count, ()

        return descend(trajectory, noise, judge, lr=self.lr, iterations=self.iterations, enough=self._enough(problem),
                       on_step=on_step).images

    def _enough(self, problem: Problem) -> float | Tensor | None:
        """The loss at which a sample is done."""
        if self.tolerance is not None:
            return self.tolerance
        if isinstance(problem.sigma, Tensor):
            return problem.sigma.flatten() ** 2
        return problem.sigma**2 if problem.sigma > 0 else None
