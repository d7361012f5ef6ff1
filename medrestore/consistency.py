"""Ways to make an image agree with the data: project it, pull it; and how far off it is."""

import math

import torch
from torch import Tensor

from .noise import Noise
from .operators import LinearOperator, ResolventOperator, SpectralOperator
from .problem import Problem
from .solvers import cg

SOLVED = 1e-2  # the residual, of that of the estimate, at which a data step by conjugate gradients is done: what is left is so
# weakly measured that solving on to 1e-4, in four to six times the steps, hardly moves PSNR (docs/speed.md)
CLOSE = 1e-4  # the same where data have no noise, and where the number of steps was given
CONVERGED = 60  # steps after which they stop all the same
LEAST_SQUARES = 30  # conjugate-gradient steps to a least-squares fit


def project(problem: Problem, x: Tensor) -> Tensor:
    """x - A^+ (A x - y): the nearest image that explains y exactly. For spectral operators."""
    S = problem.operator.spectrum
    return S.synthesise(torch.where(S.s > 0, problem.observed, S.analyse(x)))


def prox(problem: Problem, x: Tensor, gamma: float, *, cg_steps: int | None = None, rtol: float | None = None) -> Tensor:
    """argmin_z |z - x|^2 + gamma |A z - y|^2; with gamma infinite, the nearest z that minimises |A z - y|.

    Args:
        x: (batch, channel, height, width).
        gamma: weight of the data, in the prior's units (see `Problem.encoded`).
        cg_steps: conjugate-gradient steps from x. None solves it: in closed form for spectral operators and for those with
            a resolvent at this gamma, otherwise by preconditioned steps.
        rtol: the residual, of that of x, at which steps end: by default `SOLVED`; `CLOSE` for a number of steps and an infinite
            gamma.
    """
    A = problem.operator
    if cg_steps is None and isinstance(A, SpectralOperator):
        S = A.spectrum
        power = S.s.square()
        trust = (power > 0).to(power) if math.isinf(gamma) else gamma * power / (1 + gamma * power)
        return S.correct(x, trust, problem.observed)
    if cg_steps is None and isinstance(A, ResolventOperator) and math.isclose(A.gamma, gamma, rel_tol=1e-6):
        return A.resolve(x) + problem.resolved
    if rtol is None:
        rtol = SOLVED if cg_steps is None and math.isfinite(gamma) else CLOSE
    steps = CONVERGED if cg_steps is None else cg_steps
    residual = problem.back_projected - A.normal(x)
    if math.isinf(gamma):
        return x + cg(A.normal, residual, max_steps=steps, rtol=rtol)
    help = A.preconditioner(gamma) if cg_steps is None else None  # a number of steps asks for those of the Krylov space of Ah A
    return x + cg(lambda z: z / gamma + A.normal(z), residual, max_steps=steps, rtol=rtol, precondition=help)


def misfit(problem: Problem, x: Tensor) -> Tensor:
    """|A x - y| of each sample, in the units of y."""
    return torch.linalg.vector_norm((problem.operator(x) - problem.y).flatten(1), dim=1)


def relative_misfit(problem: Problem, x: Tensor) -> Tensor:
    """|A x - y| of each sample over sigma sqrt(m), about 1 when y is explained to its noise; over |y| for noise-free data."""
    noisy = problem.sigma > 0
    scale = problem.sigma * problem.count.sqrt() if noisy else torch.linalg.vector_norm(problem.y.flatten(1), dim=1)
    return misfit(problem, x) / scale


def unexplained(problem: Problem) -> float:
    """Std of every real number of what no image explains: the residual of least squares, per degree of freedom left.

    An estimate of sigma when y = A x + n holds, and larger when the model is wrong (coil maps, motion): a method that took
    the thermal noise alone would fit the model's error. Needs data in excess of the unknowns, as several coils give; 0
    when there are less than a tenth too many. How much freedom a fit by conjugate gradients takes up is measured on
    white noise. For linear operators; the first image only.
    """
    A = problem.operator
    y = problem.y[:1]
    if isinstance(A, SpectralOperator):
        S = A.spectrum
        left = y - A(S.synthesise(problem.observed[:1]))
        unknowns = torch.broadcast_to(S.s > 0, problem.observed.shape)[0].sum() * (2 if problem.observed.is_complex() else 1)
        spare = float(problem.count[0] - unknowns)
    else:
        draw, shape = Noise([0], y.device), y.shape
        white = torch.complex(draw(shape), draw(shape)) if y.is_complex() else draw(shape)
        white = white if A.sampled is None else A.sampled * white
        left = _least_squares_residual(A, y)
        spare = float(_least_squares_residual(A, white).abs().square().sum())
    if spare < problem.count[0] / 10:
        return 0.0
    return float(left.abs().square().sum()) ** 0.5 / spare**0.5


def _least_squares_residual(A: LinearOperator, y: Tensor) -> Tensor:
    """What is left of y after LEAST_SQUARES conjugate-gradient steps from zero."""
    problem = Problem(A, y)
    return y - A(prox(problem, torch.zeros_like(problem.back_projected), math.inf, cg_steps=LEAST_SQUARES))
