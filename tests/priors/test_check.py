"""The recorded output of a network tells it from others, and from itself wired otherwise."""

import pytest
import torch
from torch import Tensor, nn

from medrestore.priors import EDM, Epsilon, NetworkPrior, check


class Convolution(nn.Module):
    """A small network of any number of input channels."""

    def __init__(self, inside: int = 1, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.net = nn.Conv2d(inside, 1, 3, padding=1)

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        return self.net(x) * t.reshape(-1, 1, 1, 1).cos()


def prior(net: nn.Module, **changes) -> NetworkPrior:
    return NetworkPrior(net, **({"parametrisation": EDM(), "channels": 1} | changes))


def test_the_same_network_agrees_and_others_do_not() -> None:
    first = check.answer(prior(Convolution()))
    assert check.agree(first, check.answer(prior(Convolution())))
    for other in (prior(Convolution(seed=1)), prior(Convolution(), parametrisation=EDM(sigma_data=0.4)),
                  prior(Convolution(), parametrisation=Epsilon()), prior(Convolution(), size=(64, 32))):
        assert not check.agree(first, check.answer(other))


def test_rounding_is_no_difference() -> None:
    first = check.answer(prior(Convolution()))
    for scale, same in ((1e-5, True), (0.1, False)):
        other = dict(first, mean=first["mean"] + scale * first["std"])
        assert check.agree(first, other) == same


@pytest.mark.parametrize(("changes", "size", "sigma"), [
    ({}, [32, 32], 1.0), ({"multiple": 24}, [48, 48], 1.0), ({"size": (16, 40)}, [16, 40], 1.0),
    ({"parametrisation": EDM(sigmas=(2.0, 5.0))}, [32, 32], 2.0), ({"parametrisation": EDM(sigmas=(0.01, 0.5))}, [32, 32], 0.5),
])
def test_size_and_level_suit_the_prior(changes, size, sigma) -> None:
    answer = check.answer(prior(Convolution(), **changes))
    assert (answer["size"], answer["sigma"]) == (size, sigma) and len(answer["values"]) == check.PLACES


def test_a_second_image_counts() -> None:
    net = Convolution(inside=3)
    first = check.answer(prior(net), condition_channels=2)
    net.net.weight.data[:, 1:] *= 2
    assert not check.agree(first, check.answer(prior(net), condition_channels=2))


def test_the_first_tensor_that_is_not_finite_is_named():
    nan, infinity = torch.tensor([1.0, float("nan")]), torch.tensor(float("inf"))
    state = {"a": torch.ones(2), "number": torch.tensor(3), "b": nan, "c": infinity}
    assert check.not_finite(state) == "b" and check.not_finite({"a": state["a"], "n": state["number"]}) is None
