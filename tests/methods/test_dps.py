"""One step of DPS against its paper's algorithm, and the longest step that Gaussian data ask for."""

import pytest
import torch
from helpers.steps import JUMPS, START, VP, A, Y, close, flat, step

from medrestore.levels import karras
from medrestore.methods import DPS
from medrestore.methods.dps import guided, likelihood_step
from medrestore.noise import Noise
from medrestore.operators import AveragePool, Identity
from medrestore.priors import StationaryGaussian
from medrestore.problem import Problem
from medrestore.sampling import sample


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
    assert DPS().in_steps(10).bounded
    assert DPS(0.3).in_steps(10) == DPS(0.3)
    sigma, tau = 2.0, 0.6
    close(step(DPS(), sigma, tau, sigma_y=0.2), step(DPS(1.0), sigma, tau, sigma_y=0.2))


@pytest.mark.parametrize("A", [Identity(), AveragePool(2, (8, 8))], ids=repr)
@pytest.mark.parametrize("sigma", [0.05, 1.0, 20.0])
def test_the_longest_step_is_the_exact_score_of_white_data(A, sigma):
    """A white prior of std 1, and A A^T a number: p(x | y) is known, and the step of that length ends at its mean."""
    sigma_y, generator = 0.2, torch.Generator().manual_seed(3)
    x, truth = torch.randn(2, 2, 1, 8, 8, generator=generator).unbind(0)
    problem, prior = Problem(A, A(truth), sigma_y), StationaryGaussian(torch.ones(8, 8))
    x0, gradient = guided(sigma * x, sigma, 0.0, problem=problem, denoise=prior)
    gain, variance = A(A.adjoint(problem.y)) / problem.y, sigma**2 / (1 + sigma**2)
    want = x0 + A.adjoint(variance / (gain * variance + sigma_y**2) * (problem.y - A(x0)))
    made = x0 - likelihood_step(x0, sigma, 0.0, problem) * gradient
    torch.testing.assert_close(made, want, rtol=1e-4, atol=1e-5)


def test_steps_that_are_left_open_do_not_overshoot_on_a_small_image():
    """24 steps of 16.7 overshoot noise whose norm is 1.6; bounded ones end within twice its std of the truth."""
    generator = torch.Generator().manual_seed(0)
    prior = StationaryGaussian(torch.ones(16, 16))
    truth = torch.randn(1, 1, 16, 16, generator=generator)
    problem = Problem(Identity(), truth + 0.1 * torch.randn(truth.shape, generator=generator), 0.1)
    levels = karras(24, 20.0, 0.01)
    errors = [
        float((sample(problem, prior, method, levels, noise=Noise([1]), size=(16, 16)) - truth).std())
        for method in (DPS().in_steps(24), DPS(400 / 24))
    ]
    assert errors[0] < 0.2 < 0.4 < errors[1]
