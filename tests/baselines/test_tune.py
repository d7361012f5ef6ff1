"""The choice of a weight."""

from functools import partial

import pytest
from helpers.slices import error, scan

from medrestore.baselines import CGSense, tune
from medrestore.errors import InputError


def test_tune_finds_the_best_weight():
    cases = [scan(24, 20, noise_std=noise) for noise in (0.05, 0.06)]
    weights = (1e-5, 0.03, 10.0)
    best, table = tune(partial(CGSense, iterations=40), weights, iter(cases), lambda x, image: -error(x, image))
    assert best == 0.03
    assert list(table) == list(weights) and all(len(scores) == 2 for scores in table.values())
    assert table[10.0][1] == -error(CGSense(10.0, 40).reconstruct(*cases[1][:3]), cases[1][3])


def test_tune_refuses_what_gives_no_answer():
    case = scan(12, 10)
    for weights, cases in (((), [case]), ((1e-3,), [])):
        with pytest.raises(InputError, match="at least one"):
            tune(CGSense, weights, cases, lambda x, image: 0.0)
    with pytest.raises(InputError, match="not a number"):
        tune(CGSense, (1e-3,), [case], lambda x, image: float("nan"))
