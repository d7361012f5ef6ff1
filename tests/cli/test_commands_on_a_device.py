"""Commands on another device than the CPU: the same results to rounding."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.networks import save_rgb_prior
from helpers.pretend_device import NAME, counting, pretending
from helpers.scans import array, fastmri, kspace, relative
from helpers.studies import NATURAL, PHANTOMS, SCENES, changed, run
from PIL import Image

from medrestore import devices
from medrestore.cli.main import main
from medrestore.evaluation.tables import read_rows
from medrestore.io.frames.pictures import read_picture
from medrestore.methods import METHODS, SCANS
from medrestore.recon import adaptation


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data, images = kspace(2)
    return fastmri(tmp_path_factory.mktemp("scan") / "scan.h5", data, reference=images)


@pytest.fixture(scope="module")
def slice_(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data, images = kspace()
    return fastmri(tmp_path_factory.mktemp("slice") / "scan.h5", data, reference=images)


def recon(volume: Path, prior: Path, out: Path, *words: str) -> np.ndarray:
    assert main(["recon", str(volume), "-o", str(out), "--prior", str(prior), "--maps-cache", str(out.parent / "cache"),
                 "--steps", "3", "--samples", "1", "--bf16", "false", *words]) == 0
    return array(out)


HALF = ("--undersample", "uniform1d", "--accel", "2", "--acs", "16")
PLANE = ("--undersample", "poisson2d", "--accel", "2", "--acs", "12")


def same_there(source: Path, prior: Path, folder: Path, *words: str) -> None:
    """What `recon` makes on the pretend device is what it makes on the CPU."""
    here = recon(source, prior, folder / "cpu.h5", *words, "--device", "cpu")
    with pretending():
        there = recon(source, prior, folder / "there.h5", *words, "--device", NAME)
    assert relative(there, here) < 3e-4  # weights of samples are rounded otherwise


@pytest.mark.parametrize(("method", "words"), [
    *((method, HALF) for method in METHODS.offered(SCANS) if not METHODS[method].exact and method != "snips"),
    *((method, PLANE) for method in METHODS.offered(SCANS) if not METHODS[method].inverts()),
])
def test_recon_by_every_method(method: str, words: tuple[str, ...], slice_: Path, tiny_prior: Path, tmp_path: Path) -> None:
    same_there(slice_, tiny_prior, tmp_path, "--method", method, *words, "--check-fit", "false")


@pytest.mark.parametrize("words", [
    ("hqs", *HALF, "--start-sigma", "0.5"), ("dds", *PLANE, "--start-sigma", "0.5", "--samples", "3", "--nifti"),
    ("dds", *HALF, "--options.gamma", "5", "--together", "1"), ("dds", *HALF, "--noise-std", "0.01", "--keep-samples"),
])
def test_recon_of_a_volume(words: tuple[str, ...], volume: Path, tiny_prior: Path, tmp_path: Path) -> None:
    same_there(volume, tiny_prior, tmp_path, "--method", *words)


def test_recon_by_an_adapted_prior(slice_: Path, tiny_prior: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adaptation, "UPDATES", 2)
    same_there(slice_, tiny_prior, tmp_path, *PLANE, "--adapt", "--check-fit", "false")


def test_recon_reads_as_much_for_any_number_of_steps_and_rows(tiny_prior: Path, tmp_path: Path) -> None:
    """A constant number of values for each slice; the residuals of conjugate gradients are not looked at on the way."""
    reads = {}
    for steps, slices, shape in ((3, 1, (48, 40)), (9, 1, (48, 40)), (3, 1, (64, 40)), (3, 3, (48, 40))):
        data, _ = kspace(slices, shape=shape)
        place = fastmri(tmp_path / f"{steps}-{slices}-{shape[0]}.h5", data)
        with pretending(), counting() as counts:
            recon(place, tiny_prior, place.with_suffix(".out.h5"), "--method", "ddnm+", *HALF, "--device", NAME,
                  "--steps", str(steps), "--check-fit", "false")
        reads[steps, slices, shape[0]] = counts.reads
    first = reads.pop((3, 1, 48))
    assert reads[9, 1, 48] == reads[3, 1, 64] == first and reads[3, 3, 48] <= 3 * first < 3 * 60


def test_recon_takes_the_accelerator_that_is_there_and_says_so(volume: Path, tiny_prior: Path, tmp_path: Path,
                                                               monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(devices, "accelerator", lambda: NAME)
    with pretending(), counting() as counts:
        recon(volume, tiny_prior, tmp_path / "out.h5", *HALF)
    assert counts.reads > 0 and f"on {NAME}; under a minute" in capsys.readouterr().out


def test_doctor_restores_on_the_accelerator(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr(devices, "accelerator", lambda: NAME)
    monkeypatch.setattr("medrestore.shipped.priors", dict)
    with pretending():
        assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert f"used where none is given: {NAME}" in said and "FAIL" not in said
    assert f"ok   a multi-coil restoration on {NAME} equals that on the CPU" in said


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pictures and their masks."""
    folder = tmp_path_factory.mktemp("frames")
    random = np.random.default_rng(0)
    for index in range(2):
        for kind in ("frames", "masks"):
            (folder / kind).mkdir(exist_ok=True)
        Image.fromarray(random.integers(0, 255, (24, 40, 3), dtype=np.uint8)).save(folder / "frames" / f"{index}.png")
        mask = np.zeros((24, 40), np.uint8)
        mask[4:20, 5 + index : 30] = 255
        Image.fromarray(mask).save(folder / "masks" / f"{index}.png")
    return folder


