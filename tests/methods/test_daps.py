"""One step of DAPS against its paper's algorithm, and its spread against a posterior known in closed form."""

from itertools import pairwise

import pytest
import torch
from gaussian_posterior import FAMILIES, Case, Posterior
from helpers.steps import JUMPS, NOISE, PRIOR, START, A, D, Rotated, Y, close, flat, image, random

from medrestore.levels import karras, levels_inside
from medrestore.methods import DAPS
from medrestore.problem import Problem


@pytest.mark.parametrize(("sigma", "tau"), JUMPS)
@pytest.mark.parametrize("ode_steps", [1, 3])
def test_daps(sigma: float, tau: float, ode_steps: int) -> None:
    """Alg. 1: Euler steps of dx = (x - D) / sigma dsigma to 0, a sample of N(x0, r^2 I) given y, noise of the next level."""
    sigma_y, SECOND, third = 0.2, random(*NOISE.shape, seed=9), random(*NOISE.shape, seed=10)
    x = sigma * START
    for a, b in pairwise(levels_inside(ode_steps, sigma, 0.0)):
        x = x + (b - a) * (x - PRIOR(x, a)) / a
    precision = torch.eye(D) / sigma**2 + A.T @ A / sigma_y**2
    right = (flat(x) + sigma * flat(NOISE)) / sigma**2 + (Y + sigma_y * flat(SECOND)[:, : Y.shape[1]]) @ A / sigma_y**2
    want = torch.linalg.solve(precision, right, left=False) + tau * flat(third)
    drawn = iter((NOISE, SECOND, third))
    close(flat(DAPS(ode_steps).step(sigma * START, sigma, tau, problem=Problem(Rotated(), Y, sigma_y), denoise=PRIOR,
                                    constrain=lambda v: v, noise=lambda: next(drawn))), want)
    assert DAPS(ode_steps).calls(50) == 50 * ode_steps and image(want).shape == START.shape


@pytest.mark.parametrize("family", ["inpainting", "multi-coil MRI, both axes"])
def test_the_spread_is_that_of_the_posterior(family: str) -> None:
    case = Case.of(FAMILIES[family](), 0.1)
    score = Posterior(case).score(case.draw(DAPS(), karras(100, 40.0, 0.005), samples=24))
    assert score.error[0] < 0.1 and score.error[1] < 0.3
    assert all(0.93 < spread < 1.1 for spread in score.spread)


def test_a_long_flow_spreads_directions_without_data_too_far() -> None:
    """What the flow ends on is a sample already; noise of std r widens it once more, by sqrt(2) where nothing is measured."""
    case = Case.of(FAMILIES["inpainting"](), 0.1)
    posterior = Posterior(case)
    one, five = (posterior.score(case.draw(DAPS(steps), karras(50, 40.0, 0.005), samples=24)).spread for steps in (1, 5))
    assert 0.95 < five[0] < 1.05 and 1.3 < five[1] < 1.5 and one[1] < 1.2
