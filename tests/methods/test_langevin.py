"""Preconditioned Langevin dynamics against its formula, and against what it must leave as it is."""

import pytest
import torch
from helpers.steps import NOISE, PRIOR, SIDE, START, A, D, Rotated, U, V, Y, close, flat, image, random

from medrestore.methods import Langevin
from medrestore.methods.langevin import white_of_data
from medrestore.priors import Prior
from medrestore.problem import Problem


@pytest.mark.parametrize("annealed", [False, True])
def test_a_step(annealed: bool) -> None:
    """x + eps P g + noise, with the noise written out as P (n / sigma + A^T n' / sqrt(v))."""
    sigma, sigma_y, eps = 0.7, 0.2, 0.4
    draws = [random(2, 1, SIDE, SIDE, seed=k) for k in (31, 32)]
    left = iter(draws)
    x = sigma * START
    got = Langevin(1, eps, annealed).step(x, sigma, 0.5, problem=Problem(Rotated(), Y, sigma_y), denoise=PRIOR,
                                          constrain=lambda v: v, noise=lambda: next(left))
    v = sigma_y**2 + (sigma**2 if annealed else 0.0)
    P = torch.linalg.inv(torch.eye(D) / sigma**2 + A.T @ A / v)
    g = flat(PRIOR(x, sigma) - x) / sigma**2 + (Y - flat(x) @ A.T) @ A / v
    n, of_data = flat(draws[0]), flat(draws[1])[:, : len(A)]
    drawn = (n / sigma + of_data @ A / v**0.5) @ P
    close(flat(got), flat(x) + eps * g @ P + (2 * eps * (1 - eps / 2)) ** 0.5 * drawn)


def test_the_last_level_ends_with_the_mean_given_x_and_the_data() -> None:
    sigma, sigma_y = 0.3, 0.2
    problem, zero = Problem(Rotated(), Y, sigma_y), torch.zeros_like(NOISE)
    lent = {"problem": problem, "denoise": PRIOR, "constrain": lambda v: v, "noise": lambda: zero}
    x = Langevin(1).step(sigma * START, sigma, 0.1, **lent)
    H = torch.eye(D) / sigma**2 + A.T @ A / sigma_y**2
    want = torch.linalg.solve(H, flat(PRIOR(x, sigma)) / sigma**2 + Y @ A / sigma_y**2, left=False)
    close(flat(Langevin(1).step(sigma * START, sigma, 0.0, **lent)), want)
    exact = Langevin(1).step(sigma * START, sigma, 0.0, **lent | {"problem": Problem(Rotated(), Y)})
    close(flat(exact) @ A.T, Y)


class Flat(Prior):
    """A prior that knows nothing: the posterior of x at a level is a Gaussian of covariance P."""

    channels = 1

    def __call__(self, x: torch.Tensor, sigma: float) -> torch.Tensor:
        return torch.zeros_like(x)


@pytest.mark.parametrize("eps", [0.3, 1.0])
def test_steps_leave_the_gaussian_that_they_are_made_for(eps: float) -> None:
    """With D = 0 the target is N(m, P) in 10 measured directions and N(0, sigma^2) in 6 others, whatever the step."""
    sigma, sigma_y, many = 0.8, 0.3, 4000
    P = torch.linalg.inv(torch.eye(D) / sigma**2 + A.T @ A / sigma_y**2)
    mean = Y[:1] @ A / sigma_y**2 @ P
    generator = torch.Generator().manual_seed(0)

    def noise() -> torch.Tensor:
        return torch.randn(many, 1, SIDE, SIDE, generator=generator, dtype=torch.float64)

    x = image(mean + flat(noise()) @ torch.linalg.cholesky(P).T)
    x = Langevin(3, eps).step(x, sigma, 0.5, problem=Problem(Rotated(), Y[:1], sigma_y), denoise=Flat(), constrain=lambda v: v,
                              noise=noise)
    along = (flat(x) - mean) @ V
    spread = (P @ V * V).sum(0).sqrt()
    assert float((along.std(0) / spread - 1).abs().max()) < 0.05
    assert float((along.mean(0) / spread).abs().max()) < 4 / many**0.5 * 1.5


def test_noise_of_any_measurement_comes_from_the_samples_own_streams() -> None:
    draws = iter([torch.arange(2 * 4.0).reshape(2, 1, 2, 2) + 100 * k for k in range(5)])
    n = white_of_data(torch.zeros(2, 3, 1, 2, dtype=torch.complex64), lambda: next(draws))
    assert n.shape == (2, 3, 1, 2) and n.is_complex()
    assert torch.view_as_real(n)[0].flatten().tolist() == [0, 1, 2, 3, 100, 101, 102, 103, 200, 201, 202, 203]
    assert torch.view_as_real(n)[1].flatten().tolist()[:5] == [4, 5, 6, 7, 104]
    assert len(list(draws)) == 2 and U.shape[0] == 12


def test_calls() -> None:
    assert (Langevin().calls(10), Langevin(1).calls(10)) == (21, 11)
