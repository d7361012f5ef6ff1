"""What a scan settles of its plan."""

from dataclasses import replace
from typing import Any

import pytest
from torch import Tensor

from medrestore.priors import Prior
from medrestore.recon import settle
from medrestore.recon.adaptation import Adaptation
from medrestore.recon.fit import Fit
from medrestore.recon.plan import Plan
from medrestore.recon.settle import settled
from medrestore.recon.weight import Choice


class Unused(Prior):
    """Whose calls are stood in for."""

    channels, sigma_range = 2, (0.01, 40.0)

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        raise AssertionError


@pytest.fixture(autouse=True)
def stood_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors that say that l1-wavelet does better, and weights that tell the methods apart."""
    monkeypatch.setattr(settle, "measured_fit", lambda ready, prior, plan, on_call: Fit(
        plan.method, {plan.method: 2.0, "cg-sense": 1.5, "l1-wavelet": 1.0}))
    monkeypatch.setattr(settle, "chosen_weight", lambda ready, prior, plan, on_call: Choice(
        0.5 if plan.method == "hqs" else 0.01, {1.0: 2.0}))


def nothing() -> Any:
    raise AssertionError("the scan is prepared though nothing is open")


def test_a_plan_that_leaves_nothing_open_is_taken_as_it_is() -> None:
    for plan in (Plan(), Plan("dds", samples=2, weight=0.5), Plan("tv", weight=0.01), Plan("zero-filled")):
        assert settled(nothing, Unused(), plan).plan is plan


def test_weight_and_warning() -> None:
    said: list[str] = []
    plan = Plan(weight="auto")
    found = settled(lambda: None, Unused(), plan, check_fit=True, say=said.append)  # type: ignore[arg-type, return-value]
    assert found.plan == replace(plan, weight=0.5) and found.warning is not None and "l1-wavelet" in found.warning
    assert [line.split(":")[0] for line in said] == ["choosing the weight of the data by held-out samples",
                                                     "checking how the prior fits by held-out samples"]


def test_the_fallback_takes_over_with_a_weight_of_its_own() -> None:
    plan = Plan("dds", samples=4, options={"eta": 1}, weight=0.5, start_sigma=0.5, fallback="tv", keep_samples=True)
    found = settled(lambda: None, Unused(), plan)  # type: ignore[arg-type, return-value]
    assert found.plan == Plan("tv", weight=0.01, keep_samples=True) and found.fit.method == "dds"
    assert found.choice.errors == {1.0: 2.0} and found.warning is not None and found.warning.endswith("tv takes over")


def test_a_prior_that_is_adapted_is_the_one_that_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    adapted, checked, said = Unused(), [], list[str]()
    errors = {"as it is": 2.0, "adapted": 1.0}
    monkeypatch.setattr(settle, "adaptation", lambda ready, prior, plan, on_call: Adaptation(adapted, errors))
    monkeypatch.setattr(settle, "measured_fit", lambda ready, prior, plan, on_call: checked.append(prior) or Fit())
    plan = Plan(adapt=True, weight="auto")
    found = settled(lambda: None, Unused(), plan, check_fit=True, say=said.append)  # type: ignore[arg-type, return-value]
    assert found.adaptation.prior is adapted and checked == [adapted] and found.plan.weight == 0.5
    assert any(line.endswith("the adapted prior is used") for line in said)
    assert settled(lambda: None, Unused(), Plan(adapt=True)).adaptation.prior is adapted  # type: ignore[arg-type, return-value]


def test_a_classical_method_has_its_weight_from_the_scan() -> None:
    for plan in (Plan("tv"), Plan("l1-wavelet", weight="auto")):
        found = settled(lambda: None, Unused(), plan, check_fit=True)  # type: ignore[arg-type, return-value]
        assert found.plan.weight == 0.01 and found.fit == Fit()
