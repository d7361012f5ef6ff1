"""Ancestral sampling: the prior alone."""

from dataclasses import dataclass

from .base import Method


@dataclass(frozen=True)
class DDPM(Method):
    """Ancestral sampling: Ho, Jain & Abbeel, NeurIPS 2020, Alg. 2, at any spacing of the levels."""

    needs = None

    def step(self, x, sigma, sigma_next, *, problem, denoise, constrain, noise):
        x0 = constrain(denoise(x, sigma))
        share = (sigma_next / sigma) ** 2  # mean of q(x_next | x, x0) in x0 + sigma n
        return (1 - share) * x0 + share * x + sigma_next * (1 - share) ** 0.5 * noise()
