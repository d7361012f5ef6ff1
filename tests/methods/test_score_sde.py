"""Predictor and corrector of the score-based SDEs against the paper's algorithms, in its own coordinates."""

import pytest
import torch
from helpers.steps import (
    JUMPS,
    NOISE,
    PINV,
    PRIOR,
    SIDE,
    SINGULAR,
    START,
    VP,
    A,
    D,
    Rotated,
    V,
    Y,
    close,
    flat,
    image,
    random,
    step,
)
from torch import Tensor

from medrestore.methods import DDPM, ScoreSDE
from medrestore.methods.score_sde import corrected, imputed, informed, predicted
from medrestore.operators import SpectralOperator
from medrestore.problem import Problem


def score(x: Tensor, sigma: float) -> Tensor:
    """Of x0 + sigma n, as vectors."""
    return flat(PRIOR(x, sigma) - x) / sigma**2


@pytest.mark.parametrize(("sigma", "tau"), JUMPS)
def test_ve_reverse_diffusion(sigma: float, tau: float) -> None:
    """Alg. 2, for SMLD."""
    x = sigma * START
    want = flat(x) + (sigma**2 - tau**2) * score(x, sigma) + (sigma**2 - tau**2) ** 0.5 * flat(NOISE)
    close(flat(predicted(x, PRIOR(x, sigma), sigma, tau, NOISE, "ve", "reverse-diffusion")), want)


@pytest.mark.parametrize(("sigma", "tau"), JUMPS)
def test_ve_ancestral(sigma: float, tau: float) -> None:
    """Eq. 47, which is ancestral sampling of a DDPM at these levels."""
    x = sigma * START
    share = tau**2 * (sigma**2 - tau**2) / sigma**2
    want = flat(x) + (sigma**2 - tau**2) * score(x, sigma) + share**0.5 * flat(NOISE)
    got = predicted(x, PRIOR(x, sigma), sigma, tau, NOISE)
    close(flat(got), want)
    close(got, DDPM().step(x, sigma, tau, problem=None, denoise=PRIOR, constrain=lambda v: v, noise=lambda: NOISE))


@pytest.mark.parametrize(("sigma", "tau"), JUMPS)
def test_vp_predictors(sigma: float, tau: float) -> None:
    """Alg. 3 and Ho et al., in x_t = sqrt(abar) x0 + ..., with the score of x_t."""
    vp = VP(sigma, tau)
    of_x_t = -vp.e / (1 - vp.abar) ** 0.5
    diffused = (2 - (1 - vp.beta) ** 0.5) * vp.x + vp.beta * of_x_t + vp.beta**0.5 * vp.n
    ancestral = (vp.x + vp.beta * of_x_t) / (1 - vp.beta) ** 0.5 + vp.beta**0.5 * vp.n
    x = sigma * START
    for predictor, want in (("reverse-diffusion", diffused), ("ancestral", ancestral)):
        got = predicted(x, PRIOR(x, sigma), sigma, tau, NOISE, "vp", predictor)
        close(vp.abar_next**0.5 * flat(got), want)


def test_corrector() -> None:
    """Alg. 4 sample by sample; Alg. 5 with alpha, in x_t."""
    sigma, snr, alpha = 0.7, 0.16, 0.6
    x = sigma * START
    g = score(x, sigma)
    eps = torch.stack([2 * (snr * flat(NOISE)[i].norm() / g[i].norm()) ** 2 for i in range(2)])[:, None]
    close(flat(corrected(x, image(g), NOISE, snr)), flat(x) + eps * g + (2 * eps).sqrt() * flat(NOISE))
    scale = (1 + sigma**2) ** -0.5  # x_t = scale x, so that its score is g / scale
    eps = torch.stack([2 * alpha * (snr * flat(NOISE)[i].norm() / (g[i] / scale).norm()) ** 2 for i in range(2)])[:, None]
    want = scale * flat(x) + eps * g / scale + (2 * eps).sqrt() * flat(NOISE)
    close(scale * flat(corrected(x, image(g), NOISE, snr, alpha)), want)


def test_measured_coefficients_are_the_data_s_at_the_level_of_x() -> None:
    """Noise of the data and fresh noise together have the variance of the level; noisier ones are left alone."""
    problem: Problem[SpectralOperator] = Problem(Rotated(), Y, 0.3)
    level = 0.5
    got = flat(imputed(problem, START, level, NOISE)) @ V
    start, n, data = flat(START) @ V, flat(NOISE) @ V, Y @ PINV.T @ V
    kept = filled = 0
    for k in range(D):
        nu = 0.3 / float(SINGULAR[k]) if SINGULAR[k] > 0 else float("inf")
        if nu > level:
            close(got[:, k], start[:, k])
            kept += 1
        else:
            close(got[:, k], data[:, k] + (level**2 - nu**2) ** 0.5 * n[:, k])
            filled += 1
    assert kept > 6 and filled > 2


def test_noisier_data_enter_the_score() -> None:
    """x at level nu is y: given x at a lower level y has the variance nu^2 - level^2, held above level^2."""
    problem: Problem[SpectralOperator] = Problem(Rotated(), Y, 0.3)
    level = 0.5
    got = flat(informed(problem, START, level)) @ V
    start, data = flat(START) @ V, Y @ PINV.T @ V
    for k in range(D):
        nu = 0.3 / float(SINGULAR[k]) if SINGULAR[k] > 0 else float("inf")
        weight = 1 / max(nu**2 - level**2, level**2) if nu > level else 0.0
        close(got[:, k], weight * (data[:, k] - start[:, k]))
    assert informed(Problem(Rotated(), Y), START, level) == 0.0


def test_a_step_is_predictor_projection_and_correctors() -> None:
    sigma, tau = 2.0, 0.6
    noises = tuple(random(2, 1, SIDE, SIDE, seed=k) for k in range(20, 26))
    problem: Problem[SpectralOperator] = Problem(Rotated(), Y, 0.1)
    x = predicted(sigma * START, PRIOR(sigma * START, sigma), sigma, tau, noises[0])
    x = imputed(problem, x, tau, noises[1])
    for k in (2, 4):
        x = corrected(x, (PRIOR(x, tau) - x) / tau**2 + informed(problem, x, tau), noises[k], 0.16)
        x = imputed(problem, x, tau, noises[k + 1])
    close(step(ScoreSDE(correctors=2), sigma, tau, sigma_y=0.1, noises=noises), flat(x) / (1 + tau**2) ** 0.5)


def test_the_last_step_is_denoised_and_explains_exact_data() -> None:
    close(step(ScoreSDE(), 0.3, 0.0) @ A.T, Y)
    close(step(ScoreSDE(), 0.3, 0.0, sigma_y=0.2), flat(PRIOR(0.3 * START, 0.3)))


def test_calls() -> None:
    assert [ScoreSDE(correctors=k).calls(10) for k in (0, 1, 3)] == [10, 19, 37]
