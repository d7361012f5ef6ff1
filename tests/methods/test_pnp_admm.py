"""Plug-and-play ADMM against its paper's algorithm, over a trajectory."""

from itertools import pairwise

import torch
from gaussian_posterior import FAMILIES, Case, Posterior
from helpers.steps import NOISE, PRIOR, START, A, D, Rotated, Y, close, flat, image

from medrestore.levels import karras
from medrestore.methods import HQS, PnPADMM
from medrestore.problem import Problem


def test_admm() -> None:
    """Chan et al., Alg. 1, with lambda_bar = rho / 2 |x - (v - u)|^2 solved densely, and u = y / rho of Boyd et al. from y."""
    levels, lam, sigma_y = [4.0, 2.0, 0.5, 0.0], 0.7, 0.2
    problem = Problem(Rotated(), Y, sigma_y)
    lent = {"problem": problem, "denoise": PRIOR, "constrain": lambda v: v, "noise": lambda: NOISE}
    method = PnPADMM(lam)
    got, memory = levels[0] * START, method.begin(problem, START.shape)
    v, dual = flat(levels[0] * START), torch.zeros(2, D, dtype=torch.float64)  # the multiplier itself, unscaled
    for sigma, tau in pairwise(levels):
        rho = lam / sigma**2
        H = A.T @ A / sigma_y**2 + rho * torch.eye(D)
        x = torch.linalg.solve(H, Y @ A / sigma_y**2 + rho * (v - dual / rho), left=False)
        v = flat(PRIOR(image(x + dual / rho), sigma))
        dual = dual + rho * (x - v)
        got, memory = method.advance(got, sigma, tau, memory, **lent)
        close(flat(got), v)


def test_the_dual_variable_makes_up_for_the_bias_of_splitting() -> None:
    """The posterior mean of a Gaussian is where ADMM rests, at lam = 1; half-quadratic splitting stays away from it."""
    case = Case.of(FAMILIES["inpainting"](), 0.1)
    posterior, levels = Posterior(case), karras(50, 40.0, 0.01)
    admm, splitting = (posterior.score(case.draw(method, levels, samples=2)).error for method in (PnPADMM(1.0), HQS(1.0)))
    assert max(admm) < 0.08 and max(admm) < 0.4 * max(splitting)
