"""Regularisation by denoising against the papers' algorithms."""

from itertools import pairwise

import pytest
import torch
from gaussian_posterior import FAMILIES, Case, Posterior
from helpers.steps import NOISE, PRIOR, START, A, D, Rotated, Y, close, flat, image
from torch import Tensor

from medrestore.levels import karras
from medrestore.methods import RED
from medrestore.problem import Problem

LEVELS, SIGMA_Y = [4.0, 2.0, 0.5, 0.0], 0.2


def trajectory(method: RED) -> list[Tensor]:
    problem = Problem(Rotated(), Y, SIGMA_Y)
    lent = {"problem": problem, "denoise": PRIOR, "constrain": lambda v: v, "noise": lambda: NOISE}
    x, memory, seen = LEVELS[0] * START, method.begin(problem, START.shape), []
    for sigma, tau in pairwise(LEVELS):
        x, memory = method.advance(x, sigma, tau, memory, **lent)
        seen.append(flat(x))
    return seen


def test_the_fixed_point_iteration() -> None:
    """Romano et al., eq. 40: (A^T A / sigma_y^2 + lam I) x = A^T y / sigma_y^2 + lam D(x), with lam per sigma^2."""
    x = flat(LEVELS[0] * START)
    for got, sigma in zip(trajectory(RED(0.7)), LEVELS, strict=False):
        lam = 0.7 / sigma**2
        H = A.T @ A / SIGMA_Y**2 + lam * torch.eye(D)
        x = torch.linalg.solve(H, Y @ A / SIGMA_Y**2 + lam * flat(PRIOR(image(x), sigma)), left=False)
        close(got, x)


def test_the_accelerated_proximal_form() -> None:
    """Reehorst & Schniter, Alg. 5, its v at the extrapolated point, its proximal map with weight L lam."""
    L, lam = 2.0, 0.7
    x = before = flat(LEVELS[0] * START)
    t_before = 1.0
    t = (1 + 5**0.5) / 2
    z = x
    for got, sigma in zip(trajectory(RED(lam, L=L, momentum=True)), LEVELS, strict=False):
        v = flat(PRIOR(image(z), sigma)) / L - (1 - L) / L * z
        weight = L * lam / sigma**2
        x = torch.linalg.solve(A.T @ A / SIGMA_Y**2 + weight * torch.eye(D), Y @ A / SIGMA_Y**2 + weight * v, left=False)
        close(got, x)
        t_before, t = t, (1 + (1 + 4 * t**2) ** 0.5) / 2
        z, before = x + (t_before - 1) / t * (x - before), x


@pytest.mark.parametrize(("method", "most"), [(RED(), 0.35), (RED(iterations=3, momentum=True), 0.1)], ids=str)
def test_more_iterations_come_nearer_to_the_mean_of_the_posterior(method: RED, most: float) -> None:
    case = Case.of(FAMILIES["inpainting"](), 0.1)
    assert max(Posterior(case).score(case.draw(method, karras(30, 40.0, 0.01), samples=2)).error) < most


def test_calls() -> None:
    assert (RED().calls(10), RED(iterations=3).calls(10)) == (10, 30)
