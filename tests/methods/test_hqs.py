"""One step of half-quadratic splitting against its paper's algorithm."""

import math
from itertools import pairwise

import torch
from gaussian_posterior import FAMILIES, Case, Posterior
from helpers.steps import NOISE, PRIOR, START, A, D, Rotated, Y, close, flat, image, step

from medrestore.consistency import misfit
from medrestore.levels import karras
from medrestore.methods import HQS
from medrestore.noise import Noise
from medrestore.problem import Problem
from medrestore.sampling import sample


def test_hqs():
    sigma, sigma_y, lam = 0.7, 0.2, 0.23
    alpha = lam * sigma_y**2 / sigma**2
    x = torch.linalg.solve(A.T @ A + alpha * torch.eye(D), Y @ A + alpha * flat(sigma * START), left=False)
    close(step(HQS(lam), sigma, 0.0, sigma_y=sigma_y), flat(PRIOR(image(x), sigma)))


def test_second_order_extrapolates_the_estimates_before_it() -> None:
    """Half a step of log sigma ahead, on the line through two estimates; not after the start and not to 0."""
    levels, seen = [4.0, 2.0, 0.5, 0.0], []
    problem = Problem(Rotated(), Y, 0.2)
    lent = {"problem": problem, "denoise": PRIOR, "constrain": lambda v: v, "noise": lambda: NOISE}
    method = HQS(0.23, order=2)
    x, memory, estimates = 4.0 * START, method.begin(problem, START.shape), []
    for sigma, tau in pairwise(levels):
        estimates.append(HQS(0.23).step(x, sigma, tau, **lent))
        x, memory = method.advance(x, sigma, tau, memory, **lent)
        seen.append(x)
    close(seen[0], estimates[0])
    close(seen[1], estimates[1] + math.log(2.0 / 0.5) / math.log(4.0 / 2.0) / 2 * (estimates[1] - estimates[0]))
    close(seen[2], estimates[2])


def test_second_order_is_nearer_to_the_mean_of_the_posterior() -> None:
    """At an equal number of calls of the prior; the rest of the error is the method's own at finitely many levels."""
    case = Case.of(FAMILIES["inpainting"](), 0.1)
    posterior = Posterior(case)
    levels = karras(20, 40.0, 0.01)
    first, second = (posterior.score(case.draw(HQS(1.0, order=order), levels, samples=4)).error for order in (1, 2))
    assert second[0] < 0.5 * first[0] and second[1] < 0.6 * first[1]


def test_constraints_are_met_by_extrapolated_estimates() -> None:
    """An estimate between constrained ones, and beyond them, is on the same plane."""
    case = Case.of(FAMILIES["inpainting"](), 0.1, measurements=1)
    exact = Case.of(FAMILIES["super-resolution"](), 0.0, measurements=1).problem
    off: list[float] = []
    sample(case.problem, case.prior, HQS(order=2), karras(6, 40.0, 0.01), noise=Noise([0]), size=(16, 16),
           constraints=[exact], on_step=lambda i, x: off.append(float(misfit(exact, x))))
    assert len(off) == 6 and max(off) < 1e-3
