"""The other commands, what help costs, and what is written where."""

import subprocess
import sys

import numpy as np
import pytest
from helpers.scans import fastmri, kspace


@pytest.mark.parametrize("words", [(), ("recon",), ("inspect",), ("demo",), ("doctor",)])
def test_help_is_quick_and_shows_examples(words):
    resource = pytest.importorskip("resource")
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    command = [sys.executable, "-X", "importtime", "-m", "medrestore", *words, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 1
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert not imported & {"torch", "numpy", "scipy", "h5py", "matplotlib", "diffusers", "jsonargparse"}
    assert "<function" not in done.stdout and "usage: " in done.stdout
    if words and words[0] != "doctor":
        assert f"Examples:\n  medrestore {words[0]}" in done.stdout
    if not words:
        assert "Not a medical device" in done.stdout and "multi-coil MRI scan in, an image out." in " ".join(done.stdout.split())


def test_importing_the_library_costs_nothing():
    code = "import sys, medrestore; print('torch' in sys.modules, len(dir(medrestore)) > 20, medrestore.restore.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["False", "True", "restore"]


def facts(text):
    return {name.strip(): value.strip() for name, _, value in (line.partition(": ") for line in text.splitlines())}


def test_inspect_a_scan(bench, scan):
    outcome = bench.call("inspect", scan)
    told = facts(outcome.out)
    assert (outcome.code, outcome.err) == (0, "")
    assert told["kind"] == "fastMRI multi-coil" and told["shape"] == "1 slices, 4 coils, 48 rows, 40 columns"
    assert told["calibration"] == "40 lines" and told["reference"] == "yes"
    data, _ = kspace()
    data[..., ::2] = 0
    told = facts(bench.call("inspect", fastmri(bench / "half.h5", data)).out)
    assert told["sampling"].startswith("50.0 % (2.00x)") and told["calibration"].startswith("0 lines: TOO FEW for coil maps")
    np.save(bench / "raw.npy", data[0].transpose(2, 1, 0))
    told = facts(bench.call("inspect", bench / "raw.npy", "--axes", "col,row,coil").out)
    assert told["shape"] == "1 slices, 4 coils, 48 rows, 40 columns"


def test_inspect_an_output(bench, scan):
    out = bench.restored(scan, "--method", "dds", "--options.gamma", 3)
    outcome = bench.call("inspect", out)
    told = facts(outcome.out)
    assert (outcome.code, outcome.err) == (0, "") and told["kind"] == "reconstruction by medrestore"
    assert told["images"] == "1 of 48 x 40" and told["sane"] == "yes"
    assert told["config.method"] == "dds" and told["config.options.gamma"] == "3.0" and "scores.mean.psnr" in told


def test_inspect_a_prior(bench):
    told = facts(bench.call("inspect", bench.prior).out)
    assert told["kind"] == "prior" and told["weights"].endswith("as described") and told["card.name"] == "tiny"
    shipped = facts(bench.call("inspect", "brain-mr-starter").out)
    assert shipped["channels"] == "2" and shipped["weights"].endswith("as described")
    weights = bench / "prior" / "unet/diffusion_pytorch_model.safetensors"
    weights.parent.mkdir(parents=True)
    (bench / "prior" / "prior.json").write_text((bench.prior / "prior.json").read_text())
    weights.write_bytes(b"altered")
    assert "MISSING or altered" in facts(bench.call("inspect", bench / "prior").out)["weights"]


def test_doctor(bench):
    outcome = bench.call("doctor")
    assert (outcome.code, outcome.err) == (0, "") and "FAIL" not in outcome.out and outcome.out.count("\nok ") >= 3


@pytest.mark.slow
def test_demo(bench):
    outcome = bench.call("demo", "--steps", 2, "--samples", 1, "-o", bench / "new" / "demo.png")
    assert (outcome.code, outcome.err) == (0, "")
    assert (bench / "new" / "demo.png").read_bytes().startswith(b"\x89PNG")
    rows = {line[:24].strip(): line[24:].split() for line in outcome.out.splitlines()}
    for name in ("zero-filled", "CG-SENSE, best weight", "L1-wavelet, best weight"):
        assert len(rows[name]) == 3 and 15 < float(rows[name][0]) < 40
    assert sum(len(row) == 3 and row[0][-3:-2] == "." for row in rows.values()) >= 4


def test_version(bench):
    outcome = bench.call("--version")
    assert outcome.code == 0 and outcome.out.startswith("medrestore 0.")


def test_a_reader_that_leaves(tmp_path, scan):
    """`medrestore inspect scan.h5 | true` is no error worth a word."""
    command = f"{sys.executable} -m medrestore inspect {scan}"
    line = f"({command}; echo $? >{tmp_path}/code) | true"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=60)
    assert done.stderr == "" and (tmp_path / "code").read_text().strip() in "01"


def test_how_much_is_said_can_stand_anywhere(bench, scan):
    half = ("--undersample", "uniform1d", "--accel", 2, "--acs", 14)
    quiet = bench.recon("-q", scan, *half, "-o", bench / "a.h5")
    assert quiet == (0, "", "") and (bench / "a.h5").is_file()
    loud = bench.recon(scan, *half, "-o", bench / "b.h5", "--verbose")
    assert loud.code == 0 and "medrestore.jobs: the prior" in loud.out and "data misfit" in loud.out
    assert bench.call("inspect", scan, "--quiet").out.startswith("file:")
    assert bench.call("-v", "-q", "inspect", bench / "none.h5").err.startswith("medrestore inspect: error: ")


@pytest.mark.parametrize(("words", "said"), [
    (("recno", "x"), "there is no command 'recno'; did you mean recon?"),
    (("recon", "x.h5", "--prio", "y"), "there is no option --prio; did you mean --prior?"),
    (("recon", "x.h5", "--method", "hsq"), "got 'hsq'; did you mean hqs?"),
    (("recon", "x.h5", "--method", "HQS"), "got 'HQS'; did you mean hqs?"),
    (("recon", "x.h5", "--undersample", "equispace"), "got 'equispace'; did you mean equispaced?"),
    (("restore", "x.png", "-o", "y.png", "--task", "denoize"), "got 'denoize'; did you mean denoise?"),
    (("recon", "sample:brain-scan", "-o", "y.h5", "--prior", "brain-mr-starte"), "did you mean brain-mr-starter?"),
    (("recon", "sample:brain-scn", "-o", "y.h5"), "did you mean sample:brain-scan?"),
    (("train", "quik"), "did you mean quick?"),
    (("recon", "x.h5", "--method", "dds", "--options.lamb", 3), "did you mean options.lam?"),
    (("demo", "surgcal"), "got 'surgcal'; did you mean surgical?"),
])
def test_what_was_meant(bench, monkeypatch, words, said):
    monkeypatch.chdir(bench.folder)
    outcome = bench.call(*words)
    assert outcome.code == 2 and said in outcome.err and outcome.out == ""
