"""Ways to make an image agree with the data: projection and proximal step; and the misfit of an image."""

import math

import torch
from torch import Tensor

from .noise import Noise, white_like
from .operators import LinearOperator, Operator, PseudoInvertible, ResolventOperator, SpectralOperator
from .operators.linearised import Linearised
from .problem import Problem
from .solvers import cg

SOLVED = 1e-2  # the residual, of that of the estimate, at which a data step by conjugate gradients ends: the remainder is so
# weakly measured that solving on to 1e-4, in four to six times the steps, hardly moves PSNR (docs/speed.md)
CLOSE = 1e-4  # the same where data have no noise, and for a given number of steps
CONVERGED = 60  # steps after which they end in any case
LINEARISED, HALVED = 5, 4  # how often an operator that is not linear is linearised, and a step that gains nothing is halved
GAINED = 1e-2  # of the objective: a linearisation that gains less is the last
LEAST_SQUARES = 30  # conjugate-gradient steps to a least-squares fit


def project(problem: Problem[PseudoInvertible], x: Tensor) -> Tensor:
    """x - A^+ (A x - y): the nearest image that explains y exactly, or as nearly as any. For operators with a pseudo-inverse."""
    A = problem.operator
    if not isinstance(A, SpectralOperator):
        return x - A.pinv(A(x)) + problem.pseudo_inverse
    S = problem.spectrum
    return S.synthesise(torch.where(S.s > 0, problem.observed, S.analyse(x)))


def prox(problem: Problem[Operator], x: Tensor, gamma: float | Tensor, *, cg_steps: int | None = None,
         rtol: float | None = None) -> Tensor:
    """argmin_z |z - x|^2 + gamma |A z - y|^2; with gamma infinite, the nearest z that minimises |A z - y|.

    Where A is not linear it is found by Gauss-Newton steps from x (Nocedal & Wright, Numerical Optimization, 2006, 10.3), halved
    while they gain nothing: a minimum near x, not always the least.

    Args:
        x: (batch, channel, height, width).
        gamma: weight of the data, in the prior's units (see `Problem.encoded`): one number, or (batch, 1, 1, 1) for a
            batch of measurements, some of whose weights may be infinite.
        cg_steps: conjugate-gradient steps from x. None solves it: in closed form for spectral operators and for those
            with a resolvent at this gamma, otherwise by preconditioned steps.
        rtol: the residual, of that of x, at which steps end: by default `SOLVED`; `CLOSE` for a number of steps and an
            infinite gamma.
    """
    A = problem.operator
    if not isinstance(A, LinearOperator):
        return _gauss_newton(problem, x, gamma, CONVERGED if cg_steps is None else cg_steps, SOLVED if rtol is None else rtol)
    if cg_steps is None and isinstance(A, SpectralOperator):
        S = problem.spectrum
        return S.correct(x, _trust(S.s.square(), gamma), problem.observed)
    if cg_steps is None and isinstance(A, ResolventOperator):
        if not isinstance(gamma, Tensor):
            if math.isclose(A.gamma, gamma, rel_tol=1e-6):
                return A.resolve(x) + problem.resolved
        else:  # solved for the images whose weight it is, iterated for the others
            fits = torch.isclose(gamma, torch.full_like(gamma, A.gamma), rtol=1e-6)
            return torch.where(fits, A.resolve(x) + problem.resolved, _iterated(A, problem, x, gamma, CONVERGED, rtol, True))
    return _iterated(A, problem, x, gamma, CONVERGED if cg_steps is None else cg_steps, rtol, cg_steps is None)


def _trust(power: Tensor, gamma: float | Tensor) -> Tensor:
    """gamma s^2 / (1 + gamma s^2), and its limit where gamma is infinite."""
    if not isinstance(gamma, Tensor):
        return (power > 0).to(power) if math.isinf(gamma) else gamma * power / (1 + gamma * power)
    certain = gamma.isinf()
    weight = gamma.where(~certain, 0.0) * power
    return torch.where(certain, (power > 0).to(power), weight / (1 + weight))


def _iterated(A: LinearOperator, problem: Problem[Operator], x: Tensor, gamma: float | Tensor, steps: int, rtol: float | None,
              solve: bool) -> Tensor:
    """`prox` by conjugate gradients.

    Args:
        solve: to convergence, with the preconditioner; a number of steps asks for those of the Krylov space of Ah A.
    """
    residual = problem.back_projected - A.normal(x)
    if not isinstance(gamma, Tensor):
        certain = math.isinf(gamma)
        close = (SOLVED if solve and not certain else CLOSE) if rtol is None else rtol
        if certain:
            return x + cg(A.normal, residual, max_steps=steps, rtol=close)
        approximate = A.preconditioner(gamma) if solve else None
        return x + cg(lambda z: z / gamma + A.normal(z), residual, max_steps=steps, rtol=close, precondition=approximate)
    infinite = gamma.isinf()
    tolerance: float | Tensor = (torch.where(infinite, CLOSE, SOLVED) if solve else CLOSE) if rtol is None else rtol
    known = A.preconditioner(gamma.where(~infinite, 1.0)) if solve else None
    precondition = None if known is None else lambda z: torch.where(infinite, z, known(z))
    return x + cg(lambda z: z / gamma + A.normal(z), residual, max_steps=steps, rtol=tolerance, precondition=precondition)


