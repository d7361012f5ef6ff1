"""One step of DiffPIR against its paper's algorithm."""

import pytest
import torch
from helpers.steps import JUMPS, VP, A, D, Y, close, step

from medrestore.methods import DiffPIR


@pytest.mark.parametrize(("sigma", "tau"), JUMPS)
def test_diffpir(sigma, tau):
    vp, sigma_y, lam, zeta = VP(sigma, tau), 0.2, 7.0, 0.3
    rho = lam * sigma_y**2 / ((1 - vp.abar) / vp.abar)  # Alg. 1, line 2
    x0 = torch.linalg.solve(A.T @ A + rho * torch.eye(D), Y @ A + rho * vp.x0, left=False)
    e = (vp.x - vp.abar**0.5 * x0) / (1 - vp.abar) ** 0.5
    want = vp.abar_next**0.5 * x0 + (1 - vp.abar_next) ** 0.5 * ((1 - zeta) ** 0.5 * e + zeta**0.5 * vp.n)
    close(step(DiffPIR(lam, zeta), sigma, tau, sigma_y=sigma_y), want)
