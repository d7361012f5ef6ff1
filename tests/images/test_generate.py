"""Images from a prior alone: sizes, law, windows."""

import pytest
import torch
from helpers.pictured import FieldOf

from medrestore.errors import InputError
from medrestore.images.generate import generated
from medrestore.images.plan import GeneratePlan


def plan(**given) -> GeneratePlan:
    return GeneratePlan(**{"height": 30, "width": 37, "steps": 10, "samples": 2, **given})


def test_they_have_the_law_of_the_prior() -> None:
    images = generated(FieldOf(3), plan(samples=4, steps=20))
    assert images.shape == (4, 3, 30, 37)
    assert float((2 * images - 1).square().mean()) == pytest.approx(0.2, rel=0.5)
    assert torch.equal(images[1:2], generated(FieldOf(3), plan(samples=1, seed=1, steps=20)))


def test_windows_serve_any_size() -> None:
    prior = FieldOf(1)
    images = generated(prior, plan(window=16, method="ddim", options={"eta": 1.0}))
    assert images.shape == (2, 1, 30, 37) and set(prior.sizes) == {(16, 16)} and bool(images.isfinite().all())
    with pytest.raises(InputError, match="`window`"):
        generated(prior, plan(window=17))


def test_a_complex_prior_makes_complex_images() -> None:
    images = generated(FieldOf(2), plan(samples=1))
    assert images.shape == (1, 1, 30, 37) and images.is_complex()


def test_a_prior_that_makes_no_images_is_refused() -> None:
    prior = FieldOf(3)
    prior.recipe = None
    with pytest.raises(InputError, match="makes no images"):
        generated(prior, plan())
