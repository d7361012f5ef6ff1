"""Steps of RED-diff against its paper's algorithm, and Adam of torch."""

from itertools import pairwise

import pytest
import torch
from helpers.steps import NOISE, PRIOR, START, X0, A, Rotated, Y, close, flat, image, random

from medrestore.levels import karras
from medrestore.methods import REDDiff
from medrestore.noise import Noise
from medrestore.operators import Identity, Operator
from medrestore.priors import StationaryGaussian
from medrestore.problem import Problem
from medrestore.sampling import sample

LEVELS = [4.0, 2.0, 1.0, 0.3, 0.0]


class Bent(Operator):
    """Differentiable and no more."""

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(flat(x) @ A.T)


@pytest.mark.parametrize("operator", [Rotated(), Bent()], ids=["linear", "bent"])
def test_steps_are_those_of_the_paper(operator: Operator) -> None:
    """Alg. 1 in x_t = a mu + s n: |y - f(mu)|^2 / 2 + lambda_t (sg(e - n))^T mu, lambda_t = lam s / a, by Adam."""
    lam, lr = 0.25, 0.1
    noises = [random(*NOISE.shape, seed=20 + k) for k in range(4)]
    lent = {"problem": Problem(operator, Y, 0.2), "denoise": PRIOR, "constrain": lambda v: v}
    method, drawn = REDDiff(lam, lr), iter(noises[1:])
    x, memory = 4.0 * START, None
    mu = PRIOR(4.0 * START, 4.0).clone().requires_grad_()
    adam = torch.optim.Adam([mu], lr=lr, betas=(0.9, 0.99))
    for k, (sigma, tau) in enumerate(pairwise(LEVELS)):
        x, memory = method.advance(x, sigma, tau, memory, noise=lambda: next(drawn), **lent)
        a = (1 + sigma**2) ** -0.5
        s = sigma * a
        loss = (operator(mu) - Y).square().sum() / 2
        if k > 0:  # the first estimate is where mu begins
            x_t = a * mu.detach() + s * noises[k]
            e = (x_t - a * PRIOR(x_t / a, sigma)) / s
            loss = loss + lam * s / a * ((e - noises[k]) * mu).sum()
        adam.zero_grad()
        loss.backward()
        adam.step()
        close(flat(x), flat(mu.detach()))


def test_constraints_hold_at_every_step() -> None:
    lent = {"problem": Problem(Rotated(), Y, 0.2), "denoise": PRIOR, "noise": lambda: NOISE}
    fixed = image(torch.ones(2, 16).double())
    x, memory = REDDiff().advance(4.0 * START, 4.0, 2.0, None, constrain=lambda v: torch.where(fixed > 0, X0, v), **lent)
    assert torch.equal(x, X0) and torch.equal(memory.mu, X0)


def test_one_call_a_level_and_one_estimate_for_all_seeds_in_the_end() -> None:
    """Deterministic but for the noise that the prior is asked with; draws none."""
    assert not REDDiff.draws and REDDiff().calls(30) == 30
    prior = StationaryGaussian(torch.ones(4, 4))
    y = torch.ones(1, 1, 4, 4)
    x = sample(Problem(Identity(), y, 0.1), prior, REDDiff(), karras(100, 20.0, 0.01), noise=Noise([0, 1, 2]), size=(4, 4))
    assert float((x - 1).abs().max()) < 0.3 and float(x.std(0).max()) < 0.1
