"""Priors that wrap another one have all that it has."""

import torch
from torch import Tensor

from medrestore.codecs import Interval
from medrestore.priors import EDM, NetworkPrior, Prior, Watched, WrappedPrior


class Halved(WrappedPrior):
    """Half the estimates of another prior."""

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        return self.prior(x, sigma) / 2


class Bare(Prior):
    """A prior that says nothing of itself but its channels."""

    channels = 3

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        return x / (1 + sigma**2)


def test_a_wrapped_prior_has_every_attribute_of_the_prior() -> None:
    net = torch.nn.Identity()
    prior = NetworkPrior(net, EDM(sigmas=(0.1, 7.0)), channels=2, multiple=4, size=(8, 16), recipe=Interval(0.0, 9.0))
    wrapped = Halved(prior)
    stated = [name for name in Prior.__annotations__]
    assert set(stated) == {"channels", "multiple", "size", "recipe", "sigma_range", "whole"}
    for name in stated:
        assert getattr(wrapped, name) == getattr(prior, name)


def test_what_a_prior_does_not_say_has_its_default() -> None:
    wrapped = Halved(Halved(Bare()))
    assert (wrapped.channels, wrapped.multiple, wrapped.size, wrapped.recipe) == (3, 1, None, None)
    assert wrapped.sigma_range == (0.0, float("inf"))
    x = torch.ones(1, 3, 2, 2)
    assert torch.equal(wrapped(x, 1.0), x / 8)
    assert repr(Halved(NetworkPrior(torch.nn.Identity(), EDM(), channels=1))).startswith("Halved(NetworkPrior(Identity, EDM(")


def test_a_watched_prior_counts_the_images_of_its_calls() -> None:
    seen: list[int] = []
    prior = Watched(Bare(), seen.append)
    assert torch.equal(prior(torch.ones(2, 3, 2, 2), 1.0), torch.full((2, 3, 2, 2), 0.5))
    prior(torch.ones(1, 3, 2, 2), 1.0)
    assert seen == [2, 1]
