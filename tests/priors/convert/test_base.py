"""What a user gives beside a checkpoint, and how tensors are compared with a layout."""

import math

import pytest
import torch

from medrestore.codecs import CalibratedComplex, Interval
from medrestore.errors import InputError
from medrestore.priors.convert.base import axis, compare, filled_network, number, only, some, stated_betas, stated_recipe, whole
from medrestore.priors.parametrisations import cosine_betas, linear_betas, scaled_linear_betas


def test_only_known_facts_are_taken() -> None:
    only({"low": 0}, ("low", "high"), "ADM")
    with pytest.raises(InputError, match="ADM does not take heads, width; it takes low, high"):
        only({"width": 1, "heads": 2, "low": 0}, ("low", "high"), "ADM")


@pytest.mark.parametrize("value", [0, -1, 2.0, True, "4"])
def test_whole_numbers(value) -> None:
    assert whole({}, "steps") is None and whole({"steps": 3}, "steps") == 3
    with pytest.raises(InputError, match="steps must be a whole number of at least 1"):
        whole({"steps": value}, "steps")


@pytest.mark.parametrize("value", [math.nan, math.inf, True, "1", None])
def test_numbers(value) -> None:
    assert number({}, "low", 0.5) == 0.5 and number({"low": 2}, "low", 0.5) == 2.0
    with pytest.raises(InputError, match="low must be a number"):
        number({"low": value}, "low", 0.5)


def test_schedules_are_made_of_words() -> None:
    assert stated_betas({}) == (linear_betas(), "linear beta 0.0001 to 0.02, 1000 steps")
    assert stated_betas({"steps": 10}, "cosine") == (cosine_betas(10), "cosine, 10 steps")
    ends = {"schedule": "scaled_linear", "beta_start": 0.001, "beta_end": 0.01, "steps": 5}
    assert stated_betas(ends)[0] == scaled_linear_betas(0.001, 0.01, 5)


@pytest.mark.parametrize(("given", "message"), [
    ({"schedule": "sigmoid"}, "schedule must be one of linear, scaled_linear, cosine with 2 to 100000 steps, got 'sigmoid'"),
    ({"steps": 1}, "2 to 100000 steps"), ({"steps": 10**6}, "2 to 100000 steps"),
    ({"beta_start": 0.02, "beta_end": 0.001}, "beta_start and beta_end must rise between 0 and 1, got 0.02 and 0.001"),
    ({"beta_end": 1.5}, "must rise between 0 and 1"),
])
def test_what_is_no_schedule_is_refused(given, message) -> None:
    with pytest.raises(InputError, match=message):
        stated_betas(given)


def test_recipes() -> None:
    assert stated_recipe(2, {}) == CalibratedComplex(0.99) and stated_recipe(2, {"quantile": 0.9}) == CalibratedComplex(0.9)
    assert stated_recipe(2, {"low": 0, "high": 4}) == Interval(0, 4) and stated_recipe(3, {}) == Interval(0, 1)
    assert stated_recipe(1, {"low": -1000, "high": 3000}, unit_interval=False) == Interval(-1000, 3000)


@pytest.mark.parametrize(("channels", "given", "told", "message"), [
    (2, {"quantile": 0}, True, "quantile must lie above 0"), (2, {"quantile": 1.1}, True, "quantile must lie above 0"),
    (1, {"quantile": 0.9}, True, "quantile is for complex images of two channels, not of 1"),
    (1, {}, False, "nothing in the tensors tells the value range"), (3, {"low": 0}, True, "as low=0 and high=1"),
    (1, {"low": 1, "high": 1}, True, "low must be below high"),
])
def test_what_is_no_range_is_refused(channels, given, told, message) -> None:
    with pytest.raises(InputError, match=message):
        stated_recipe(channels, given, unit_interval=told)


def test_tensors_are_compared_with_a_layout() -> None:
    state = {"a": torch.zeros(2, 3), "b": torch.zeros(4)}
    compare(state, {"a": (2, 3), "b": (4,)}, "ADM")
    with pytest.raises(InputError, match=r"nearly ADM, but b is \(4,\) instead of \(5,\)"):
        compare(state, {"a": (2, 3), "b": (5,)}, "ADM")
    with pytest.raises(InputError, match="nearly ADM, but it lacks c and has in addition b"):
        compare(state, {"a": (2, 3), "c": (4,)}, "ADM")


def test_the_length_of_an_axis() -> None:
    assert axis({"a": (2, 3)}, "a", 1, "ADM") == 3
    for shapes, message in (({}, "lacks a"), ({"a": (2,)}, r"a has the shape \(2,\)"), ({"a": (2, 0)}, "has the shape")):
        with pytest.raises(InputError, match=message):
            axis(shapes, "a", 1, "ADM")


def test_long_lists_of_names_are_cut() -> None:
    assert some("ab") == "a, b" and some("abcde") == "a, b, c and 2 more" and some("abc", most=1) == "a and 2 more"


CONFIG = {"_class_name": "NCSNpp", "width": 8, "mults": [1], "blocks": 1, "attention": [False]}


def test_a_network_takes_its_tensors_strictly() -> None:
    from medrestore.priors.architectures import build_network

    made = build_network(dict(CONFIG))
    made.frequencies.fill_(0.5)
    state = {key: value.half() for key, value in made.state_dict().items()}
    net = filled_network(dict(CONFIG), state, "NCSN++")
    assert not net.training and all(value.dtype == torch.float32 for value in net.state_dict().values())
    assert not any(one.requires_grad for one in net.parameters())
    state.pop("first.bias")
    with pytest.raises(InputError, match=r"lacks first\.bias"):
        filled_network(dict(CONFIG), state, "NCSN++")
    with pytest.raises(InputError, match="no NCSNpp can be made of this architecture"):
        filled_network({**CONFIG, "progressive": "sideways"}, state, "NCSN++")
