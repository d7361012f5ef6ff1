"""Volumes by a prior of their slices, which differ little from one to the next."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from ..priors import Prior
from ..problem import Problem
from ..settings import Bounds
from ..solvers import cg
from .base import Constrain, Draw, ProximalMethod, Remembering
from .budget import ddim_split, justified_gamma
from .dds import DDS
from .dpm_solver import Estimate, extrapolated
from .hqs import HQS

Image = Callable[[Tensor], Tensor]
LEAST = 1e-3  # std of the noise of data that have none: of about unit brightness, so that other terms keep a weight


@dataclass(frozen=True)
class Split:
    """The memory of the alternating direction method of multipliers, carried from level to level.

    Attributes:
        z: differences across slices, shrunk.
        u: the scaled dual variable.
    """

    z: Tensor
    u: Tensor


@dataclass(frozen=True)
class Memory:
    """What is carried from level to level.

    Attributes:
        split: of the variation.
        before: the estimate of the step before, and its level; for methods of order 2.
    """

    split: Split
    before: Estimate


@dataclass(frozen=True)
class AcrossSlices(Remembering, ProximalMethod):
    """DDS or HQS for a volume: a 2-D prior within slices, variation across them. The batch is the volume, in order.

    Chung et al., DiffusionMBIR, CVPR 2023, Alg. 1, and DDS, ICLR 2024, Alg. 4: the data step of each level minimises
    |x - x0|^2 / 2 + gamma |A x - y|^2 / 2 + weight sigma^2 |Dz x|_1 by one iteration of ADMM, Dz being differences across
    slices, |.|_1 the sum over pixels of their magnitudes over the channels. Split and dual variables start from those of the
    level before.

    Departures: the weight of the variation falls with the level, as that of the prior's estimate does, instead of being the
    same at all; with it the scaled dual variable falls. HQS, which they do not have, takes the same data step. Differences are
    second ones, which let anatomy change steadily from slice to slice and hold what alternates; those of first order, the total
    variation of the papers, hold both alike, and left more of both kinds of error (docs/mri.md).

    Args:
        method: DDS or HQS, with `justified_gamma`; of order 2 each estimate is extrapolated from the one before, as theirs are.
        weight: one over the second difference of slices that is usual, for images of about unit brightness.
        differences: 2, second differences; 1, total variation.
        rho: of ADMM, the penalty of the split.
        iterations: of ADMM at each level.
        steps: of conjugate gradients in each.
    """

    method: DDS | HQS
    weight: Annotated[float, Bounds(above=0)] = 20.0
    differences: Annotated[int, Bounds(at_least=1, at_most=2)] = 2
    rho: Annotated[float, Bounds(above=0)] = 1.0
    iterations: Annotated[int, Bounds(at_least=1)] = 1
    steps: Annotated[int, Bounds(at_least=1)] = 20

    @property
    def cg_steps(self) -> int | None:  # type: ignore[override]  # that of the method
        return self.method.cg_steps

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.method, DDS) and self.method.gamma is not None:
            raise ValueError("across slices DDS works without a fixed gamma")

    def advance(self, x: Tensor, sigma: float, sigma_next: float, memory: Memory | None, *, problem: Problem, denoise: Prior,
                constrain: Constrain, noise: Draw) -> tuple[Tensor, Memory]:
        split = None if memory is None else memory.split
        if isinstance(self.method, HQS):
            x0, split = self.data_step(problem, x, sigma, split)
            x0 = constrain(denoise(x0, sigma))
        else:
            x0 = denoise(x, sigma)
            e = (x - x0) / sigma
            x0, split = self.data_step(problem, x0, sigma, split)
            x0 = constrain(x0)
        before = None if memory is None or self.method.order == 1 else memory.before
        out = extrapolated(x0, sigma, sigma_next, before)
        if isinstance(self.method, DDS):
            kept, fresh = ddim_split(sigma, sigma_next, self.method.eta)
            out = out + kept * e + fresh * noise()
        return out, Memory(Split(split.z, (sigma_next / sigma) ** 2 * split.u), (x0, sigma))

    def data_step(self, problem: Problem, x0: Tensor, sigma: float, memory: Split | None) -> tuple[Tensor, Split]:
        """The volume that agrees with the data, with x0 and with itself from slice to slice, and the memory."""
        A, rho = problem.operator, self.rho
        noise = problem.sigma.clamp(min=LEAST) if isinstance(problem.sigma, Tensor) else max(problem.sigma, LEAST)
        gamma = justified_gamma(sigma, noise, self.method.lam)
        order = min(self.differences, len(x0) - 1)
        known = A.preconditioner(gamma / (1 + rho * math.comb(2 * order, order)))  # the mean of Dz^T Dz over its spectrum
        first = differences(x0, order)
        x, split = x0, memory or Split(shrunk(first, self.weight * sigma**2 / rho), torch.zeros_like(first))

        def normal(v: Tensor) -> Tensor:
            return v + rho * differences_adjoint(differences(v, order), order) + gamma * A.normal(v)

        for _ in range(self.iterations):
            right = x0 + rho * differences_adjoint(split.z - split.u, order) + gamma * problem.back_projected
            x = x + _together(normal, right - normal(x), self.steps, None if known is None else lambda v: known(v) / gamma)
            d = differences(x, order)
            z = shrunk(d + split.u, self.weight * sigma**2 / rho)
            split = Split(z, split.u + d - z)
        return x, split


def _together(normal: Image, right: Tensor, steps: int, known: Image | None) -> Tensor:
    """Conjugate gradients on all slices as one image."""
    precondition = None if known is None else (lambda v: known(v[0])[None])
    return cg(lambda v: normal(v[0])[None], right[None], max_steps=steps, rtol=1e-2, precondition=precondition)[0]


def differences(x: Tensor, order: int = 1) -> Tensor:
    """Of each slice and the one before, (slices - 1, ...); of order 2 of these again, (slices - 2, ...)."""
    return torch.diff(x, n=order, dim=0)


def differences_adjoint(d: Tensor, order: int = 1) -> Tensor:
    """The adjoint of `differences`."""
    for _ in range(order):
        zero = torch.zeros_like(d[:1])
        d = torch.cat([zero, d]) - torch.cat([d, zero])
    return d


def shrunk(d: Tensor, threshold: float) -> Tensor:
    """Differences (n, channel, h, w) whose magnitude over the channels is less by `threshold`, at least 0."""
    size = torch.linalg.vector_norm(d, dim=1, keepdim=True)
    return d * ((size - threshold).clamp(min=0) / size.clamp(min=torch.finfo(d.dtype).tiny))
