"""The noise level that counts, and the weights of samples."""

from dataclasses import replace
from typing import Any

import pytest
from helpers.ready import PLAN, exact
from helpers.scans import NOISE

from medrestore.consistency import unexplained
from medrestore.problem import Problem
from medrestore.recon.noise_model import NoiseProfile
from medrestore.recon.plan import Plan, Undersampling
from medrestore.recon.preparation import prepare


@pytest.mark.parametrize("given", [0.0, 1e-4])
def test_a_given_noise_level_is_held_against_what_the_maps_leave(scan: Any, given: float) -> None:
    """0 made a method fit the error of estimated maps, for 15 dB less."""
    ready = prepare(scan, replace(PLAN, noise_std=given))
    assert ready.problem.sigma == pytest.approx(unexplained(Problem(ready.sense, ready.kspace)), rel=0.02)
    assert NOISE / 2 < ready.problem.sigma < 3 * NOISE
    assert ready.noise_source == (f"given, raised from {given:.3g} to what the coil maps leave unexplained")


@pytest.mark.parametrize("kind", ["uniform1d", "gaussian2d"])
@pytest.mark.parametrize("method", ["diffpir", "hqs", "ddnm"])
def test_data_without_noise_are_exact_where_the_maps_explain_them(kind: str, method: str) -> None:
    if (kind, method) != ("gaussian2d", "ddnm"):
        ready = exact(replace(PLAN, method=method, undersample=Undersampling(kind, 2, 16)))
        assert ready.problem.sigma == 0 and ready.noise_source == "given"


@pytest.mark.parametrize(("plan", "weighted"), [
    (PLAN, True), (replace(PLAN, options={"cg_steps": 5}), False), (Plan("tv", undersample=PLAN.undersample), True),
])
def test_samples_keep_their_weights_where_data_steps_are_counted(plan: Plan, weighted: bool, scan: Any,
                                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    """A few conjugate-gradient steps do not reach samples of small weight: 5 of them left 11 dB where 60 had 26."""
    monkeypatch.setattr("medrestore.recon.weighted.noise_profile", lambda problem, along_axis: NoiseProfile(
        0.01, 0.1 * problem.operator.mask, 0.1))
    ready = prepare(scan, plan)
    assert (float(ready.problem.operator.mask.max()) == pytest.approx(0.1)) is weighted
    assert float(ready.sense.mask.max()) == 1