@pytest.mark.parametrize("words", [
    ("--method", "ddnm+"), ("--method", "ddnm"), ("--method", "ddrm", "--noise-std", "5"), ("--method", "dps"),
    ("--method", "repaint", "--travel-repeat", "2", "--travel-length", "1"), ("--method", "diffpir", "--start-sigma", "1"),
    ("--method", "ddnm+", "--warm-start", "1", "--samples", "2", "--grow", "1"),
], ids=lambda words: " ".join(words[1:]))
def test_inpaint(words: tuple[str, ...], frames: Path, tmp_path: Path) -> None:
    prior = save_rgb_prior(tmp_path / "prior")
    made = {}
    for name in ("cpu", NAME):
        with pretending():
            assert main(["inpaint", str(frames / "frames"), "--mask", str(frames / "masks"), "--mask-means", "hole", "-o",
                         str(tmp_path / name), "--prior", str(prior), "--steps", "2", "--window", "16", "--bf16", "false",
                         "--device", name, *words]) == 0
        made[name] = np.stack([read_picture(path) for path in sorted((tmp_path / name).glob("*.png"))]).astype(int)
    assert len(made["cpu"]) == 2 and np.abs(made["cpu"] - made[NAME]).max() <= 1
    assert made["cpu"].std() > 1


def scan_study(prior: Path) -> dict[str, Any]:
    made = {name: {"method": name, "prior": str(prior), "steps": 2, "bf16": False} for name in ("hqs", "dds", "ddnm+", "dps")}
    made["dds"] |= {"samples": 2}
    made["TV"] = {"baseline": "TotalVariation", "options": {"lam": 1e-3}}
    return changed(data={**PHANTOMS, "count": 1}, methods=made)


def picture_study(prior: Path) -> dict[str, Any]:
    methods = {name: {"method": name, "prior": str(prior), "steps": 2, "bf16": False} for name in ("ddnm", "dps", "ddrm")}
    settings = [{"kind": "super-resolution"}, {"kind": "inpainting", "keep": 0.5}, {"kind": "deblurring"},
                {"kind": "colorization"}, {"kind": "compressed-sensing"}]
    return {**NATURAL, "settings": settings, "methods": {**NATURAL["methods"], **methods}}


def scene_study(prior: Path) -> dict[str, Any]:
    return {**SCENES, "methods": {"DDNM+": {"method": "ddnm+", "prior": str(prior), "steps": 2, "window": 16, "bf16": False}}}


@pytest.mark.parametrize("kind", ["scans", pytest.param("pictures", marks=pytest.mark.slow), "scenes"])
def test_tasks_of_a_study(kind: str, tmp_path: Path, tiny_prior: Path) -> None:
    prior = tiny_prior if kind == "scans" else save_rgb_prior(tmp_path / "prior")
    given = {"scans": scan_study, "pictures": picture_study, "scenes": scene_study}[kind](prior)
    tables = []
    for name in ("cpu", NAME):
        with pretending():
            assert run(given, tmp_path / name, devices=(name,)).failed == {}
        tables.append(read_rows(tmp_path / name / "results.csv"))
    assert len(tables[0]) == len(tables[1]) > 0
    for here, there in zip(*tables, strict=True):
        for key, value in here.items():
            assert there[key] == (pytest.approx(value, rel=1e-2, abs=1e-3) if isinstance(value, float) else value), key
