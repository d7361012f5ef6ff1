"""`medrestore evaluate`: a study from a config, and scores of outputs that exist."""

import csv
import json
import zipfile
from math import log10
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
import yaml
from helpers.scans import Bench, fastmri, kspace

from medrestore.datasets.scenes import write_scene
from medrestore.evaluation.tables import read_rows
from medrestore.io.frames.pictures import read_picture
from medrestore.methods import METHODS
from medrestore.metrics import fastmri_scores
from medrestore.study.config import read

CONFIGS = Path(__file__).parents[2] / "configs" / "evaluate"
PHANTOMS = {"kind": "phantoms", "size": [40, 40], "coils": 3}
STUDY = {"protocol": "fastmri-slice", "data": {**PHANTOMS, "count": 2},
         "settings": [{"kind": "uniform1d", "accel": 2, "acs": 12}],
         "methods": {"ZF": {"baseline": "ZeroFilled"}, "CG": {"baseline": "CGSense", "options": {"lam": 0.01}}}}


@pytest.fixture
def study(bench: Bench) -> Path:
    path = bench / "my.yaml"
    path.write_text(yaml.safe_dump(STUDY))
    return path


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_studies_are_read(path: Path) -> None:
    config = read(yaml.safe_load(path.read_text(encoding="utf-8")), path.name)
    assert config.against is None or config.against in config.methods
    assert {one.family for one in config.methods.values()} - {""} <= set(METHODS)


def test_a_study_runs_is_skipped_and_takes_settings(bench: Bench, study: Path) -> None:
    done = bench.call("evaluate", study, "-o", bench / "out")
    assert (done.code, done.err) == (0, "") and "testing: 4 tasks done, 0 skipped, 0 failed" in done.out
    assert done.out.splitlines()[-1].endswith("report.html  tables.md  results.csv  volumes.csv  speed.csv")
    again = bench.call("evaluate", study, "-o", bench / "out", "methods.CG.options.lam=0.1")
    assert again.code == 0 and "testing: 2 tasks done, 2 skipped, 0 failed" in again.out
    rerun = bench.call("evaluate", bench / "out" / "config.yaml", "-o", bench / "out")
    assert rerun.code == 0 and "testing: 0 tasks done, 4 skipped, 0 failed" in rerun.out


def test_a_dry_run_counts_and_writes_nothing(bench: Bench, study: Path) -> None:
    before = bench.files()
    words = [f"methods.DDS={{method: dds, prior: {bench.prior}, steps: 3}}", "--dry-run"]
    dry = bench.call("evaluate", study, "-o", bench / "out", *words)
    assert dry.code == 0 and "0 tasks to tune on 0 cases, 6 to test on 2" in dry.out
    assert "for 6 network calls" in dry.out and "preparing a slice takes" in dry.out and bench.files() == before


def test_what_failed_is_said_with_exit_code_1(bench: Bench, study: Path) -> None:
    words = ["settings=[{kind: uniform1d, accel: 2, acs: 12}, {kind: uniform1d, accel: 4, acs: 4}]"]
    done = bench.call("evaluate", study, "-o", bench / "out", *words)
    assert done.code == 1 and "and 3 more failed" in done.err and "calibration lines" in done.err
    assert (bench / "out" / "results.csv").exists() and done.err.splitlines()[-1].count("error: ") == 1
    again = bench.call("evaluate", study, "-o", bench / "out", *words)
    assert again.code == 1 and "have failed before; pass --retry-failed to try them again" in again.out


