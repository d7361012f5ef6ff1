"""Guidance samples exactly the posterior of the class where classifier and prior are exact."""

from typing import Any

import pytest
import torch
from helpers.mixtures import CLASS_OF, MODES, VARIANCE, WEIGHTS, Bayes, Mixture
from helpers.priors import tiny_prior

from medrestore.codecs import Interval
from medrestore.errors import InputError
from medrestore.levels import karras
from medrestore.methods import METHODS
from medrestore.noise import Noise
from medrestore.operators import Mask
from medrestore.priors import Classes, ClassifierFree, Guided, Prior
from medrestore.problem import Problem
from medrestore.sampling import sample

GUIDANCE = {"by a classifier": lambda scale, label: Guided(Mixture(), Bayes(), label, scale),
            "free of one": lambda scale, label: ClassifierFree(Mixture(), label, scale)}


def points(count: int = 6, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, 2, 1, 1, generator=torch.Generator().manual_seed(seed))


def drawn(prior: Prior, count: int = 900) -> torch.Tensor:
    """(count, 2) samples of a prior."""
    x = sample(None, prior, METHODS.build("ddim", {}, "x", "x"), karras(60, 20.0, 0.01), noise=Noise(range(count)), size=(1, 1))
    return x[:, :, 0, 0]


@pytest.mark.parametrize("kind", GUIDANCE)
def test_scale_1_samples_the_posterior_of_the_class(kind: str) -> None:
    """Class "left" has two modes of weights 0.4 and 0.6; what is drawn has their weights, means and spread."""
    x = drawn(GUIDANCE[kind](1.0, "left"))
    nearest = torch.cdist(x, MODES).argmin(1)
    assert int((CLASS_OF[nearest] != 0).sum()) <= 3
    weights = WEIGHTS[:2] / WEIGHTS[:2].sum()
    for mode in range(2):
        mine = x[nearest == mode]
        assert len(mine) / len(x) == pytest.approx(float(weights[mode]), abs=0.05)
        assert mine.mean(0).tolist() == pytest.approx(MODES[mode].tolist(), abs=0.03)
        assert float(mine.var(0).mean()) == pytest.approx(VARIANCE, rel=0.15)


@pytest.mark.parametrize("kind", GUIDANCE)
@pytest.mark.parametrize("sigma", [0.05, 0.7, 5.0])
def test_scale_1_is_the_estimate_of_the_class(kind: str, sigma: float) -> None:
    x = (1 + sigma) * points()
    for number, label in enumerate(("left", "right")):
        exact = Mixture().of_classes(x, sigma, torch.full((6,), number))
        torch.testing.assert_close(GUIDANCE[kind](1.0, label)(x, sigma), exact, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(GUIDANCE[kind](0.0, label)(x, sigma), Mixture()(x, sigma))


@pytest.mark.parametrize("sigma", [0.3, 2.0])
def test_scales_are_those_of_the_score(sigma: float) -> None:
    """With exact parts, both move the score by `scale` times the gradient of log p(class | x)."""
    x = points()
    for scale in (0.5, 3.0):
        both = [make(scale, "right")(x, sigma) for make in GUIDANCE.values()]
        torch.testing.assert_close(*both, rtol=1e-3, atol=1e-4)
        plain = Mixture()(x, sigma)
        at_one = GUIDANCE["by a classifier"](1.0, "right")(x, sigma)
        torch.testing.assert_close(both[0], plain + scale * (at_one - plain), rtol=1e-3, atol=1e-4)


def test_the_gradient_is_that_of_finite_differences() -> None:
    x, sigma, step = points().double(), 0.6, 1e-5
    guided = Guided(Mixture(), Bayes(), "left", 2.0)
    gradient = guided.gradient(x, sigma)
    for channel in range(2):
        moved = torch.zeros_like(x)
        moved[:, channel] = step
        difference = (Bayes()(x + moved, sigma) - Bayes()(x - moved, sigma))[:, 0] / (2 * step)
        torch.testing.assert_close(gradient[:, channel, 0, 0], difference, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(guided(x, sigma), Mixture()(x, sigma) + sigma**2 * 2.0 * gradient)


@pytest.mark.parametrize("kind", GUIDANCE)
def test_methods_may_differentiate_through_it_and_forbid_gradients(kind: str) -> None:
    prior, x = GUIDANCE[kind](1.5, "left"), points().double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: prior(x, 0.8), (x,))
    with torch.inference_mode():
        inside = prior(points() * 1, 0.8)
    torch.testing.assert_close(inside, prior(points(), 0.8))
    assert torch.is_grad_enabled() and not prior(points(), 0.8).requires_grad


@pytest.mark.parametrize("method", ["dds", "ddnm+", "dps", "hqs"])
@pytest.mark.parametrize("kind", GUIDANCE)
def test_it_composes_with_methods(method: str, kind: str) -> None:
    """One channel of "left" is measured, which leaves the mode above: the other channel follows."""
    mask = torch.tensor([1.0, 0.0]).reshape(1, 2, 1, 1)
    y = torch.tensor([0.5, 0.0]).reshape(1, 2, 1, 1)
    x = sample(Problem(Mask(mask), y, 0.1), GUIDANCE[kind](1.0, "left"), METHODS.build(method, {}, "x", "x").in_steps(40),
               karras(40, 10.0, 0.01), noise=Noise(range(50)), size=(1, 1))
    assert x.mean((0, 2, 3)).tolist() == pytest.approx([0.5, 1.5], abs=0.25)


class Other(Bayes):
    def __init__(self, **facts: Any) -> None:
        vars(self).update(facts)


@pytest.mark.parametrize(("make", "says"), [
    (lambda: Guided(Mixture(), Other(channels=3), "left"), "of 3 channels and the prior of 2"),
    (lambda: Guided(Mixture(), Bayes(), "up"), "no class 'up'; its classes are left, right"),
    (lambda: Guided(Mixture(), Bayes(), None), "needs a `label`"),
    (lambda: Guided(Mixture(), Bayes(), "left", -1.0), "at least 0, got -1"),
    (lambda: Guided(tiny_prior(2), Other(recipe=Interval(0.0, 1.0)), "left"), "whose units differ"),
    (lambda: ClassifierFree(Mixture(None), "left"), "this one has none; give a `classifier`"),
    (lambda: ClassifierFree(Mixture(Classes(2, ("left", "right"))), "left"), "labels left out at random"),
    (lambda: ClassifierFree(Mixture(), None), "needs the `label` to guide to"),
    (lambda: ClassifierFree(Mixture(), "left", float("nan")), "at least 0, got nan"),
])  # fmt: skip
def test_what_does_not_suit_is_refused(make: Any, says: str) -> None:
    with pytest.raises(InputError, match=says):
        make()


def test_sizes_are_those_of_both() -> None:
    class Sized(Mixture):
        size = (16, 16)

    guided = Guided(Mixture(), Other(size=(24, 24), multiple=3), "left")
    assert (guided.size, guided.multiple) == ((24, 24), 3)
    with pytest.raises(InputError, match=r"images of \(24, 24\) pixels alone and the prior of \(16, 16\)"):
        Guided(Sized(), Other(size=(24, 24)), "left")
    with pytest.raises(InputError, match="multiples of 3"):
        Guided(Sized(), Other(multiple=3), "left")