def _gauss_newton(problem: Problem[Operator], x: Tensor, gamma: float | Tensor, steps: int, rtol: float) -> Tensor:
    """`prox` for an operator with no more than a derivative.

    Args:
        steps, rtol: of the conjugate gradients for each linearisation.
    """
    weight = (gamma if isinstance(gamma, Tensor) else torch.full((1, 1, 1, 1), gamma, device=x.device)).reciprocal()

    def objective(z: Tensor) -> Tensor:
        return energy(problem.operator(z) - problem.y) + weight * energy(z - x)

    z, least = x, objective(x)
    for _ in range(LINEARISED):
        J = Linearised(problem.operator, z)
        downhill = J.adjoint(problem.y - J.value) - weight * (z - x)
        step = cg(lambda d, J=J: weight * d + J.normal(d), downhill, max_steps=steps, rtol=rtol)  # type: ignore[misc]
        share = torch.ones_like(least)
        for _ in range(HALVED):
            reached = objective(z + share * step)
            if (reached < least).all():
                break
            share = torch.where(reached < least, share, share / 2)
        better = reached < least
        z, before = torch.where(better, z + share * step, z), least
        least = torch.where(better, reached, least)
        if not (before - least > GAINED * before).any():
            break
    return z


def energy(values: Tensor) -> Tensor:
    """(batch, 1, 1, 1) sum of the squared moduli of each sample."""
    return values.abs().square().flatten(1).sum(1).reshape(-1, 1, 1, 1)


def misfit(problem: Problem[Operator], x: Tensor) -> Tensor:
    """|A x - y| of each sample, in the units of y."""
    return torch.linalg.vector_norm((problem.operator(x) - problem.y).flatten(1), dim=1)


def relative_misfit(problem: Problem[Operator], x: Tensor) -> Tensor:
    """|A x - y| / (sigma sqrt(m)) of each sample, about 1 when y is explained to its noise; relative to |y| without noise.

    Of an operator that rounds it is that of the samples, whose noise is the rounding.
    """
    problem = problem.unrounded
    exact, size = problem.exact, torch.linalg.vector_norm(problem.y.flatten(1), dim=1)
    if exact is True:
        return misfit(problem, x) / size
    sigma = problem.sigma.flatten() if isinstance(problem.sigma, Tensor) else problem.sigma
    noise = sigma * problem.count.sqrt()
    return misfit(problem, x) / (torch.where(exact.flatten(), size, noise) if isinstance(exact, Tensor) else noise)


def unexplained(problem: Problem[LinearOperator]) -> float:
    """Std of every real number of the part of y that no image explains: the residual of least squares per degree of freedom.

    An estimate of sigma when y = A x + n holds, and larger when the model is wrong (coil maps, motion): a method that took
    the thermal noise alone would fit the model's error. Needs data in excess of the unknowns, as several coils give; 0
    when there are less than a tenth too many. How much freedom a fit by conjugate gradients takes up is measured on
    white noise. For linear operators; the first image only.
    """
    A = problem.operator
    y = problem.y[:1]
    if isinstance(A, SpectralOperator):
        S = problem.spectrum
        left = y - A(S.synthesise(problem.observed[:1]))
        unknowns = torch.broadcast_to(S.s > 0, problem.observed.shape)[0].sum() * (2 if problem.observed.is_complex() else 1)
        spare = float(problem.count[0] - unknowns)
    else:
        left, white = fit_residuals(problem)
        spare = float(white.abs().square().sum())
    if spare < problem.count[0] / 10:
        return 0.0
    return float(left.abs().square().sum()) ** 0.5 / spare**0.5


def fit_residuals(problem: Problem[LinearOperator]) -> tuple[Tensor, Tensor]:
    """What a least-squares fit leaves of y, and what the same fit leaves of white noise of std 1, whose energy is its freedom."""
    y = problem.y[:1]
    white = white_like(y, Noise([0], y.device))
    sampled = problem.operator.sampled
    white = white if sampled is None else (sampled != 0) * white
    return _least_squares_residual(problem.operator, y), _least_squares_residual(problem.operator, white)


def _least_squares_residual(A: LinearOperator, y: Tensor) -> Tensor:
    """The part of y that LEAST_SQUARES conjugate-gradient steps from zero leave unexplained."""
    problem = Problem(A, y)
    return y - A(prox(problem, torch.zeros_like(problem.back_projected), math.inf, cg_steps=LEAST_SQUARES))
