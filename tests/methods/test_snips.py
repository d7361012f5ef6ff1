"""SNIPS against its paper's algorithm."""

import pytest
import torch
from helpers.steps import NOISE, PINV, PRIOR, SINGULAR, START, A, D, Rotated, U, V, Y, close, flat, random

from medrestore.methods import SNIPS
from medrestore.problem import Problem

SECOND = random(*NOISE.shape, seed=9)


def paper(x: torch.Tensor, sigma: float, sigma_y: float, c: float, noises: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """Alg. 1 in the coordinates of V, with the scores of eqs. 7-9 and the step sizes of eq. 10, both as they stand."""
    v, y = flat(x) @ V, Y @ U
    for noise in noises:
        score = (flat(PRIOR((v @ V.T).reshape(x.shape), sigma)) - v @ V.T) / sigma**2 @ V
        gradient, alpha, fresh = torch.empty_like(v), torch.empty(D).double(), torch.empty(D).double()
        for j, s in enumerate(SINGULAR.tolist()):
            if s == 0:
                gradient[:, j], alpha[j] = score[:, j], c * sigma**2
            elif sigma * s > sigma_y:
                gradient[:, j] = s * (y[:, j] - s * v[:, j]) / (sigma**2 * s**2 - sigma_y**2)
                alpha[j] = c * (sigma**2 - sigma_y**2 / s**2)
            else:
                gradient[:, j] = s * (y[:, j] - s * v[:, j]) / (sigma_y**2 - sigma**2 * s**2) + score[:, j]
                alpha[j] = c * sigma**2 * (1 - s**2 * sigma**2 / sigma_y**2)
            fresh[j] = (2 - c) * alpha[j]  # the paper: 2 alpha
        v = v + alpha * gradient + fresh.sqrt() * (flat(noise) @ V)
    return v @ V.T


@pytest.mark.parametrize("sigma", [4.0, 0.5, 0.05])
@pytest.mark.parametrize("sigma_y", [0.0, 0.2])
def test_snips(sigma: float, sigma_y: float) -> None:
    drawn = iter((NOISE, SECOND))
    x = SNIPS(0.3, tau=2).step(sigma * START, sigma, 0.9 * sigma, problem=Problem(Rotated(), Y, sigma_y), denoise=PRIOR,
                               constrain=lambda v: v, noise=lambda: next(drawn))
    close(flat(x), paper(sigma * START, sigma, sigma_y, 0.3, (NOISE, SECOND)))


def test_the_last_step_is_the_estimate_with_exact_data_met() -> None:
    lent = {"denoise": PRIOR, "constrain": lambda v: v, "noise": lambda: NOISE}
    noisy, exact = (flat(SNIPS().step(0.3 * START, 0.3, 0.0, problem=Problem(Rotated(), Y, sigma_y), **lent))
                    for sigma_y in (0.2, 0.0))
    x0 = flat(PRIOR(0.3 * START, 0.3))
    close(noisy, x0)
    close(exact, x0 - (x0 @ A.T - Y) @ PINV.T)
    assert SNIPS(tau=5).calls(20) == 100
