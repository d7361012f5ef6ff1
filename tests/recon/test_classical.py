"""Methods without a prior as methods of a reconstruction."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from helpers.scans import fastmri, kspace
from torch import Tensor

from medrestore.baselines import CGSense, L1Wavelet, TotalVariation, ZeroFilled
from medrestore.codecs import CalibratedComplex
from medrestore.errors import InputError
from medrestore.io import read_provenance
from medrestore.priors import Prior
from medrestore.recon.arrays import reconstruct
from medrestore.recon.classical import CLASSICAL, PENALTIES, classical
from medrestore.recon.files import Job, recon_file
from medrestore.recon.plan import Plan, Undersampling, quality

KINDS = {"cg-sense": CGSense, "tv": TotalVariation, "l1-wavelet": L1Wavelet, "zero-filled": ZeroFilled}
SAMPLED = Undersampling("uniform1d", 2, 8)


class Silent(Prior):
    """Must not be called."""

    channels, sigma_range, recipe = 2, (0.01, 40.0), CalibratedComplex()

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        raise AssertionError("a classical method called the prior")


@pytest.mark.parametrize("name", sorted(KINDS))
def test_by_name(name: str) -> None:
    plan = Plan(name)
    assert plan.is_classical and not plan.draws and type(plan.baseline) is KINDS[name] and plan.fitted == plan.baseline
    assert plan.sampled_levels(Silent()) == [] and plan.passes(Silent()) == 1
    assert plan.searched is (name in PENALTIES)
    assert quality("best", name) == {"steps": 50, "samples": 1, "start_sigma": None}


def test_weights_and_options() -> None:
    assert set(CLASSICAL) == set(KINDS)
    assert Plan("tv", weight=0.02).baseline == TotalVariation(0.02) == classical("tv", {}, 0.02)
    fixed = Plan("tv", {"lam": 0.02, "iterations": 9})
    assert fixed.baseline == TotalVariation(0.02, 9) and not fixed.searched and not Plan("tv", weight=0.02).searched
    for name, fields, said in (
        ("tv", {"options": {"lam": 0.1}, "weight": 0.1}, "weight is lam"), ("tv", {"samples": 2}, "must be 1"),
        ("zero-filled", {"weight": 0.1}, "weight is lam"), ("tv", {"start_sigma": 0.5}, "is none; leave it out"),
        ("tv", {"options": {"eta": 1}}, "eta"), ("cg-sense", {"options": {"lam": -1}}, "options.lam must be at least 0"),
    ):
        with pytest.raises(InputError, match=said):
            Plan(name, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["cg-sense", "zero-filled"])
def test_a_scan_by_a_classical_method_has_the_outputs_of_any(name: str, tmp_path: Path) -> None:
    data, truth = kspace(3)
    scan, said = fastmri(tmp_path / "scan.h5", data), []
    plan = Plan(name, undersample=SAMPLED, slices=(0, 3))
    scores = recon_file(scan, tmp_path / "out.h5", Job(plan, Silent(), {"sha256": "w"}, say=said.append))
    assert set(scores) == {"zero_filled", "cg_sense", "mean"}
    made = read_provenance(tmp_path / "out.h5")
    assert made["levels"] == [] and made["method"].startswith(KINDS[name].__name__) and len(made["seeds"]) == 3
    assert bool(made["held_out_errors"]) is (name == "cg-sense")
    with h5py.File(tmp_path / "out.h5") as file:
        image = file["reconstruction"][:]
        assert image.shape == truth.shape and "std" not in file
    assert ("prior" in said[0]) and f"{name}, which needs no prior" in said[0]
    lone = reconstruct(data, prior=Silent(), plan=Plan(name, undersample=None, weight=None))
    assert np.abs(np.abs(lone.image) - truth).mean() < 0.05


def test_a_fallback_is_what_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Wrong(Silent):
        def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
            return torch.full_like(x, 3.0)

    data, _ = kspace(1)
    scan, said = fastmri(tmp_path / "scan.h5", data), []
    plan = Plan("dds", steps=12, samples=2, fallback="cg-sense", undersample=Undersampling("gaussian2d", 2, 8))
    recon_file(scan, tmp_path / "out.h5", Job(plan, Wrong(), {"sha256": "w"}, say=said.append))
    made: dict[str, Any] = read_provenance(tmp_path / "out.h5")
    assert made["method"].startswith("CGSense") and made["fit"]["dds"] > made["fit"]["cg-sense"] and made["levels"] == []
    assert made["config"]["method"] == "dds"  # what was asked, so that a rerun does the same
    warned = [line for line in said if line.startswith("warning: ")]
    assert len(warned) == 1 and warned[0].removeprefix("warning: ") in made["notes"] and "cg-sense takes over" in warned[0]
    with h5py.File(tmp_path / "out.h5") as file:
        assert "std" not in file
