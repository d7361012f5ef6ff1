"""One step of RePaint against its paper's algorithm."""

import pytest
import torch
from helpers.steps import JUMPS, NOISE, PINV, SIDE, VP, D, V, Y, close, flat, random, step

from medrestore.methods import RePaint


@pytest.mark.parametrize(("sigma", "tau"), JUMPS)
def test_repaint(sigma, tau):
    vp, other = VP(sigma, tau), random(2, 1, SIDE, SIDE, seed=9)
    seen = V[:, 6:] @ V[:, 6:].T
    mean = (vp.x - vp.beta / (1 - vp.abar) ** 0.5 * vp.e) / (1 - vp.beta) ** 0.5  # Ho et al., eq. 11
    unknown = mean + vp.beta_tilde**0.5 * vp.n
    known = vp.abar_next**0.5 * Y @ PINV.T + (1 - vp.abar_next) ** 0.5 * flat(other)
    want = known @ seen + unknown @ (torch.eye(D) - seen)
    close(step(RePaint(), sigma, tau, noises=(NOISE, other)), want)
