"""The weight of the data that a scan chooses for itself by samples that are held out."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from helpers.scans import kspace
from torch import Tensor

from medrestore.codecs import CalibratedComplex
from medrestore.errors import InputError
from medrestore.io import read_kspace
from medrestore.priors import Prior
from medrestore.recon import weight
from medrestore.recon.plan import Plan, Undersampling
from medrestore.recon.preparation import prepare
from medrestore.recon.prepared import Prepared
from medrestore.recon.weight import WEIGHTS, Choice, Search, chosen_weight


class Shrink(Prior):
    """The posterior mean under N(0, 1)."""

    channels, sigma_range, recipe = 2, (0.01, 40.0), CalibratedComplex()
    calls = 0

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        self.calls += 1
        return x / (1 + sigma**2)


def plan(kind: str = "uniform1d", **fields: Any) -> Plan:
    return Plan(**{"steps": 20, "weight": "auto", "undersample": Undersampling(kind, 2, 8)} | fields)  # type: ignore[arg-type]


@pytest.fixture
def ready(tmp_path: Any) -> Callable[[Plan], Prepared]:
    np.save(tmp_path / "scan.npy", kspace()[0])

    def prepared(plan: Plan) -> Prepared:
        with read_kspace(tmp_path / "scan.npy") as file:
            return prepare(file[0], plan)

    return prepared


@pytest.mark.parametrize(("best", "found"), [(0.25, 0.25), (0.0625, 0.0625), (2.0, 2.0), (4.0, 4.0)])
def test_it_goes_downhill_to_the_least_error(best: float, found: float, ready: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[float] = []

    def error(prepared: Prepared, prior: Prior, plan: Plan, held_back: list[Tensor], on_call: Callable[[], None]) -> float:
        tried.append(plan.weight)  # type: ignore[arg-type]
        return 0.1 + 0.1 * abs(np.log(plan.weight / best))  # type: ignore[operator, no-any-return]

    monkeypatch.setattr(weight, "error", error)
    choice = chosen_weight(ready(plan(steps=50)), Shrink(), plan(steps=50))
    assert choice.weight == found and sorted(choice.errors) == sorted(tried) and len(set(tried)) == len(tried)
    assert choice.of(plan()).sampler.lam == found  # type: ignore[attr-defined]


def test_it_begins_at_the_methods_own_weight(ready: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weight, "error", lambda prepared, prior, plan, held_back, on_call: 1.0)
    about = plan(steps=50, method="dds")
    assert chosen_weight(ready(about), Shrink(), about).weight == 1.0
    assert chosen_weight(ready(plan(steps=50)), Shrink(), plan(steps=50)).weight == 0.25


def test_nothing_is_chosen_that_predicts_no_better_than_an_empty_image(ready: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """CG-SENSE at 4x along one axis: the larger the penalty the nearer to 1, and the image the dimmer."""
    monkeypatch.setattr(weight, "error", lambda prepared, prior, plan, held_back, on_call: 1 + 0.001 / plan.weight)
    about = plan(method="cg-sense", weight=None)
    found = chosen_weight(ready(about), Shrink(), about)
    assert found.weight == 1e-2 and max(found.errors) == 1e-1


def test_it_stays_where_the_errors_differ_by_chance(ready: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weight, "error", lambda prepared, prior, plan, held_back, on_call: 1 + 0.005 * plan.weight)
    assert chosen_weight(ready(plan(steps=50)), Shrink(), plan(steps=50)).weight == 0.25


@pytest.mark.parametrize("kind", ["uniform1d", "gaussian2d"])
def test_the_search_is_deterministic_and_bounded(kind: str, ready: Any) -> None:
    prior, counted = Shrink(), []
    about, prepared = plan(kind), ready(plan(kind))
    first = chosen_weight(prepared, prior, about, on_call=lambda: counted.append(1))
    search = Search.of(about, prior)
    assert search is not None and len(counted) <= search.total <= 3 * (about.steps - 1 + 1)
    assert prior.calls >= len(counted) > 0
    assert first.weight in WEIGHTS and all(error > 0 for error in first.errors.values())
    assert chosen_weight(prepared, Shrink(), about) == first


@pytest.mark.parametrize("fields", [{"weight": None}, {"weight": 0.5}, {"weight": None, "options": {"lam": 0.3}}])
def test_a_weight_that_is_given_is_not_searched(fields: dict[str, Any], ready: Any) -> None:
    about, prior = plan(**fields), Shrink()
    choice = chosen_weight(ready(about), prior, about)
    assert choice == Choice() and choice.of(about) is about and prior.calls == 0


@pytest.mark.parametrize("fields", [{"method": "dps"}, {"options": {"lam": 0.3}}, {"method": "dds", "options": {"gamma": 5.0}}])
def test_a_method_without_a_weight_is_refused(fields: dict[str, Any]) -> None:
    for value in ("auto", 0.5):
        with pytest.raises(InputError, match="weight is lam of hqs, dds"):
            plan(**fields | {"weight": value})


def test_noise_free_data_and_full_scans_have_nothing_to_choose(ready: Any) -> None:
    about, prepared = plan(), ready(plan())
    exact = replace(prepared, problem=replace(prepared.problem, sigma=0.0))
    assert chosen_weight(exact, Shrink(), about) == Choice()
    about = plan(undersample=None)
    assert chosen_weight(ready(about), Shrink(), about) == Choice()
