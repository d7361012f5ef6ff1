"""Samples that are held back: which, and that none of them is used."""

from typing import Any

import numpy as np
import pytest
import torch
from helpers.scans import kspace
from torch import Tensor

from medrestore.codecs import CalibratedComplex
from medrestore.io import read_kspace
from medrestore.mri.sampling import calibration_region
from medrestore.operators import Sense, SpectralSense
from medrestore.priors import Prior
from medrestore.recon import held_out
from medrestore.recon.held_out import error, parts, without
from medrestore.recon.plan import Plan, Undersampling
from medrestore.recon.preparation import prepare
from medrestore.recon.prepared import Prepared


class Shrink(Prior):
    """The posterior mean under N(0, 1)."""

    channels, sigma_range, recipe = 2, (0.01, 40.0), CalibratedComplex()

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        return x / (1 + sigma**2)


@pytest.fixture(params=["uniform1d", "gaussian2d"])
def ready(request: pytest.FixtureRequest, tmp_path: Any) -> Prepared:
    np.save(tmp_path / "scan.npy", kspace()[0])
    with read_kspace(tmp_path / "scan.npy") as file:
        return prepare(file[0], Plan(steps=4, undersample=Undersampling(request.param, 2, 8)))


def test_parts_are_disjoint_samples_outside_the_calibration_region(ready: Prepared) -> None:
    mask = ready.sense.mask
    first, second = parts(ready.sense, 3, 2)
    assert first.shape == mask.shape and float((first * second).sum()) == 0 and bool((first <= mask).all())
    assert float(first[calibration_region(mask)].sum()) == 0
    assert float(first.sum()) == float(second.sum()) > 0
    assert bool((first == parts(ready.sense, 3, 2)[0]).all()) and not bool((first == parts(ready.sense, 4, 2)[0]).all())
    assert parts(Sense(ready.sense.maps, torch.ones(1, 40)), 0, 2) == []


def test_what_is_held_back_is_nowhere(ready: Prepared) -> None:
    (part,) = parts(ready.sense, 0, 1)
    kept = without(ready, part, Plan())
    for y in (kept.problem.y, kept.kspace, kept.zero_filled.new_zeros(()) + kept.kspace):
        assert float((part * y).abs().max()) == 0 and float(y.abs().max()) > 0
    assert float((part * kept.problem.operator.mask).max()) == float((part * kept.sense.mask).max()) == 0
    assert bool(((1 - part) * ready.kspace == kept.kspace).all())


@pytest.mark.parametrize("method", ["ddnm+", "simplified-ddnm+", "ddrm"])
def test_methods_that_invert_are_judged_by_their_own_spectrum(method: str, tmp_path: Any) -> None:
    np.save(tmp_path / "scan.npy", kspace()[0])
    plan = Plan(method, steps=2, noise_std=0.01, undersample=Undersampling("uniform1d", 2, 8))
    with read_kspace(tmp_path / "scan.npy") as file:
        prepared = prepare(file[0], plan)
    (part,) = parts(prepared.sense, 0, 1)
    kept = without(prepared, part, plan)
    assert isinstance(kept.problem.operator, SpectralSense) and float((part * kept.problem.operator.mask).max()) == 0
    assert 0 < error(prepared, Shrink(), plan, [part]) < 10


@pytest.mark.parametrize("method", ["hqs", "cg-sense", "zero-filled"])
def test_the_error_is_that_of_the_samples_that_were_held_back(method: str, ready: Prepared,
                                                              monkeypatch: pytest.MonkeyPatch) -> None:
    plan, held_back = Plan(method, steps=2), parts(ready.sense, 0, 2)
    called: list[int] = []
    found = error(ready, Shrink(), plan, held_back, lambda: called.append(1))
    assert found > 0 and len(called) == 2
    monkeypatch.setattr(held_out, "_restored", lambda kept, *rest: [0 * one.zero_filled for one in kept])
    monkeypatch.setattr(held_out, "_classical", lambda kept, *rest: [0 * one.zero_filled for one in kept])
    assert error(ready, Shrink(), plan, held_back) == pytest.approx(1)  # an empty image predicts nothing
