"""Sampling of a prior that is given the coarse image."""

import torch
from torch import Tensor

from medrestore.methods import DDIM, Conditional, serving
from medrestore.noise import Noise
from medrestore.operators import Identity
from medrestore.priors.base import Prior
from medrestore.problem import Problem
from medrestore.sampling import sample

LEVELS = (4.0, 1.0, 0.2, 0.0)


class Known(Prior):
    """One image, whatever it is given."""

    channels = 1

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        return torch.full_like(x, 0.3)


class Normal(Prior):
    """Pixels of std 1."""

    channels = 1

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        return x / (1 + sigma**2)


def test_it_is_ddim_whatever_the_data_are() -> None:
    other = Problem(Identity(), torch.full((1, 1, 4, 4), 7.0))
    made = sample(other, Normal(), Conditional(eta=0.5), LEVELS, noise=Noise((0, 1)), size=(4, 4))
    alone = sample(None, Normal(), DDIM(eta=0.5), LEVELS, noise=Noise((0, 1)), size=(4, 4))
    torch.testing.assert_close(made, alone)
    known = sample(other, Known(), Conditional(), LEVELS, noise=Noise((0,)), size=(4, 4))
    torch.testing.assert_close(known, torch.full((1, 1, 4, 4), 0.3))


def test_it_is_offered_for_priors_that_are_given_the_coarse_image_alone() -> None:
    assert "conditional" not in serving(Identity()) and "conditional" in serving(Identity(), given=True)
