"""One step of PnP-DM against its paper's algorithm, and its spread against a posterior known in closed form."""

from itertools import pairwise

import pytest
import torch
from gaussian_posterior import FAMILIES, Case, Posterior
from helpers.steps import JUMPS, NOISE, PRIOR, START, A, D, Rotated, Y, close, flat, random

from medrestore.levels import karras, levels_inside
from medrestore.methods import PnPDM
from medrestore.problem import Problem


@pytest.mark.parametrize(("sigma", "tau"), JUMPS)
@pytest.mark.parametrize("prior_steps", [1, 3])
def test_pnp_dm(sigma: float, tau: float, prior_steps: int) -> None:
    """Alg. 1: reverse diffusion from rho = sigma to 0, in the VP coordinates of DDPM with variance beta, then the likelihood."""
    sigma_y = 0.2
    noises = [random(*NOISE.shape, seed=30 + k) for k in range(prior_steps + 1)]
    x = sigma * START
    for (a, b), noise in zip(pairwise(levels_inside(prior_steps, sigma, 0.0)), noises, strict=False):
        abar, abar_next = 1 / (1 + a**2), 1 / (1 + b**2)
        alpha = abar / abar_next
        mean = (abar_next**0.5 * (1 - alpha) * PRIOR(x, a) + alpha**0.5 * (1 - abar_next) * abar**0.5 * x) / (1 - abar)
        beta = (1 - alpha) / alpha if b > 0 else 0.0  # of x_t given x_{t-1}, at the scale of x_{t-1}
        x = (mean + beta**0.5 * noise) / abar_next**0.5 if b == 0 else mean / abar_next**0.5 + (a**2 - b**2) ** 0.5 * noise
        if b > 0:
            assert beta / abar_next == pytest.approx(a**2 - b**2)
    precision = torch.eye(D) / tau**2 + A.T @ A / sigma_y**2
    first, second = noises[prior_steps - 1], noises[prior_steps]
    right = (flat(x) + tau * flat(first)) / tau**2 + (Y + sigma_y * flat(second)[:, : Y.shape[1]]) @ A / sigma_y**2
    drawn = iter(noises)
    got = PnPDM(prior_steps).step(sigma * START, sigma, tau, problem=Problem(Rotated(), Y, sigma_y), denoise=PRIOR,
                                  constrain=lambda v: v, noise=lambda: next(drawn))
    close(flat(got), torch.linalg.solve(precision, right, left=False))
    assert PnPDM(prior_steps).calls(50) == 50 * prior_steps


@pytest.mark.parametrize("family", ["inpainting", "multi-coil MRI, one axis"])
def test_the_spread_is_that_of_the_posterior(family: str) -> None:
    case = Case.of(FAMILIES[family](), 0.1)
    score = Posterior(case).score(case.draw(PnPDM(2), karras(100, 40.0, 0.005), samples=24))
    assert score.error[0] < 0.2 and score.error[1] < 0.3
    assert all(0.95 < spread < 1.1 for spread in score.spread)
