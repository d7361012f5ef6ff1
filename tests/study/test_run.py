"""Studies: what is run, what is skipped, what tuning sees, and that the numbers do not depend on who makes them."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.scans import fastmri, kspace

from medrestore.baselines import CGSense
from medrestore.datasets.brain import load_volumes
from medrestore.errors import InputError
from medrestore.evaluation.tables import read_rows
from medrestore.io import Scan
from medrestore.methods import METHODS
from medrestore.mri import add_smooth_phase, simulate_scan, simulated_maps
from medrestore.operators import SpectralOperator
from medrestore.recon.plan import Plan, Undersampling
from medrestore.recon.preparation import prepare, score
from medrestore.study.cases import Fingerprints
from medrestore.study.config import as_plain, read
from medrestore.study.mri import ready, scan_cases
from medrestore.study.run import (
    Result,
    Running,
    Study,
    open_study,
    run_study,
    scored_tasks,
    slug,
    tuning_tasks,
)
from medrestore.study.work import rows_of

PHANTOMS = {"kind": "phantoms", "size": [40, 40], "coils": 3}
TINY: dict[str, Any] = {
    "name": "tiny", "protocol": "fastmri-slice", "data": {**PHANTOMS, "count": 2},
    "validation": {**PHANTOMS, "count": 2, "first": 10}, "settings": [{"kind": "uniform1d", "accel": 2, "acs": 12}],
    "methods": {"ZF": {"baseline": "ZeroFilled"}, "CG": {"baseline": "CGSense", "tune": {"lam": [1e-4, 1e-2, 1.0]}}},
    "pictures": 1,
}
NATURAL: dict[str, Any] = {"protocol": "natural", "data": {"kind": "pictures", "crop": 32},
                           "settings": [{"kind": "colorization"}], "methods": {"pinv": {"baseline": "PseudoInverse"}}}


def changed(*, methods: Mapping[str, Any] | None = None, **values: Any) -> dict[str, Any]:
    return {**TINY, **values, "methods": {**TINY["methods"], **(methods or {})}}


def make(name: str, options: Mapping[str, Any]) -> Any:
    return METHODS.build(name, options)


def opened(given: Mapping[str, Any], out: Path) -> Study:
    return open_study(read(given, "my.yaml"), "my.yaml", out, make)


def run(given: Mapping[str, Any], out: Path, **how: Any) -> Result:
    return run_study(opened(given, out), Running(**how))


def bytes_of(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_study_leaves_tables_rows_and_a_report(tmp_path: Path, tiny_prior: Path) -> None:
    given = changed(methods={"DDS": {"method": "dds", "prior": str(tiny_prior), "steps": 2, "samples": 2, "uncertainty": True}})
    assert run(given, tmp_path / "out") == Result({}, 6 + 6, 0, 0)
    rows = read_rows(tmp_path / "out" / "results.csv")
    assert rows == read_rows(tmp_path / "out" / "results.parquet")
    assert [row["method"] for row in rows] == ["ZF", "CG", "DDS", "DDS, one sample"] * 2
    assert {row["case"] for row in rows} == {row["patient"] for row in rows} == {"phantom0", "phantom1"}
    assert {row["setting"] for row in rows} == {"uniform1d 2x"} and all(1.5 < row["accel"] < 2.5 for row in rows)
    assert [row["calls"] for row in rows[:4]] == [0, 0, 4, 2]
    assert 0 <= rows[2]["coverage_90"] <= 1 and rows[2]["misfit"] > 0 and rows[1]["misfit"] is None
    tables = (tmp_path / "out" / "tables.md").read_text()
    assert "| DDS, one sample |" in tables and "against DDS, paired" in tables and "network calls an image" in tables
    assert "<svg" not in tables and "phantom0, uniform1d 2x" in (tmp_path / "out" / "report.html").read_text()
    made = json.loads((tmp_path / "out" / "provenance.json").read_text())
    assert set(made["cases"]) == {"phantom0", "phantom1"} and made["methods"]["DDS"]["weights_sha256"]
    assert len((tmp_path / "out" / "timings.csv").read_text().splitlines()) == 1 + 12
    import yaml

    again = yaml.safe_load((tmp_path / "out" / "config.yaml").read_text())
    assert read(again, "config.yaml") == read(given, "my.yaml") and as_plain(read(again, "x")) == again


def test_what_is_whole_is_skipped_and_a_changed_method_alone_is_run(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(TINY, out).done == 10
    before = (out / "tables.md").read_bytes()
    assert run(TINY, out) == Result({}, 0, 10, 0) and (out / "tables.md").read_bytes() == before
    more = {"L1": {"baseline": "L1Wavelet", "options": {"lam": 1e-3, "iterations": 2}}}
    assert run(changed(methods=more), out) == Result({}, 2, 10, 0)
    other = {"L1": {"baseline": "L1Wavelet", "options": {"lam": 1e-3, "iterations": 3}}}
    assert run(changed(methods=other), out) == Result({}, 2, 10, 0)
    assert run(changed(pictures=0), out) == Result({}, 2, 8, 0)  # the case whose image was kept


def test_tuning_sees_validation_alone_and_takes_the_best(tmp_path: Path) -> None:
    study = opened(TINY, tmp_path / "out")
    tuning = tuning_tasks(study)
    assert {task.what.case.name for task in tuning} == {"phantom10", "phantom11"}
    assert not {task.what.case.identity for task in tuning} & {case.identity for case in study.data}
    run_study(study, Running())
    told = json.loads((study.out / "tuned.json").read_text())["CG"]["uniform1d 2x"]
    means: dict[float, list[float]] = {}
    for task in tuning:
        (row,) = rows_of(study.out / "tasks" / task.name)
        means.setdefault(task.what.recipe.made.lam, []).append(row["psnr"])
    best = max(means, key=lambda lam: sum(means[lam]))
    assert told["chosen"] == {"lam": best} and told["warning"] is None and told["cases"] == 2
    assert [one["psnr"] for one in told["tried"]] == pytest.approx([sum(values) / 2 for values in means.values()])
    tested = scored_tasks(study, {"CG": {"uniform1d 2x": told}})
    assert [task.what.recipe.made for task in tested if task.what.recipe.label == "CG"] == [CGSense(lam=best)] * 2


def test_a_best_value_at_an_end_is_told(tmp_path: Path) -> None:
    said: list[str] = []
    run(changed(methods={"CG": {"baseline": "CGSense", "tune": {"lam": [1e-2, 1.0]}}}), tmp_path / "out", say=said.append)
    assert any("lam = 0.01 lies at an end of the values tried" in line for line in said)


@pytest.mark.slow
def test_the_bytes_do_not_depend_on_the_number_of_workers(tmp_path: Path, tiny_prior: Path) -> None:
    given = changed(methods={"CG": {"baseline": "CGSense", "options": {"lam": 0.01}},
                             "DPS": {"method": "dps", "prior": str(tiny_prior), "steps": 2}})
    run(given, tmp_path / "one")
    assert run(given, tmp_path / "two", workers=2).failed == {}
    assert bytes_of(tmp_path / "one" / "tasks") == bytes_of(tmp_path / "two" / "tasks")
    for name in ("results.csv", "volumes.csv", "tables.md", "provenance.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_shards_share_a_folder_and_the_last_one_writes_the_tables(tmp_path: Path) -> None:
    out, said = tmp_path / "out", []
    assert run(TINY, out, shard=(1, 2)).waiting > 0 and not (out / "tuned.json").exists()
    assert run(TINY, out, shard=(2, 2), say=said.append).waiting > 0 and (out / "tuned.json").exists()
    assert not (out / "results.csv").exists() and any("left to other shards" in line for line in said)
    assert run(TINY, out, shard=(1, 2)).waiting == 0 and (out / "results.csv").exists()


def test_a_task_that_fails_is_named_and_the_others_are_scored(tmp_path: Path) -> None:
    settings = [*TINY["settings"], {"kind": "uniform1d", "accel": 4, "acs": 4}]  # too few lines for coil maps
    result = run(changed(settings=settings), tmp_path / "out")
    assert len(result.failed) == 6 + 2 and all("calibration lines" in why for why in result.failed.values())
    rows = read_rows(tmp_path / "out" / "results.csv")
    assert {row["setting"] for row in rows} == {"uniform1d 2x"} and "failed" in (tmp_path / "out" / "tables.md").read_text()
    told = json.loads((tmp_path / "out" / "tuned.json").read_text())["CG"]["uniform1d 4x"]
    assert told["chosen"] is None
    said: list[str] = []
    assert run(changed(settings=settings), tmp_path / "out", say=said.append).failed.keys() == result.failed.keys()
    assert not any("calibration lines" in line for line in said)  # known, not tried again: neither tuning nor tests
    told = (tmp_path / "out" / "failed.jsonl").read_text().splitlines()
    assert {json.loads(line)["name"] for line in told} == result.failed.keys()


def test_shards_go_on_when_tuning_has_failed_in_another_and_the_tables_tell_of_all(tmp_path: Path) -> None:
    out = tmp_path / "out"
    settings = [*TINY["settings"], {"kind": "uniform1d", "accel": 4, "acs": 4}]  # too few lines: all of them in the second shard
    given = changed(settings=settings)
    parts = [run(given, out, shard=(number, 2)) for number in (1, 2, 1, 2)]
    assert [part.waiting > 0 for part in parts] == [True, True, False, False]
    assert not parts[0].failed and len(parts[2].failed) == 6 + 2 == len(parts[3].failed)
    assert "8 tasks failed and are missing" in (out / "tables.md").read_text()


def test_a_failure_of_another_config_is_none_of_this_one(tmp_path: Path) -> None:
    given = changed(methods={"CG": {"baseline": "CGSense", "options": {"lam": 0.01}}})
    study = opened(given, tmp_path / "out")
    (tmp_path / "out").mkdir(exist_ok=True)
    rows = [{"name": task.name, "key": "of another config", "why": "x"} for task in scored_tasks(study, {})]
    (tmp_path / "out" / "failed-2-of-2.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert run(given, tmp_path / "out", shard=(1, 2)).waiting == 2 and not (tmp_path / "out" / "tables.md").exists()


def test_nothing_whole_is_no_table(tmp_path: Path) -> None:
    said: list[str] = []
    given = changed(settings=[{"kind": "uniform1d", "accel": 4, "acs": 4}], validation=None, methods={"CG": {"baseline": "RSS"}})
    assert len(run(given, tmp_path / "out", say=said.append).failed) == 4
    assert not any("tables.md" in line for line in said) and not (tmp_path / "out" / "tables.md").exists()


def test_spectral_methods_are_left_out_of_masks_over_both_axes(tmp_path: Path, tiny_prior: Path) -> None:
    given = changed(settings=[{"kind": "gaussian2d", "accel": 2}], methods={
        name: {"method": name, "prior": str(tiny_prior), "steps": 2} for name in ("ddnm", "dds")})
    labels = {task.what.recipe.label for task in scored_tasks(opened(given, tmp_path / "out"), {})}
    assert labels == {"ZF", "dds"}


def test_each_seed_draws_another_mask(tmp_path: Path) -> None:
    given = changed(seeds=[0, 1], settings=[{"kind": "random1d", "accel": 2, "acs": 12}])
    study = opened(given, tmp_path / "out")
    items = [task.what for task in scored_tasks(study, {}) if task.what.case.name == "phantom0"]
    masks = [ready(item.case, 0, item.setting, item.seed, cache=None, spectral_gb=0, device="cpu").prepared.sampling.mask
             for item in items]
    assert len(masks) == 2 and not torch.equal(*masks)


def test_the_samples_of_two_seeds_share_no_noise(tmp_path: Path, tiny_prior: Path) -> None:
    """Sample k of a restoration takes its seed plus k, so seeds that follow one another would give the same samples."""
    given = changed(seeds=[0, 1], methods={"DDS": {"method": "dds", "prior": str(tiny_prior), "steps": 2, "samples": 8}})
    first, second = {task.what.first_seed for task in scored_tasks(opened(given, tmp_path / "out"), {})}
    assert abs(first - second) > 10**6


def test_a_method_is_not_changed_by_the_others(tmp_path: Path, tiny_prior: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The exact spectrum is made for all that may have it, however few steps they take, and not for one that wants none."""
    dds = {"method": "dds", "prior": str(tiny_prior), "steps": 2}
    study = opened(changed(methods={"none": {**dds, "spectral_gb": 0.0}, "DDS": dds}), tmp_path / "out")
    items = {task.what.recipe.label: task.what for task in scored_tasks(study, {})}
    assert {label: item.spectral_gb for label, item in items.items()} == {"ZF": 1.0, "none": 0.0, "DDS": 1.0}
    monkeypatch.setattr("medrestore.recon.data_step.SPECTRUM_PAYS", 0)
    for label, exact in (("none", False), ("DDS", True)):
        item = items[label]
        made = ready(item.case, 0, item.setting, 0, cache=None, spectral_gb=item.spectral_gb, device="cpu")
        assert isinstance(made.prepared.problem.operator, SpectralOperator) == exact


