"""The contract between the sampling loop and a method."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..operators import Operator, PseudoInvertible
from ..priors import Prior
from ..problem import Problem
from ..settings import Checked

Constrain = Callable[[Tensor], Tensor]
Draw = Callable[[], Tensor]


class Method(Checked, ABC):
    """One reverse step: from x at noise level sigma to x at sigma_next < sigma, agreeing with the data.

    Methods are frozen dataclasses of hyper-parameters, whose bounds are checked when they are made. A method without
    memory defines `step` alone. One that remembers earlier steps of a trajectory (a multistep solver, a dual
    variable) is `Remembering`: it defines `advance`, and `begin` where its memory starts with something. None keeps anything
    in itself.

    The loop passes `problem` (in the prior's coordinates, and with an operator as `needs` says; None where it is None),
    `denoise` (the prior), `constrain` (exact extra constraints, for the corrected estimate) and `noise` (fresh white
    noise shaped like x).

    Attributes:
        needs: the least that the operator must know; None for methods that take no problem.
        draws: whether results are samples, whose spread means something; False for estimates of the mean.
        exact: whether it takes all data as free of noise, and so restores the noise of others.
        by_parts: whether a prior of real images will do for complex ones, as `priors.ByParts`.
        default_steps: noise levels of a restoration that states none.
        given: whether it needs a prior that is given the coarse image (`priors.latent.SuperResolutionPrior`).
    """

    needs: ClassVar[type[Operator] | None] = Operator
    draws: ClassVar[bool] = True
    exact: ClassVar[bool] = False
    by_parts: ClassVar[bool] = False
    default_steps: ClassVar[int] = 25
    given: ClassVar[bool] = False

    @classmethod
    def inverts(cls) -> bool:
        """Whether it needs a pseudo-inverse, which scans have with an exact spectrum alone."""
        return cls.needs is not None and issubclass(cls.needs, PseudoInvertible)

    @classmethod
    def served_by(cls, operator: Operator | None) -> bool:
        """Whether an operator knows enough for it; None stands for no problem at all."""
        return operator is None if cls.needs is None else isinstance(operator, cls.needs)

    def calls(self, steps: int, coils: int = 1) -> int:
        """Network calls an image of a trajectory of so many steps down, the last of them to 0.

        Args:
            coils: of the scan, for methods that restore the image of each.
        """
        return steps

    def begin(self, problem: Problem | None, shape: torch.Size) -> Any:
        """The memory at the start of a trajectory, and again after every rise of the noise level.

        Args:
            problem: as the prior sees it; None for methods that take none.
            shape: of x, (batch, channel, height, width).
        """
        return None

    def in_steps(self, steps: int) -> "Method":
        """The method for trajectories of so many steps: itself, unless a hyper-parameter that was left open follows from them."""
        return self

    @abstractmethod
    def step(self, x: Tensor, sigma: float, sigma_next: float, *, problem: Any, denoise: Prior,
             constrain: Constrain, noise: Draw) -> Tensor:
        """x (batch, channel, height, width) at `sigma_next`, from x at `sigma` alone."""

    def advance(self, x: Tensor, sigma: float, sigma_next: float, memory: Any, *, problem: Any, denoise: Prior,
                constrain: Constrain, noise: Draw) -> tuple[Tensor, Any]:
        """x at `sigma_next` and the memory there; without memory it is `step`.

        Args:
            memory: what `begin` or the step before returned.
        """
        return self.step(x, sigma, sigma_next, problem=problem, denoise=denoise, constrain=constrain, noise=noise), memory


class Remembering(Method):
    """A method that carries a memory from step to step: what a step is without one, `advance` says."""

    def step(self, x: Tensor, sigma: float, sigma_next: float, *, problem: Any, denoise: Prior, constrain: Constrain,
             noise: Draw) -> Tensor:
        memory = self.begin(problem, x.shape)
        return self.advance(x, sigma, sigma_next, memory, problem=problem, denoise=denoise, constrain=constrain, noise=noise)[0]

    @abstractmethod
    def advance(self, x: Tensor, sigma: float, sigma_next: float, memory: Any, *, problem: Any, denoise: Prior,
                constrain: Constrain, noise: Draw) -> tuple[Tensor, Any]:
        """x at `sigma_next` and the memory there."""


class ProximalMethod(Method):
    """A method whose data steps are proximal steps, `consistency.prox`.

    Attributes:
        cg_steps: conjugate-gradient steps of each; None solves it.
    """

    cg_steps: int | None

    @property
    def constant_gamma(self) -> float | None:
        """The weight of noisy data where it is the same at every level, else None."""
        return None


class TrajectoryMethod(Method):
    """A method that works on whole trajectories, from the first noise to the image, instead of on one step after another."""

    @abstractmethod
    def sample(self, noise: Tensor, levels: Sequence[float], *, start: Tensor | float, problem: Any, denoise: Prior,
               constrain: Constrain, on_step: Callable[[int, Tensor], None] | None) -> Tensor:
        """Images (sample, channel, height, width) that agree with the data.

        Args:
            noise: white, shaped like the images.
            levels: noise levels, falling to 0.
            start: to which the noise of the first level is added.
            on_step: called with the number of an iteration and the images after it.
        """

    def step(self, x: Tensor, sigma: float, sigma_next: float, *, problem: Any, denoise: Prior, constrain: Constrain,
             noise: Draw) -> Tensor:
        raise TypeError(f"{type(self).__name__} works on whole trajectories; call `sample` or `restore` with it")
