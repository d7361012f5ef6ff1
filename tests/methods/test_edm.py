"""One step of the probability-flow ODE against its paper's formula."""

import math

import pytest
from helpers.steps import JUMPS, PRIOR, START, close, flat, step

from medrestore.methods import ProbabilityFlow


@pytest.mark.parametrize(("sigma", "tau"), [*JUMPS, (0.5, 0.0)])
def test_the_flow_is_heuns(sigma, tau):
    x = sigma * START
    d = (x - PRIOR(x, sigma)) / sigma
    there = x + (tau - sigma) * d
    close(step(ProbabilityFlow(heun=False), sigma, tau), flat(there) / math.sqrt(1 + tau**2))
    if tau > 0:
        there = x + (tau - sigma) * (d / 2 + (there - PRIOR(there, tau)) / tau / 2)
    close(step(ProbabilityFlow(), sigma, tau), flat(there) / math.sqrt(1 + tau**2))
