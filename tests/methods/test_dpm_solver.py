"""DPM-Solver++ (2M) against its paper and against the exact flow of a Gaussian."""

import math
from itertools import pairwise

import pytest
import torch
from gaussian_posterior import SIDE, power
from torch import Tensor

from medrestore.levels import karras, time_travel
from medrestore.methods import DDIM, DPMSolver, Method, ProbabilityFlow
from medrestore.methods.dpm_solver import extrapolated
from medrestore.noise import Noise
from medrestore.priors import StationaryGaussian
from medrestore.sampling import sample

PRIOR = StationaryGaussian(power().double(), mean=0.7)
HIGH, LOW = 20.0, 0.05


def trajectory(method: Method, levels: list[float], seed: int = 0) -> list[Tensor]:
    """x at every level, in float64."""
    seen = [(levels[0] * Noise([seed])((1, 1, SIDE, SIDE))).double()]
    sample(None, PRIOR, method, levels, noise=Noise([seed]), size=(SIDE, SIDE), on_step=lambda i, x: seen.append(x),
           start=torch.zeros(1, 1, SIDE, SIDE, dtype=torch.float64))
    return seen


def exact_flow(x: Tensor, sigma: float, sigma_next: float) -> Tensor:
    """dx/dsigma = (x - E[x0 | x]) / sigma scales every coefficient of a Gaussian as sqrt(power + sigma^2)."""
    gain = ((PRIOR.power + sigma_next**2) / (PRIOR.power + sigma**2)).sqrt()
    return PRIOR.mean + torch.fft.ifft2(gain * torch.fft.fft2(x - PRIOR.mean)).real


def geometric(steps: int) -> list[float]:
    """Evenly spaced in log sigma, where the order of the solver is stated; then 0."""
    return [HIGH * (LOW / HIGH) ** (i / steps) for i in range(steps + 1)] + [0.0]


def error(method: Method, steps: int) -> float:
    """Relative distance to the exact flow at the last level above 0."""
    seen = trajectory(method, geometric(steps))
    exact = exact_flow(seen[0], HIGH, LOW)
    return float((seen[-2] - exact).norm() / exact.norm())


@pytest.mark.parametrize(("method", "order"), [(DPMSolver(), 2), (DDIM(0.0), 1), (ProbabilityFlow(heun=False), 1)], ids=str)
def test_the_error_falls_with_the_order_of_the_solver(method: Method, order: int) -> None:
    errors = [error(method, steps) for steps in (80, 160, 320)]
    for coarse, fine in pairwise(errors):
        assert coarse / fine == pytest.approx(2**order, rel=0.1)


def test_two_estimates_are_worth_a_second_call() -> None:
    """At an equal number of calls of the prior the multistep solver beats Euler, and Heun, which takes two a step."""
    assert error(DPMSolver(), 40) < 0.2 * error(DDIM(0.0), 40)
    assert error(DPMSolver(), 40) < error(ProbabilityFlow(), 20)


def paper(levels: list[float], x: Tensor) -> list[Tensor]:
    """Lu et al., arXiv 2211.01095, Alg. 2 in their own variables, alpha^2 + sigma^2 = 1 and lambda = log(alpha / sigma)."""
    alphas = [1 / math.sqrt(1 + level**2) for level in levels]
    sigmas = [level / math.sqrt(1 + level**2) for level in levels]
    lambdas = [math.log(a / s) for a, s in zip(alphas, sigmas, strict=True)]

    def x_theta(x_t: Tensor, i: int) -> Tensor:
        return PRIOR(x_t / alphas[i], levels[i])

    x_t, buffer, done = alphas[0] * x, [], []
    for i in range(1, len(levels)):
        h = lambdas[i] - lambdas[i - 1]
        buffer.append(x_theta(x_t, i - 1))
        target = buffer[-1]
        if i > 1:
            r = (lambdas[i - 1] - lambdas[i - 2]) / h
            target = (1 + 1 / (2 * r)) * buffer[-1] - 1 / (2 * r) * buffer[-2]
        x_t = sigmas[i] / sigmas[i - 1] * x_t - alphas[i] * (math.exp(-h) - 1) * target
        done.append(x_t / alphas[i])
    return done


def test_the_trajectory_is_the_paper_s() -> None:
    levels = karras(9, 30.0, 0.02)
    seen = trajectory(DPMSolver(), levels)
    for got, want in zip(seen[1:-1], paper(levels[:-1], seen[0]), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(seen[-1], PRIOR(seen[-2], levels[-2]))  # the step to 0 is of first order


def test_the_first_step_after_time_travel_is_of_first_order() -> None:
    levels = time_travel([8.0, 4.0, 2.0, 1.0, 0.0], 2, 2)  # 8 4 2, up to 8, 4 2 1 0
    seen = trajectory(DPMSolver(), levels)
    rises = [i for i, (a, b) in enumerate(pairwise(levels)) if b > a]
    assert rises == [2]
    for i in (0, rises[0] + 1):
        x0 = PRIOR(seen[i], levels[i])
        torch.testing.assert_close(seen[i + 1], x0 + levels[i + 1] / levels[i] * (seen[i] - x0))
    second = rises[0] + 2
    x0 = PRIOR(seen[second], levels[second])
    assert float((seen[second + 1] - x0 - levels[second + 1] / levels[second] * (seen[second] - x0)).abs().max()) > 1e-3


def test_estimates_that_are_linear_in_log_sigma_are_met_halfway() -> None:
    sigma_before, sigma, sigma_next = 7.0, 3.0, 0.4
    line = [torch.tensor([2.0, -1.0]) + math.log(level) * torch.tensor([0.5, 3.0]) for level in
            (sigma_before, sigma, math.sqrt(sigma * sigma_next))]
    torch.testing.assert_close(extrapolated(line[1], sigma, sigma_next, (line[0], sigma_before)), line[2])
    assert extrapolated(line[1], sigma, sigma_next, None) is line[1]
    assert extrapolated(line[1], sigma, 0.0, (line[0], sigma_before)) is line[1]
