"""One step of PiGDM against its paper's algorithm."""

import pytest
import torch
from helpers.steps import JUMPS, ROWS, START, VP, A, Y, by_functions, close, flat, step

from medrestore.methods import PiGDM


@pytest.mark.parametrize(("sigma", "tau"), JUMPS)
@pytest.mark.parametrize("sigma_y", [0.0, 0.2])
def test_pigdm(sigma: float, tau: float, sigma_y: float) -> None:
    """Alg. 1: DDIM plus sqrt(abar_t) r_t^2 times the guidance of eq. 8, in sqrt(abar) x; r_t^2 = 1 - abar_t."""
    vp, eta = VP(sigma, tau), 0.85
    r2 = 1 - vp.abar
    slope = 0.1 * (1 - torch.tanh(flat(sigma * START)) ** 2) / sigma / vp.abar**0.5  # dx0/dx_t
    inverse = torch.linalg.pinv(r2 * A @ A.T + sigma_y**2 * torch.eye(ROWS), rtol=1e-10)
    guidance = slope * ((Y - vp.x0 @ A.T) @ inverse @ A)
    want = vp.ddim(vp.x0, vp.e, eta) + (vp.abar * vp.abar_next) ** 0.5 * r2 * guidance
    close(step(PiGDM(eta), sigma, tau, sigma_y=sigma_y), want)
    close(step(PiGDM(eta, rtol=1e-9), sigma, tau, sigma_y=sigma_y, operator=by_functions()), want)
