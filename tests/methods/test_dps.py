"""One step of DPS against its paper's algorithm."""

import pytest
import torch
from helpers.steps import JUMPS, START, VP, A, Y, close, flat, step

from medrestore.methods import DPS


@pytest.mark.parametrize(("sigma", "tau"), JUMPS)
def test_dps(sigma, tau):
    """Alg. 1 with zeta_i = zeta' / |y - A x0|, the gradient written out for this prior: dx0/dx = 0.1 (1 - tanh^2) / sigma."""
    vp, zeta = VP(sigma, tau), 0.4
    residual = vp.x0 @ A.T - Y
    slope = 0.1 * (1 - torch.tanh(flat(sigma * START)) ** 2) / sigma / vp.abar**0.5  # by x_t = sqrt(abar) x
    squared = 2 * slope * (residual @ A)
    want = (vp.posterior_mean(vp.x0) + vp.beta_tilde**0.5 * vp.n - zeta / residual.norm(dim=1, keepdim=True) * squared)
    close(step(DPS(2 * zeta), sigma, tau, sigma_y=0.2), want)


def test_fewer_steps_are_longer_where_the_size_is_left_open() -> None:
    assert [DPS().in_steps(steps).step_size for steps in (10, 20, 100, 1000)] == [20.0, 20.0, 4.0, 1.0]
    assert DPS(0.3).in_steps(10) == DPS(0.3)
    sigma, tau = 2.0, 0.6
    close(step(DPS(), sigma, tau, sigma_y=0.2), step(DPS(1.0), sigma, tau, sigma_y=0.2))
