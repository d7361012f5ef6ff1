"""One step of DDS against its paper's algorithms."""

import pytest
import torch
from helpers.steps import JUMPS, PINV, VP, A, D, Y, close, step
from torch import Tensor

from medrestore.methods import DDS


def textbook_cg(system: Tensor, b: Tensor, x: Tensor, steps: int) -> Tensor:
    r = b - system @ x
    p = r
    for _ in range(steps):
        alpha = (r @ r) / (p @ system @ p)
        x, r_old = x + alpha * p, r
        r = r - alpha * system @ p
        p = r + (r @ r) / (r_old @ r_old) * p
    return x


@pytest.mark.parametrize(("sigma", "tau"), JUMPS)
@pytest.mark.parametrize("sigma_y", [0.0, 0.2])
def test_dds(sigma, tau, sigma_y):
    """Alg. 1 starts the conjugate gradients of Ah A x = Ah y at x0; Alg. 3 solves (I + gamma Ah A) x = x0 + gamma Ah y."""
    vp, gamma, eta = VP(sigma, tau), 5.0, 0.85
    system, right = (A.T @ A, Y @ A) if sigma_y == 0 else (torch.eye(D) + gamma * A.T @ A, vp.x0 + gamma * Y @ A)
    x0 = torch.stack([textbook_cg(system, b, x, 5) for b, x in zip(right, vp.x0, strict=True)])
    close(step(DDS(gamma, 5, eta=eta), sigma, tau, sigma_y=sigma_y), vp.ddim(x0, vp.e, eta))


@pytest.mark.parametrize(("sigma", "tau"), JUMPS)
def test_dds_with_a_justified_weight(sigma, tau):
    vp, sigma_y, lam = VP(sigma, tau), 0.2, 2.0
    gamma = sigma**2 / (lam * sigma_y**2)
    x0 = torch.linalg.solve(torch.eye(D) + gamma * A.T @ A, vp.x0 + gamma * Y @ A, left=False)
    close(step(DDS(None, None, lam=lam, eta=0.85), sigma, tau, sigma_y=sigma_y), vp.ddim(x0, vp.e, 0.85))
    nearest = vp.x0 - (vp.x0 @ A.T - Y) @ PINV.T
    close(step(DDS(None, None, eta=0.85), sigma, tau), vp.ddim(nearest, vp.e, 0.85))
