"""One step of DDRM against its paper's formulas."""

import math

import pytest
import torch
from helpers.steps import JUMPS, NOISE, PRIOR, SINGULAR, START, D, U, V, Y, close, flat, step

from medrestore.methods import DDRM


@pytest.mark.parametrize(("sigma", "tau"), JUMPS)
@pytest.mark.parametrize("eta_b", [1.0, 0.7])
def test_ddrm(sigma, tau, eta_b):
    sigma_y, eta = 0.2, 0.85
    x0, x = flat(PRIOR(sigma * START, sigma)) @ V, flat(sigma * START) @ V
    n, y = flat(NOISE) @ V, Y @ U
    want = torch.empty(2, D, dtype=torch.float64)
    for i, s in enumerate(SINGULAR.tolist()):  # eqs. 7-8, in their own x0 + sigma n, with ybar = y / s
        if s == 0:
            mean, var = x0[:, i] + (1 - eta**2) ** 0.5 * tau * (x[:, i] - x0[:, i]) / sigma, (eta * tau) ** 2
        elif tau < sigma_y / s:
            mean = x0[:, i] + (1 - eta**2) ** 0.5 * tau * (y[:, i] / s - x0[:, i]) / (sigma_y / s)
            var = (eta * tau) ** 2
        else:
            mean, var = (1 - eta_b) * x0[:, i] + eta_b * y[:, i] / s, tau**2 - (sigma_y / s * eta_b) ** 2
        want[:, i] = mean + var**0.5 * n[:, i]
    got = step(DDRM(eta, eta_b), sigma, tau, sigma_y=sigma_y) * math.sqrt(1 + tau**2)
    close(got, want @ V.T)
