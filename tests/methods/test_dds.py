"""One step of DDS against its paper's algorithms."""

import math

import pytest
import torch
from gaussian_posterior import FAMILIES, Case, Posterior
from helpers.steps import JUMPS, NOISE, PINV, PRIOR, START, VP, A, D, Rotated, Y, close, step
from torch import Tensor

from medrestore.levels import karras
from medrestore.methods import DDS
from medrestore.problem import Problem


def textbook_cg(system: Tensor, b: Tensor, x: Tensor, steps: int) -> Tensor:
    r = b - system @ x
    p = r
    for _ in range(steps):
        alpha = (r @ r) / (p @ system @ p)
        x, r_old = x + alpha * p, r
        r = r - alpha * system @ p
        p = r + (r @ r) / (r_old @ r_old) * p
    return x


@pytest.mark.parametrize(("sigma", "tau"), JUMPS)
@pytest.mark.parametrize("sigma_y", [0.0, 0.2])
def test_dds(sigma, tau, sigma_y):
    """Alg. 1 starts the conjugate gradients of Ah A x = Ah y at x0; Alg. 3 solves (I + gamma Ah A) x = x0 + gamma Ah y."""
    vp, gamma, eta = VP(sigma, tau), 5.0, 0.85
    system, right = (A.T @ A, Y @ A) if sigma_y == 0 else (torch.eye(D) + gamma * A.T @ A, vp.x0 + gamma * Y @ A)
    x0 = torch.stack([textbook_cg(system, b, x, 5) for b, x in zip(right, vp.x0, strict=True)])
    close(step(DDS(gamma, 5, eta=eta), sigma, tau, sigma_y=sigma_y), vp.ddim(x0, vp.e, eta))


@pytest.mark.parametrize(("sigma", "tau"), JUMPS)
def test_dds_with_a_justified_weight(sigma, tau):
    vp, sigma_y, lam = VP(sigma, tau), 0.2, 2.0
    gamma = sigma**2 / (lam * sigma_y**2)
    x0 = torch.linalg.solve(torch.eye(D) + gamma * A.T @ A, vp.x0 + gamma * Y @ A, left=False)
    close(step(DDS(None, None, lam=lam, eta=0.85), sigma, tau, sigma_y=sigma_y), vp.ddim(x0, vp.e, 0.85))
    nearest = vp.x0 - (vp.x0 @ A.T - Y) @ PINV.T
    close(step(DDS(None, None, eta=0.85), sigma, tau), vp.ddim(nearest, vp.e, 0.85))


def test_second_order_extrapolates_the_estimates_that_agree_with_the_data() -> None:
    """Half a step of log sigma ahead; the noise is that of the first order."""
    jumps, lent = [(4.0, 2.0), (2.0, 0.5), (0.5, 0.0)], {
        "problem": Problem(Rotated(), Y, 0.2), "denoise": PRIOR, "constrain": lambda v: v, "noise": lambda: NOISE}
    first, second = DDS(5.0, 5, eta=1.0), DDS(5.0, 5, eta=1.0, order=2)
    x, memory, estimates = 4.0 * START, second.begin(lent["problem"], START.shape), []
    for sigma, tau in jumps:
        x0, _ = first.estimate(x, sigma, problem=lent["problem"], denoise=PRIOR, constrain=lambda v: v)
        estimates.append(x0)
        ahead = torch.zeros_like(x0)
        if len(estimates) > 1 and tau > 0:
            ahead = math.log(sigma / tau) / math.log(4.0 / 2.0) / 2 * (estimates[-1] - estimates[-2])
        want = first.step(x, sigma, tau, **lent) + ahead
        x, memory = second.advance(x, sigma, tau, memory, **lent)
        close(x, want)


def test_second_order_has_a_better_mean_and_the_spread_of_the_posterior() -> None:
    """At an equal number of calls of the prior; samples of order 1 with all noise renewed spread too little."""
    case = Case.of(FAMILIES["inpainting"](), 0.1)
    posterior = Posterior(case)
    first, second = (posterior.score(case.draw(DDS(order=order), karras(50, 40.0, 0.01), samples=24)) for order in (1, 2))
    assert second.error[1] < 0.6 * first.error[1] and max(second.error) < 0.2
    assert first.spread[0] < 0.75 and 0.9 < second.spread[0] < 1.15 and 0.9 < second.spread[1] < 1.25