def test_the_key_of_a_task_holds_what_its_files_hold(tmp_path: Path, tiny_prior: Path) -> None:
    """Weights of LPIPS, the shape of a prior's network and the name that fastMRI's masks follow from."""
    prior, weights, scans = tmp_path / "prior", tmp_path / "lpips.pt", tmp_path / "scans"
    shutil.copytree(tiny_prior, prior)
    weights.write_bytes(b"one")
    scans.mkdir()
    data, images = kspace(1)
    fastmri(scans / "a.h5", data, reference=images)
    given = changed(data={"kind": "kspace", "folder": str(scans)}, validation=None, lpips=[str(weights)],
                    methods={"DDS": {"method": "dds", "prior": str(prior), "steps": 2}, "CG": {"baseline": "RSS"}})

    def keys() -> dict[str, str]:
        return {task.what.recipe.label: task.key for task in scored_tasks(opened(given, tmp_path / "out"), {})}

    before = keys()
    weights.write_bytes(b"another")
    after = keys()
    assert keys() == after and all(after[label] != before[label] for label in before)
    config = prior / "unet" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "norm_eps": 1e-3}))
    assert {label for label, key in keys().items() if key != after[label]} == {"DDS"}
    after = keys()
    (scans / "a.h5").rename(scans / "a.hdf5")
    assert all(key != after[label] for label, key in keys().items())