@pytest.mark.parametrize("anonymous", [False, True])
def test_what_is_handed_on_tells_no_path(bench: Bench, study: Path, anonymous: bool) -> None:
    (bench / "DOE^JANE").mkdir()
    for seed, name in enumerate(("SMITH", "JONES")):
        fastmri(bench / "DOE^JANE" / f"{name}.h5", kspace(seed=seed)[0], reference=kspace(seed=seed)[1])
    data = f"data={{kind: kspace, folder: {bench / 'DOE^JANE'}}}"
    done = bench.call("evaluate", study, "-o", bench / "out", data, f"cache={bench / 'cache'}",
                      *(["--anonymous"] if anonymous else []))
    assert done.code == 0
    telling = [path for path in (bench / "out").rglob("*") if path.is_file() and (anonymous or path.name != "config.yaml")]
    assert len(telling) > 5
    for path in telling:
        assert str(bench.folder).encode() not in path.read_bytes(), path
        inside = str(path.relative_to(bench / "out")).encode() + path.read_bytes()
        assert not (anonymous and any(name in inside for name in (b"SMITH", b"JONES", b"DOE"))), path
    if anonymous:
        assert all(row["case"].startswith("case-") and row["patient"].startswith("case-")
                   for row in read_rows(bench / "out" / "results.csv"))
    else:
        assert "medrestore evaluate my.yaml" in json.loads((bench / "out" / "provenance.json").read_text())["command"]


@pytest.mark.parametrize(("words", "said"), [
    (["{}"], "give -o, the folder of the study"),
    (["{}", "-o", "out", "methods.CG.optons={}"], "my.yaml: methods.CG.optons is no option; did you mean methods.CG.options?"),
    (["{}", "-o", "out", "protocol"], "'protocol' is no setting; write key=value"),
    (["{}", "-o", "out", "methods.X={method: ddx}"],
     "my.yaml: methods.X.method must be one of hqs, dds, diffpir"),
    (["{}", "-o", "out", "--shard", "3/2"], "--shard takes i/n, as 3/16, got '3/2'"),
    (["{}", "-o", "out", "--reference", "x"], "--reference is for outputs that exist"),
    (["{}", "-o", "out", "--lpips-weights", "x"], "--lpips-weights is for outputs that exist; a study says it in"),
    (["taken", "--reference", "taken", "--protocol", "natural", "--lpips-weights", "a.pth,b.pth"], "a.pth does not exist"),
    (["{}", "-o", "out", "--device", "gpu"], "--device gpu is not usable (there is no such device)"),
    (["{}", "-o", "{}"], "my.yaml is no folder; choose another output"),
    (["{}", "-o", "taken"], "taken holds thesis.txt and is no study of medrestore, so nothing is written there"),
    (["nothing.yaml", "-o", "out"], "nothing.yaml does not exist"),
    (["images"], "to score outputs --reference and --protocol are needed"),
    (["images", "--reference", "x", "--protocol", "fastmrl"],
     "--protocol must be one of fastmri, fastmri-slice, complex, natural, "),
    (["images", "--reference", "x", "--protocol", "fastmri"], "images does not exist"),
])
def test_refusals(bench: Bench, study: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str) -> None:
    monkeypatch.chdir(bench.folder)
    (bench / "taken").mkdir()
    (bench / "taken" / "thesis.txt").write_text("mine")
    before = bench.files()
    refused = bench.call("evaluate", *(str(study) if word == "{}" else word for word in words))
    assert refused.code == 2 and said in refused.err and refused.err.count("\n") == 1
    assert bench.files() == before


