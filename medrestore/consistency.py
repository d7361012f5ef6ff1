"""Ways to make an image agree with the data: project it, pull it; and how far off it is."""

import math

import torch
from torch import Tensor

from .operators import SpectralOperator
from .problem import Problem
from .solvers import cg

CONVERGED = 500  # conjugate-gradient steps after which "until it has converged" stops all the same
LEAST_SQUARES = 30  # conjugate-gradient steps to a least-squares fit: its residual changes little after them


def project(problem: Problem, x: Tensor) -> Tensor:
    """x - A^+ (A x - y): the nearest image that explains y exactly. For spectral operators."""
    S = problem.operator.spectrum
    return S.synthesise(torch.where(S.s > 0, problem.observed, S.analyse(x)))


def pull(problem: Problem, x: Tensor, gamma: float, *, cg_steps: int | None = None, rtol: float = 1e-4) -> Tensor:
    """argmin_z |z - x|^2 + gamma |A z - y|^2; with gamma infinite, the nearest z that minimises |A z - y|.

    Args:
        x: (batch, channel, height, width).
        gamma: weight of the data, in the prior's units (see `Problem.seen_by`).
        cg_steps: conjugate-gradient steps from x. None solves it: in closed form for spectral operators, otherwise
            until the residual is below `rtol` of where it started.
    """
    A = problem.operator
    if cg_steps is None and isinstance(A, SpectralOperator):
        S = A.spectrum
        power = S.s.square()
        trust = (power > 0).to(power) if math.isinf(gamma) else gamma * power / (1 + gamma * power)
        c = S.analyse(x)
        return S.synthesise(c + trust * (problem.observed - c))
    steps = CONVERGED if cg_steps is None else cg_steps
    residual = problem.back_projected - A.normal(x)
    if math.isinf(gamma):
        return x + cg(A.normal, residual, max_steps=steps, rtol=rtol)
    return x + cg(lambda z: z / gamma + A.normal(z), residual, max_steps=steps, rtol=rtol)


def misfit(problem: Problem, x: Tensor) -> Tensor:
    """|A x - y| of each sample, in the units of y."""
    return torch.linalg.vector_norm((problem.operator(x) - problem.y).flatten(1), dim=1)


def unexplained(problem: Problem) -> float:
    """Std of every real number of what no image explains: the residual of least squares, per degree of freedom left.

    An unbiased estimate of sigma when y = A x + n holds, and larger when the model is wrong (coil maps, motion): a
    method that took the thermal noise alone would fit the model's error. Needs data well in excess of the unknowns, as
    several coils give; 0 when there are less than a tenth too many. For linear operators; the first image only.
    """
    A = problem.operator
    measured = int(problem.count[0])
    if isinstance(A, SpectralOperator):
        S = A.spectrum
        fitted = A(S.synthesise(problem.observed))
        unknowns = torch.broadcast_to(S.s > 0, problem.observed.shape)[0].sum() * (2 if problem.observed.is_complex() else 1)
    else:
        image = problem.back_projected
        fitted = A(pull(problem, torch.zeros_like(image), math.inf, cg_steps=LEAST_SQUARES))
        inside = torch.ones(image.shape[-2:]) if A.support is None else A.support
        unknowns = image.shape[1] * int(inside.sum()) * (2 if image.is_complex() else 1)
    spare = measured - int(unknowns)
    if spare < measured / 10:
        return 0.0
    return float(torch.linalg.vector_norm((fitted - problem.y)[0])) / spare**0.5