def test_either_file_of_a_pair_is_seen_to_change(tmp_path: Path) -> None:
    for name in ("s.hdr", "s.cfl"):
        (tmp_path / name).write_bytes(b"1")
    for asked in ("s.hdr", "s.cfl"):
        for altered in ("s.hdr", "s.cfl"):
            prints = Fingerprints(None)
            before = prints(tmp_path / asked)
            (tmp_path / altered).write_bytes((tmp_path / altered).read_bytes() + b"2")
            assert prints(tmp_path / asked) != before


@pytest.mark.parametrize(("given", "said"), [
    (changed(validation={**PHANTOMS, "count": 2, "first": 1}), "validation and data share phantom1; tune on patients"),
    (changed(validation=None), "methods.CG has tune, which needs validation"),
    (changed(protcol="x"), "protcol is no option; did you mean protocol?"),
    (changed(protocol="natural"), "protocol natural does not score this data; take fastmri"),
    (changed(data={"kind": "kspase"}), "data.kind must be one of simulated, phantoms, kspace, scenes, pictures, got 'kspase'"),
    (changed(data={**PHANTOMS, "cuont": 2}), "data.cuont is no option; did you mean data.count?"),
    (changed(settings=[]), "settings is empty"),
    (changed(settings=[{"kind": "unifrm1d", "accel": 4}]), r"settings\[0\].kind is 'unifrm1d'; did you mean"),
    (changed(settings=[{"kind": "uniform1d", "accel": 4}] * 2), "two settings are called 'uniform1d 4x'; give each a label"),
    (changed(methods={"X": {"baseline": "CGSens"}}), "methods.X: there is no baseline 'CGSens' for this data; did you mean"),
    (changed(methods={"X": {"baseline": "CGSense"}}), "methods.X.options.lam is missing"),
    (changed(methods={"X": {"baseline": "VarNet"}}), "methods.X: VarNet needs weights"),
    (changed(methods={"X": {"method": "dds", "options": {"gama": 1}}}), "methods.X: dds has no option gama"),
    (changed(methods={"X": {"method": "hqs", "samples": 2}}), "methods.X: hqs estimates the mean and draws no samples"),
    (changed(methods={"X": {"method": "dds", "prior": "surgical-starter"}}), "surgical-starter is a prior of 3 channels"),
    (changed(methods={"X": {"method": "dds", "window": 64}}), "methods.X.window has no meaning for a method of this kind"),
    (changed(methods={"X": {}}), "methods.X needs exactly one of baseline, method and fill, got none"),
    (changed(methods={"X": {"method": "dds", "start_sigma": 1e9}}), "start_sigma 1e.09 is outside the noise levels"),
    (changed(methods={"X": {"method": "dds", "prior": "a/b"}, "Y": {"baseline": "UNet", "weights": "c"}}, lpips=["d.pt"]),
     "not there: d.pt, a/b, c/baseline.json; correct"),
    (changed(against="TV"), "against is 'TV', which is no method"),
    (changed(seeds=[0, 0]), "seeds must be different"),
    (changed(protocol="complex", methods={"X": {"baseline": "RSS"}}), "methods.X: RSS has no phase"),
    (changed(methods={"Z F": {"baseline": "RSS"}, "Z-F": {"baseline": "RSS"}}), "'Z F' and 'Z-F' would share the folder Z-F"),
    ({"protocol": "fastmri", "data": {**PHANTOMS, "count": 1}, "settings": [{"kind": "gaussian2d", "accel": 2}],
      "methods": {"X": {"method": "ddnm", "steps": 2}}}, "no method can serve any setting: X need"),
    ({**NATURAL, "methods": {"X": {"method": "ddnm", "uncertainty": True}}}, "methods.X.uncertainty has no meaning"),
    ({**NATURAL, "methods": {"X": {"method": "ddnm", "start_sigma": 1.0}}}, "methods.X.start_sigma has no meaning"),
    ({**NATURAL, "methods": {"X": {"method": "ddnm", "ladder": "ddpm"}}}, "methods.X.ladder needs sigma_max"),
    ({"protocol": "dreaming-corrected", "data": {"kind": "scenes", "scenes": [3, 4]},
      "methods": {"X": {"method": "ddnm", "ladder": "ddpm"}}}, "methods.X.ladder has no meaning"),
    ({**NATURAL, "settings": [{"kind": "inpainting", "box": -8}]}, r"settings\[0\].box must be at least 1, got -8"),
])
def test_mistakes_are_named_before_any_work(given: Mapping[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"^my.yaml: .*{said}"):
        opened(given, tmp_path / "out")
    assert not (tmp_path / "out" / "tasks").exists()


def test_one_patient_in_two_files_is_one_patient(tmp_path: Path) -> None:
    """fastMRI files say whom they show; the name goes into nothing."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        data, images = kspace(2, seed=len(name))
        fastmri(tmp_path / name / f"{name}.h5", data, reference=images)
    source = {"kind": "kspace", "slices": "middle"}
    given = changed(data={**source, "folder": str(tmp_path / "a")}, validation={**source, "folder": str(tmp_path / "b")})
    with pytest.raises(InputError, match="share b"):
        opened(given, tmp_path / "out")
    methods = {"ZF": {"baseline": "ZeroFilled"}, "RSS": {"baseline": "RSS"}}
    run({**given, "validation": None, "methods": methods}, tmp_path / "out")
    (row, rss) = read_rows(tmp_path / "out" / "results.csv")
    assert row["slice"] == 1 and rss["psnr"] > 10
    assert not any(b"SECRET" in path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file())


@pytest.mark.skipif(not (Path(__file__).parents[3] / "shared/data/images").exists(), reason="needs volumes that do not ship")
def test_simulated_cases_are_those_of_the_benchmark() -> None:
    """One slice of a subject: phase, coils, noise and mask as the published numbers have them."""
    path = Path(__file__).parents[3] / "shared/data/images/ptbp_t1_60subj_18slices_uint8.npz"
    given = changed(data={"kind": "simulated", "volumes": str(path), "subjects": [52, 53]}, validation=None,
                    methods={"CG": {"baseline": "CGSense", "options": {"lam": 0.01}}})
    config = read(given, "my.yaml")
    (case,) = scan_cases(config.data, lambda path: "", "data")
    assert case.stream(case.slices[0]) == 0
    mine = ready(case, case.slices[0], config.settings[0], 0, cache=None, spectral_gb=0, device="cpu")

    volume = load_volumes(path)[52]
    filled = volume[volume.mean((1, 2)) > 0.02]
    generator = torch.Generator().manual_seed(52)
    truth = filled[len(filled) // 2][None, None].to(torch.complex64)
    height, width = truth.shape[-2:]
    image = add_smooth_phase(truth, generator)
    maps = simulated_maps(8, (height, width), generator=generator)
    data = simulate_scan(image, maps, torch.ones(1, width), snr_db=30.0, generator=generator)
    scan = Scan("s", 0, data, torch.ones(1, width), None, None, truth[0, 0].abs(), (height, width), None, None)
    theirs = prepare(scan, Plan(seed=52, undersample=Undersampling("uniform1d", 2, 12), spectral_gb=0))
    torch.testing.assert_close(mine.prepared.problem.y, theirs.problem.y, rtol=0, atol=0)
    assert mine.prepared.problem.sigma == theirs.problem.sigma
    image = CGSense(lam=0.01).reconstruct(theirs.problem.y, theirs.sense.maps, theirs.sense.mask)[0, 0]
    expected = score([theirs.shown(image).abs()], [theirs.reference])
    assert expected.psnr > 20


def test_slices_of_a_volume_share_coils_and_have_noise_of_their_own(tmp_path: Path) -> None:
    import numpy as np

    values = np.random.default_rng(0).integers(60, 200, (1, 24, 28, 5), dtype=np.uint8)
    values[..., 0] = 0  # nothing to see
    np.savez(tmp_path / "v.npz", vol=values)
    source = read(changed(data={"kind": "simulated", "volumes": str(tmp_path / "v.npz"), "subjects": [0, 1], "slices": "all"}),
                  "my.yaml").data
    (case,) = scan_cases(source, lambda path: "", "data")
    assert case.slices == (0, 1, 2, 3) and sorted(map(case.stream, case.slices)) == [0, 1, 2, 4]
    clean = replace(case, source=replace(source, snr_db=300.0))
    noise = [case.scan(number).kspace - clean.scan(number).kspace for number in (1, 2)]
    assert not torch.allclose(*noise) and all(one.abs().max() > 0 for one in noise)


def test_scenes_are_filled_and_scored(tmp_path: Path) -> None:
    given = {"protocol": "dreaming-corrected", "pictures": 1,
             "data": {"kind": "scenes", "scenes": [3, 5], "size": [40, 64], "frames": 2, "crop": 32},
             "methods": {"none": {"fill": "none"}, "mean": {"fill": "mean"}, "smooth": {"fill": "smooth"},
                         "biharmonic": {"fill": "biharmonic"}}}
    result = run(given, tmp_path / "out")
    assert result.failed == {} and result.done == 4 * len(opened(given, tmp_path / "x").data)
    frames, scenes = (read_rows(tmp_path / "out" / name) for name in ("results.csv", "volumes.csv"))
    assert len(frames) == 2 * len(scenes) and all(row["slice"] is None for row in scenes)
    mean = {name: [row["hole_psnr"] for row in scenes if row["method"] == name] for name in given["methods"]}
    assert sum(mean["smooth"]) > sum(mean["none"])
    assert all(row["known_changed"] == 0 for row in frames if row["known_changed"] is not None)


def test_pictures_are_degraded_restored_and_held_to_the_data(tmp_path: Path) -> None:
    given = {"protocol": "natural", "data": {"kind": "pictures", "crop": 32}, "pictures": 1,
             "settings": [{"kind": "super-resolution"}, {"kind": "inpainting", "keep": 0.5}, {"kind": "deblurring"},
                          {"kind": "colorization"}, {"kind": "inpainting", "box": 8, "noise_std": 0.05}],
             "methods": {"pinv": {"baseline": "PseudoInverse"}}}
    assert run(given, tmp_path / "out").failed == {}
    rows = read_rows(tmp_path / "out" / "results.csv")
    exact = [row for row in rows if "noise" not in row["setting"]]
    assert len(rows) == 8 * 5 and max(row["consistency"] for row in exact) < 1e-3
    assert {row["setting"] for row in rows} >= {"super-resolution 4x", "inpainting 50%", "inpainting 8 px noise 0.05"}
    assert all(row["lpips"] is None for row in rows)


def test_labels_become_folders_of_their_own() -> None:
    names = ["DDNM", "DDNM+", "DDS, 25", "DDS 25", "DDS-25-", "é", "..", "uniform1d 4x"]
    assert len({slug(name) for name in names}) == len(names)
    assert slug("uniform1d 4x") == "uniform1d-4x" and slug("DDNM") == "DDNM"
    assert len(slug("a" * 300)) < 100 and slug("a" * 300) != slug("a" * 301)