def lines(path: Path) -> list[dict[str, Any]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_volumes_are_scored_against_fastmri_files(bench: Bench) -> None:
    for folder in ("made", "truth"):
        (bench / folder).mkdir()
    values = {}
    for seed, name in enumerate(("one", "two")):
        data, images = kspace(2, seed=seed, shape=(40, 40))
        fastmri(bench / "truth" / f"{name}.h5", data, reference=images)
        values[name] = images.astype(np.float32), (images * 1.02).astype(np.float32)
        with h5py.File(bench / "made" / f"{name}.h5", "w") as file:
            file["reconstruction"] = values[name][1]
    data, images = kspace(1, seed=5)
    fastmri(bench / "truth" / "three.h5", data, reference=images)
    done = bench.call("evaluate", bench / "made", "--reference", bench / "truth", "--protocol", "fastmri", "-o", bench / "scores")
    assert (done.code, done.err) == (0, "") and "1 references have no output" in done.out
    rows = {row["case"]: row for row in lines(bench / "scores" / "volumes.csv")}
    assert set(rows) == {"one", "two"} and "SECRET" not in str(rows)
    for name, (reference, made) in values.items():
        expected = fastmri_scores(made, reference)
        assert float(rows[name]["psnr"]) == pytest.approx(expected.psnr)
        assert float(rows[name]["ssim"]) == pytest.approx(expected.ssim)
    slices = bench.call("evaluate", bench / "made" / "one.h5", "--reference", bench / "truth" / "one.h5", "--protocol",
                        "fastmri-slice", "-o", bench / "slices")
    assert slices.code == 0 and [row["slice"] for row in lines(bench / "slices" / "results.csv")] == ["0", "1"]
    (bench / "made" / "four.h5").write_bytes((bench / "made" / "one.h5").read_bytes())
    lonely = bench.call("evaluate", bench / "made", "--reference", bench / "truth", "--protocol", "fastmri")
    assert lonely.code == 2 and "holds no file named like" in lonely.err and "four.h5" in lonely.err
    (bench / "made" / "four.h5").write_bytes(b"damaged")
    (bench / "made" / "four.h5").rename(bench / "made" / "three.h5")
    partly = bench.call("evaluate", bench / "made", "--reference", bench / "truth", "--protocol", "fastmri")
    assert partly.code == 1 and "three.h5 failed" in partly.err and "2 volumes" in partly.out


def test_the_magnitude_of_a_complex_output_is_scored(bench: Bench) -> None:
    data, images = kspace(2, shape=(40, 40))
    fastmri(bench / "truth.h5", data, reference=images)
    made = np.abs(images).astype(np.float32) * np.exp(1j * np.linspace(0, 6, 40)).astype(np.complex64)
    with h5py.File(bench / "made.h5", "w") as file:
        file["reconstruction"] = made
    done = bench.call("evaluate", bench / "made.h5", "--reference", bench / "truth.h5", "--protocol",
                      "fastmri", "-o", bench / "out")
    assert (done.code, done.err) == (0, "") and float(lines(bench / "out" / "volumes.csv")[0]["nmse"]) < 1e-9


def test_files_of_one_name_are_not_mixed_up(bench: Bench) -> None:
    from PIL import Image

    for root in ("made", "truth"):
        for seed, folder in enumerate(("a", "b")):
            (bench / root / folder).mkdir(parents=True)
            pixels = np.random.default_rng(seed).integers(0, 255, (24, 24, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(bench / root / folder / "one.png")
    mixed = bench.call("evaluate", bench / "made", "--reference", bench / "truth", "--protocol", "natural")
    assert mixed.code == 2 and "have one name" in mixed.err
    (bench / "made" / "b" / "one.png").rename(bench / "made" / "b" / "two.png")
    (bench / "truth" / "b" / "one.png").rename(bench / "truth" / "b" / "two.png")
    assert bench.call("evaluate", bench / "made", "--reference", bench / "truth", "--protocol", "natural").code == 0


@pytest.fixture
def dreaming(bench: Bench) -> Path:
    """Two scenes of two frames; the last frame of the first is one that the formulas can be told for."""
    for scene in (3, 4):
        write_scene(bench / "truth", 0, scene, frames=2, size=(40, 64), every=300)
    return bench / "truth"


def restored(bench: Bench, dreaming: Path, name: str, add: int) -> None:
    """The truth of a scene with `add` on every value that has room for it."""
    from PIL import Image

    (bench / "made" / name).mkdir(parents=True)
    for path in sorted((dreaming / name / "gt").iterdir()):
        pixels = read_picture(path)
        brighter = np.where(pixels <= 255 - add, pixels + add, pixels).astype(np.uint8)
        Image.fromarray(brighter).save(bench / "made" / name / path.name)


def test_the_official_score_of_dreaming(bench: Bench, dreaming: Path) -> None:
    """One grey level too bright costs 1 a value; the peak is the largest of the true frame; MAE is divided by 255 twice."""
    restored(bench, dreaming, "scene_0003", 1)
    words = ("--reference", dreaming, "--protocol", "dreaming-official", "-o", bench / "scores")
    done = bench.call("evaluate", bench / "made", *words)
    assert (done.code, done.err) == (0, "") and "1 scenes have no output" in done.out and "not computed" in done.out
    frames, (scene,) = lines(bench / "scores" / "frames.csv"), lines(bench / "scores" / "scenes.csv")
    psnrs, maes = [], []
    for index, path in enumerate(sorted((dreaming / "scene_0003" / "gt").iterdir())):
        truth = read_picture(path).astype(float)
        share = float((truth <= 254).mean())
        if frames[index]["mae"]:
            maes.append(share)
            psnrs.append(20 * log10(truth.max()) - 10 * log10(share))
            assert float(frames[index]["mae"]) == pytest.approx(share)
            assert float(frames[index]["psnr"]) == pytest.approx(psnrs[-1])
    assert psnrs and float(scene["mae_term"]) == pytest.approx(200 * np.mean(maes) / 255**2)
    assert float(scene["psnr_term"]) == pytest.approx(1 - np.mean(psnrs) / 50)
    assert float(scene["accuracy"]) == pytest.approx((float(scene["mae_term"]) + float(scene["psnr_term"])) / 2)
    assert scene["lpips_term"] == scene["fid_term"] == "not computed"
    assert f"{float(scene['accuracy']):.5f}" in done.out


def test_archives_and_features(bench: Bench, dreaming: Path) -> None:
    """A zip of both scenes; FID with the features that the user gives."""
    for name in ("scene_0003", "scene_0004"):
        restored(bench, dreaming, name, 2)
    with zipfile.ZipFile(bench / "made.zip", "w") as archive:
        for path in (bench / "made").rglob("*.png"):
            archive.write(path, path.relative_to(bench.folder))
    words = ("--reference", dreaming, "--protocol", "dreaming-corrected")
    folder = bench.call("evaluate", bench / "made", *words)
    archive = bench.call("evaluate", bench / "made.zip", *words)
    assert folder.code == 0 and folder.out == archive.out and "2 scenes" in folder.out
    generator = torch.Generator().manual_seed(0)
    for name in ("a", "b"):
        features = {scene: torch.randn(8, 4, generator=generator).numpy() for scene in ("scene_0003", "scene_0004")}
        np.savez(bench / f"{name}.npz", **features)
    given = bench.call("evaluate", bench / "made", *words, "--features", bench / "a.npz", "--reference-features", bench / "b.npz")
    assert given.code == 0 and given.out.count("not computed") == 2  # LPIPS, and the mean of both
    half = bench.call("evaluate", bench / "made", *words, "--features", bench / "a.npz")
    assert half.code == 2 and "belong together" in half.err


def test_pictures_are_scored(bench: Bench, dreaming: Path) -> None:
    restored(bench, dreaming, "scene_0003", 5)
    done = bench.call("evaluate", bench / "made" / "scene_0003", "--reference", dreaming / "scene_0003" / "gt", "--protocol",
                      "natural", "-o", bench / "scores")
    assert done.code == 0 and "2 pictures, natural" in done.out and "LPIPS                    not computed" in done.out
    rows = lines(bench / "scores" / "results.csv")
    assert all(float(row["psnr"]) == pytest.approx(20 * log10(255 / 5), abs=0.5) for row in rows)


@pytest.mark.slow
def test_the_quick_study_is_quick(bench: Bench) -> None:
    done = bench.call("evaluate", CONFIGS / "quick.yaml", "-o", bench / "quick")
    assert done.code == 0
    rows = {(row["setting"], row["method"]): float(row["psnr"]) for row in lines(bench / "quick" / "results.csv")}
    for setting in ("uniform1d 4x", "gaussian1d 4x"):
        assert rows[setting, "DDS 10"] > rows[setting, "CG-SENSE"] + 1 > rows[setting, "zero-filled"] + 2
