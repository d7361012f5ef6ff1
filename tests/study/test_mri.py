"""Scans of a study: prepared as `recon` does it, for all methods alike, and restored by its functions."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.studies import changed, opened

from medrestore.errors import InputError
from medrestore.operators import SpectralOperator
from medrestore.recon.plan import Plan
from medrestore.recon.restoring import restore_slice
from medrestore.study.cases import Clock
from medrestore.study.methods import SEEDS_APART
from medrestore.study.mri import SliceCache, mean_facts, prepared_slice
from medrestore.study.run import scored_tasks


def test_spectral_methods_are_left_out_of_masks_over_both_axes(tmp_path: Path, tiny_prior: Path) -> None:
    given = changed(settings=[{"kind": "gaussian2d", "accel": 2}], methods={
        name: {"method": name, "prior": str(tiny_prior), "steps": 2} for name in ("ddnm", "dds")})
    labels = {task.what.label for task in scored_tasks(opened(given, tmp_path / "out"), {})}
    assert labels == {"ZF", "dds"}


def test_each_seed_draws_another_mask(tmp_path: Path) -> None:
    given = changed(seeds=[0, 1], settings=[{"kind": "random1d", "accel": 2, "acs": 12}])
    study = opened(given, tmp_path / "out")
    items = [task.what for task in scored_tasks(study, {}) if task.what.case.name == "phantom0"]
    masks = [prepared_slice(item.case, 0, item.content.condition, item.content.seed, cache=None, spectral=False, spectral_gb=0,
                            device="cpu").prepared.sampling.mask for item in items]
    assert len(masks) == 2 and not torch.equal(*masks)


def test_the_samples_of_two_seeds_share_no_noise(tmp_path: Path, tiny_prior: Path) -> None:
    """Sample k of a restoration takes its seed plus k, so seeds that follow one another would give the same samples."""
    given = changed(seeds=[0, 1], methods={"DDS": {"method": "dds", "prior": str(tiny_prior), "steps": 2, "samples": 8}})
    first, second = {SEEDS_APART * task.what.content.seed for task in scored_tasks(opened(given, tmp_path / "out"), {})}
    assert abs(first - second) > 10**6


def test_the_exact_spectrum_is_for_methods_that_need_it(tmp_path: Path, tiny_prior: Path) -> None:
    fields = {"prior": str(tiny_prior), "steps": 2}
    methods = {"none": {"method": "dds", "spectral_gb": 0.0, **fields}, "DDS": {"method": "dds", **fields},
               "DDNM+": {"method": "ddnm+", **fields}}
    items = {task.what.label: task.what for task in scored_tasks(opened(changed(methods=methods), tmp_path / "out"), {})}
    most = {label: item.resources.spectral_gb for label, item in items.items()}
    assert most == {"ZF": 1.0, "none": 0.0, "DDS": 1.0, "DDNM+": 1.0}
    for label, exact in (("none", False), ("DDS", False), ("DDNM+", True)):
        item = items[label]
        made = prepared_slice(item.case, 0, item.content.condition, 0, cache=None, spectral=item.solver.spectral,
                              spectral_gb=item.resources.spectral_gb, device="cpu")
        assert isinstance(made.prepared.problem.operator, SpectralOperator) == exact


def test_a_study_restores_what_recon_does(tmp_path: Path, tiny_prior: Path) -> None:
    """The image of a task is that of `recon.restore_slice`, from CG-SENSE and with the seed of the study."""
    given = changed(seeds=[1], pictures=1, methods={
        "DDS": {"method": "dds", "prior": str(tiny_prior), "steps": 3, "samples": 2, "start_sigma": 0.5}})
    item = next(task.what for task in scored_tasks(opened(given, tmp_path / "out"), {}) if task.what.label == "DDS")
    solved = item.case.solve(item, "cpu", Clock())
    prepared = prepared_slice(item.case, 0, item.content.condition, 1, cache=None, spectral=False, spectral_gb=1.0,
                               device="cpu").prepared
    plan = replace(item.solver.plan, seed=SEEDS_APART)
    assert isinstance(plan, Plan) and (plan.steps, plan.samples, plan.start_sigma) == (3, 2, 0.5)
    made = restore_slice(prepared, item.solver.network.load("cpu"), plan, slice_index=0)
    torch.testing.assert_close(solved.image, made.image.abs(), rtol=0, atol=0)
    row, single = solved.rows
    assert row["misfit"] == pytest.approx(float(made.restoration.misfit.mean()))
    assert single["method"] == "DDS, one sample" and single["misfit"] == pytest.approx(float(made.restoration.misfit[0]))


def test_prepared_slices_of_one_group_are_remembered_as_far_as_they_fit(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    item = scored_tasks(opened(changed(), tmp_path / "out"), {})[0].what
    prepared = prepared_slice(item.case, 0, item.content.condition, 0, cache=None, spectral=True, spectral_gb=0, device="cpu")
    cache = SliceCache()
    cache.of("a").add(0, prepared)
    assert cache.of("a").slices == {0: prepared} and cache.bytes == prepared.bytes > 0
    assert cache.of("b").slices == {} and cache.bytes == 0
    monkeypatch.setattr("medrestore.study.mri.CACHE_BYTES", prepared.bytes - 1)
    cache.of("b").add(0, prepared)
    assert cache.slices == {}


def test_means_leave_out_what_is_missing() -> None:
    assert mean_facts([{"a": 1.0, "b": None}, {"a": 3.0, "b": None}, {"a": None, "b": None}]) == {"a": 2.0, "b": None}


@pytest.mark.parametrize(("methods", "message"), [
    ({"X": {"baseline": "CGSens"}}, "methods.X: there is no baseline 'CGSens' for this data; did you mean"),
    ({"X": {"baseline": "CGSense"}}, "methods.X.options.lam is missing"),
    ({"X": {"baseline": "VarNet"}}, "methods.X: VarNet needs weights"),
    ({"X": {"baseline": "CGSense", "weights": "."}}, "methods.X: CGSense takes no weights"),
    ({"X": {"baseline": "RSS", "options": {"lam": 1}}}, "methods.X: RSS has no options"),
    ({"X": {"method": "dds", "options": {"gama": 1}}}, "methods.X.options.gama is no option; did you mean"),
    ({"X": {"method": "dds", "options": {"eta": -1}}}, "methods.X.options.eta must be at least 0, got -1"),
    ({"X": {"method": "hqs", "samples": 2}}, "methods.X.samples must be 1 with hqs, which estimates the mean and draws no"),
    ({"X": {"method": "hqs", "steps": 1}}, "methods.X.steps must be at least 2, got 1"),
    ({"X": {"method": "ddx"}}, "methods.X.method must be one of hqs, dds"),
    ({"X": {"method": "dds", "prior": "surgical-starter"}}, "surgical-starter is a prior of 3 channels"),
    ({"X": {"method": "dds", "start_sigma": 1e9}}, "methods.X.start_sigma is 1e.09, outside the noise levels of the prior"),
    ({"X": {"method": "dds", "sigma_max": 1e-9}}, "methods.X.sigma_max is 1e-09, not above the least noise level"),
])
def test_methods_that_do_not_suit_scans_are_refused(methods: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"^my.yaml: .*{message}"):
        opened(changed(methods=methods), tmp_path / "out")


def test_magnitudes_are_no_complex_images(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"my.yaml: methods.X: RSS has no phase"):
        opened(changed(protocol="complex", methods={"X": {"baseline": "RSS"}}), tmp_path / "out")
