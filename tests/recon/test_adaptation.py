"""Priors that are fitted to a scan: only where held-out samples are predicted better."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from helpers.advice import advised
from helpers.priors import tiny_prior
from helpers.ready import Shrink
from helpers.scans import Bench, kspace
from torch import Tensor

from medrestore.codecs import CalibratedComplex
from medrestore.io import read_kspace, read_provenance
from medrestore.priors import NetworkPrior, Prior
from medrestore.recon import adaptation as module
from medrestore.recon import reconstruct, settle
from medrestore.recon.adaptation import UPDATES, Adaptation, adaptation, adaptation_calls
from medrestore.recon.plan import Plan, Undersampling
from medrestore.recon.preparation import prepare
from medrestore.recon.prepared import Prepared
from medrestore.recon.settle import settled
from medrestore.restoration import codec_for

PLAN = Plan(steps=4, undersample=Undersampling("gaussian2d", 2, 8), adapt=True)


class Believes(Prior):
    """In one image, whatever it sees."""

    channels, sigma_range, recipe = 2, (0.01, 40.0), CalibratedComplex()

    def __init__(self, image: Tensor) -> None:
        self.image = image

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        return self.image.expand_as(x)


@pytest.fixture
def ready(tmp_path: Any) -> Callable[..., Prepared]:
    np.save(tmp_path / "scan.npy", kspace()[0])

    def prepared(plan: Plan = PLAN) -> Prepared:
        with read_kspace(tmp_path / "scan.npy") as file:
            return prepare(file[0], plan)

    return prepared


def network() -> NetworkPrior:
    prior = tiny_prior(channels=2)
    prior.recipe = CalibratedComplex()
    return prior


def test_what_predicts_held_out_samples_better_stays(ready: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared, full = ready(), ready(Plan())
    truth = codec_for(network(), prepared.problem).encode(full.zero_filled)
    given: list[Tensor] = []

    def knows(prior: Prior, image: Tensor, **_: Any) -> Prior:
        given.append(image)
        return Believes(truth)

    monkeypatch.setattr(module, "adapted", knows)
    found = adaptation(prepared, Shrink(), PLAN)
    assert isinstance(found.prior, Believes) and found.errors["adapted"] < 0.94 * found.errors["as it is"]
    assert len(found.digest) == 64 and str(found).endswith("the adapted prior is used")
    assert [tuple(image.shape) for image in given] == [tuple(truth.shape)]
    other = adaptation(prepared, Shrink(), replace(PLAN, seed=1))
    assert other.digest not in ("", found.digest)


@pytest.mark.parametrize("factor", [1.0, 0.0])
def test_what_predicts_them_as_well_or_worse_is_left(ready: Any, monkeypatch: pytest.MonkeyPatch, factor: float) -> None:
    class Scaled(Shrink):
        def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
            return factor * super().__call__(x, sigma)

    monkeypatch.setattr(module, "adapted", lambda prior, image, **_: Scaled())
    found = adaptation(ready(), Shrink(), PLAN)
    assert found.prior is None and found.digest == "" and found.errors["adapted"] >= found.errors["as it is"]
    assert str(found).endswith("the prior stays as it is")


def test_calls_are_counted_and_the_same_data_give_the_same_prior(ready: Any) -> None:
    called: list[int] = []
    prepared, prior = ready(), network()
    found = adaptation(prepared, prior, PLAN, on_call=lambda: called.append(1))
    assert len(called) == adaptation_calls(PLAN) == 2 * 4 + UPDATES
    again = adaptation(prepared, prior, PLAN)
    assert (again.errors, again.digest) == (found.errors, found.digest)


def test_where_nothing_can_be_held_back_nothing_is_adapted(ready: Any) -> None:
    found = adaptation(ready(replace(PLAN, undersample=Undersampling("uniform1d", 2, 16))), Shrink(), PLAN)
    assert found == Adaptation() and str(found) == "nothing could be held back, so the prior stays as it is"


def test_a_prior_that_is_no_network_is_refused(ready: Any) -> None:
    with advised("a Shrink has no convolutions that could be adapted; take a prior that is a network of them, or leave"):
        settled(ready, Shrink(), PLAN)
    assert settled(ready, network(), PLAN).adaptation.errors and settled(ready, Shrink(), replace(PLAN, adapt=False)) is not None


def test_from_a_file_as_from_an_array(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The adapted prior restores every slice, and the output tells the errors; whether it stays is decided here."""
    monkeypatch.setattr(settle, "adaptation", partial(adaptation, better=9.0))
    data, _ = kspace()
    np.save(bench / "scan.npy", data)
    words = ("recon", bench / "scan.npy", "--prior", bench.prior, "--steps", "3", "--undersample", "gaussian2d",
             "--accel", "2", "--acs", "8")
    assert bench.call(*words, "-o", bench / "plain.h5").code == 0
    outcome = bench.call(*words, "-o", bench / "a.h5", "--adapt")
    assert outcome.code == 0 and "adapting the prior to the scan" in outcome.out + outcome.err
    assert set(read_provenance(bench / "a.h5")["adaptation"]) == {"as it is", "adapted"}
    assert read_provenance(bench / "plain.h5")["adaptation"] == {}
    plan = Plan(prior=str(bench.prior), steps=3, undersample=Undersampling("gaussian2d", 2.0, 8), adapt=True)
    made = torch.as_tensor(reconstruct(data, plan=plan).image[0]).abs()
    from medrestore.io import read_reconstruction

    with read_reconstruction(bench / "a.h5") as file, read_reconstruction(bench / "plain.h5") as plain:
        written, before = (torch.as_tensor(one[0]).abs() for one in (file, plain))
        assert torch.allclose(written, made, atol=1e-5 * float(made.max()))
        assert not torch.allclose(written, before, atol=1e-3 * float(made.max()))
