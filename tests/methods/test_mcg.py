"""One step of MCG against its paper's algorithm."""

import pytest
import torch
from helpers.steps import JUMPS, NOISE, PINV, START, VP, A, Y, by_functions, close, flat, random, step

from medrestore.methods import DPS, MCG

SECOND = random(*NOISE.shape, seed=9)


@pytest.mark.parametrize(("sigma", "tau"), JUMPS)
def test_mcg(sigma: float, tau: float) -> None:
    """Alg. 1 with W = I and alpha = zeta / |y - A x0|, then the projection; the gradient written out for this prior."""
    vp, zeta = VP(sigma, tau), 0.1
    residual = vp.x0 @ A.T - Y
    slope = 0.1 * (1 - torch.tanh(flat(sigma * START)) ** 2) / sigma / vp.abar**0.5
    alpha = zeta / residual.norm(dim=1, keepdim=True)
    proposal = vp.posterior_mean(vp.x0) + vp.beta_tilde**0.5 * vp.n - alpha * 2 * slope * (residual @ A)
    noised = vp.abar_next**0.5 * Y + (1 - vp.abar_next) ** 0.5 * flat(SECOND) @ A.T
    want = proposal + (noised - proposal @ A.T) @ PINV.T
    for operator in (None, by_functions()):
        close(step(MCG(2 * zeta), sigma, tau, noises=(NOISE, SECOND), operator=operator), want)


def test_fewer_steps_are_as_long_as_those_of_dps() -> None:
    assert [MCG().in_steps(n).step_size for n in (10, 100, 1000)] == [DPS().in_steps(n).step_size for n in (10, 100, 1000)]
    assert MCG(0.3).in_steps(10) == MCG(0.3)
