"""One step of ILVR against its paper's algorithm."""

import pytest
import torch
from helpers.steps import JUMPS, NOISE, PINV, VP, A, Y, by_functions, close, flat, random, step

from medrestore.methods import ILVR, RePaint

SECOND = random(*NOISE.shape, seed=9)


@pytest.mark.parametrize(("sigma", "tau"), JUMPS)
def test_ilvr(sigma: float, tau: float) -> None:
    """Alg. 1, phi = A^+ A: x_{t-1} = phi(y_{t-1}) + (I - phi) x'_{t-1}, y_{t-1} of the forward process."""
    vp = VP(sigma, tau)
    proposal = vp.posterior_mean(vp.x0) + vp.beta_tilde**0.5 * vp.n
    noised = vp.abar_next**0.5 * Y + (1 - vp.abar_next) ** 0.5 * flat(SECOND) @ A.T
    want = proposal + (noised - proposal @ A.T) @ PINV.T
    for operator in (None, by_functions()):
        close(step(ILVR(), sigma, tau, noises=(NOISE, SECOND), operator=operator), want)
    close(step(ILVR(down_to=tau / 2), sigma, tau, noises=(NOISE, SECOND)), want)
    close(step(ILVR(down_to=2 * tau), sigma, tau, noises=(NOISE, SECOND)), proposal)


def test_for_a_spectral_operator_it_is_repaint() -> None:
    ours, theirs = (step(method, 2.0, 0.6, noises=(NOISE, SECOND)) for method in (ILVR(), RePaint()))
    torch.testing.assert_close(ours, theirs)
