"""Noise levels fall to 0 within their bounds; time travel goes down and up again."""

import math
from itertools import pairwise

import pytest

from medrestore.errors import InputError
from medrestore.levels import LADDERS, below, check_levels, check_reach, karras, linear_sigmas, time_travel


@pytest.mark.parametrize("schedule", LADDERS.values(), ids=LADDERS)
@pytest.mark.parametrize("steps", [2, 5, 100])
@pytest.mark.parametrize(("top", "bottom"), [(40.0, 0.015), (3.0, 0.2), (100.0, 0.02)])
def test_levels_fall_to_zero_between_their_bounds(schedule, steps: int, top: float, bottom: float) -> None:
    levels = schedule(steps, top, bottom)
    assert len(levels) == steps + 1 and levels[-1] == 0.0
    assert all(high > low for high, low in pairwise(levels))
    assert levels[0] == pytest.approx(top) and levels[-2] == pytest.approx(bottom)
    assert levels[0] <= top * (1 + 1e-9) and levels[-2] >= bottom * (1 - 1e-9)


@pytest.mark.parametrize("name", ["ddpm", "quadratic"])
def test_levels_never_leave_the_training_range(name: str) -> None:
    sigmas = linear_sigmas()
    for levels in (LADDERS[name](50), LADDERS[name](50, 1e6, 1e-9)):
        assert levels[0] == pytest.approx(sigmas[-1]) and levels[-2] == pytest.approx(sigmas[0])


def test_karras_formula() -> None:
    levels = karras(18, 80.0, 0.002)
    for i in (0, 1, 9, 17):
        expected = (80 ** (1 / 7) + i / 17 * (0.002 ** (1 / 7) - 80 ** (1 / 7))) ** 7
        assert levels[i] == pytest.approx(expected)
    assert karras(3, 9.0, 1.0, rho=2.0) == pytest.approx([9.0, 4.0, 1.0, 0.0])


@pytest.mark.parametrize(("step", "abar"), [(0, 0.9999), (49, 0.97099), (99, 0.89717), (999, 4.036e-5)])
def test_linear_betas(step: int, abar: float) -> None:
    """abar after the first t + 1 of the 1000 betas between 1e-4 and 0.02."""
    product = math.prod(1 - (1e-4 + (0.02 - 1e-4) * i / 999) for i in range(step + 1))
    assert product == pytest.approx(abar, rel=1e-3)
    assert 1 / (1 + linear_sigmas()[step] ** 2) == pytest.approx(product, rel=1e-9)


def test_ddpm_picks_evenly_spaced_training_steps() -> None:
    sigmas, levels = linear_sigmas(), LADDERS["ddpm"](1000)
    assert levels[:-1] == pytest.approx(sigmas[::-1])
    assert LADDERS["ddpm"](4)[:-1] == pytest.approx([sigmas[999], sigmas[666], sigmas[333], sigmas[0]])


def test_quadratic_is_dense_at_low_noise() -> None:
    quadratic, even = LADDERS["quadratic"](20, 40.0, 0.02), LADDERS["ddpm"](20, 40.0, 0.02)
    assert sum(level < 0.5 for level in quadratic) > sum(level < 0.5 for level in even)


@pytest.mark.parametrize("schedule", LADDERS.values(), ids=LADDERS)
def test_one_step_is_refused(schedule) -> None:
    with pytest.raises(ValueError, match="at least 2 steps"):
        schedule(1, 10.0, 0.1)


@pytest.mark.parametrize(("levels", "length", "repeat", "expected"), [
    ([4, 3, 2, 1, 0], 2, 2, [4, 3, 2, 4, 3, 2, 1, 0]),
    ([4, 3, 2, 1, 0], 2, 1, [4, 3, 2, 1, 0]),
    ([4, 3, 2, 1, 0], 9, 3, [4, 3, 2, 1, 0]),
    ([3, 2, 1, 0], 1, 2, [3, 2, 3, 2, 1, 2, 1, 0]),
    ([4, 3, 2, 1, 0], 3, 2, [4, 3, 2, 1, 4, 3, 2, 1, 0]),
    ([5, 4, 3, 2, 0], 2, 3, [5, 4, 3, 5, 4, 3, 5, 4, 3, 2, 0]),
])
def test_time_travel(levels: list[float], length: int, repeat: int, expected: list[float]) -> None:
    before = list(levels)
    assert time_travel(levels, length, repeat) == expected
    assert levels == before


def test_time_travel_refuses_nonsense() -> None:
    for length, repeat in ((0, 2), (2, 0)):
        with pytest.raises(ValueError, match="length >= 1 and repeat >= 1"):
            time_travel([2, 1, 0], length, repeat)


def test_below() -> None:
    assert below([4, 3, 2, 1, 0], 2.5) == [2.5, 2, 1, 0]
    assert below([4, 3, 2, 1, 0], 2) == [2, 1, 0]
    assert below([4, 3, 2, 1, 0], 0.5) == [0.5, 0]
    with pytest.raises(ValueError, match="positive noise level"):
        below([1, 0], 0.0)


@pytest.mark.parametrize(("levels", "sentence"), [
    ([1.0], "run from a positive level down to 0, got 1; add a 0"), ([2.0, 1.0], "down to 0, got 2, 1"), ([], "got none"),
    ([1.0, -1.0, 0.0], "must be finite, and positive but for the last"), ([math.inf, 0.0], "must be finite"),
    ([1.0, 2.0, 0.0], "must decrease from the first"), ([2.0, 1.0, 1.0, 0.0], "must decrease"),
])
def test_levels_that_are_no_trajectory(levels: list[float], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        check_levels(levels)
    check_levels([3.0, 1.0, 2.0, 0.0])  # time travel


def test_levels_of_a_plan_are_those_of_its_prior() -> None:
    check_reach(5.0, 0.01, 40.0, start_sigma=40.0, warm_start=None)
    for wrong, sentence in (({"sigma_max": 0.01}, "sigma_max is 0.01, not above the least noise level of the prior, 0.01"),
                            ({"warm_start": 41.0}, "warm_start is 41, outside the noise levels of the prior, 0.01 to 40"),
                            ({"start_sigma": 0.01}, "start_sigma is 0.01, outside")):
        with pytest.raises(InputError, match=sentence):
            check_reach(**{"sigma_max": 5.0, "low": 0.01, "high": 40.0} | wrong)
