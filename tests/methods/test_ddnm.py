"""One step of DDNM and DDNM+ against their paper's formulas."""

import pytest
import torch
from helpers.steps import JUMPS, PINV, SINGULAR, VP, A, D, Rotated, V, Y, by_functions, close, step

from medrestore.methods import DDNM, DDNMPlus, SimplifiedDDNMPlus
from medrestore.problem import Problem


@pytest.mark.parametrize(("sigma", "tau"), JUMPS)
def test_ddnm(sigma, tau):
    vp, eta = VP(sigma, tau), 0.85
    x0 = vp.x0 - (vp.x0 @ A.T - Y) @ PINV.T
    noise = (1 - vp.abar_next) ** 0.5 * (eta * vp.n + (1 - eta**2) ** 0.5 * vp.e)
    close(step(DDNM(eta), sigma, tau), vp.abar_next**0.5 * x0 + noise)


@pytest.mark.parametrize(("sigma", "tau"), JUMPS)
@pytest.mark.parametrize("sigma_y", [0.0, 0.2])
def test_ddnm_plus(sigma, tau, sigma_y):
    vp, eta = VP(sigma, tau), 0.85
    a, st = vp.abar_next**0.5, (1 - vp.abar_next) ** 0.5
    lam, fresh, kept = (torch.empty(D, dtype=torch.float64) for _ in range(3))
    for i, s in enumerate(SINGULAR.tolist()):  # appendix I, eqs. 53-56
        if s == 0:
            lam[i], fresh[i], kept[i] = 1.0, st * eta, st * (1 - eta**2) ** 0.5
        elif st >= a * sigma_y / s:
            lam[i], fresh[i], kept[i] = 1.0, (st**2 - (a * sigma_y / s) ** 2) ** 0.5, 0.0
        else:
            lam[i], fresh[i], kept[i] = s * st * (1 - eta**2) ** 0.5 / (a * sigma_y), st * eta, 0.0
    if sigma_y > 0:
        assert 0 < (lam < 1).sum() < 10, "both branches must be walked"
    x0 = vp.x0 - (vp.x0 @ A.T - Y) @ PINV.T @ (V * lam @ V.T)
    want = a * x0 + vp.n @ (V * fresh @ V.T) + vp.e @ (V * kept @ V.T)
    close(step(DDNMPlus(eta), sigma, tau, sigma_y=sigma_y), want)


@pytest.mark.parametrize(("sigma", "tau"), JUMPS)
@pytest.mark.parametrize("sigma_y", [0.0, 0.02, 0.4])
@pytest.mark.parametrize("posterior", [False, True])
def test_simplified_ddnm_plus(sigma: float, tau: float, sigma_y: float, posterior: bool) -> None:
    """Eqs. 17-19, s the std of A^+ n: x_{t-1} = a x0 + b x_t + gamma n, or with the noise split by eta."""
    vp, eta = VP(sigma, tau), 0.85
    for operator in (Rotated(), by_functions()):
        s = float(Problem(operator, Y[:1], sigma_y).inverted_noise)
        a, level = vp.abar_next**0.5, (1 - vp.abar_next) ** 0.5
        if posterior:
            a, level = vp.abar_next**0.5 * vp.beta / (1 - vp.abar), vp.beta_tilde**0.5
        lam, gamma = (1.0, (level**2 - (a * s) ** 2) ** 0.5) if level >= a * s else (level / (a * s), 0.0)
        x0 = vp.x0 - lam * (vp.x0 @ A.T - Y) @ PINV.T
        split = a * x0 + gamma * (eta * vp.n + (1 - eta**2) ** 0.5 * vp.e)
        want = vp.posterior_mean(x0) + gamma * vp.n if posterior else split
        close(step(SimplifiedDDNMPlus(None if posterior else eta), sigma, tau, sigma_y=sigma_y, operator=operator), want)

