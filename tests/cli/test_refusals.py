"""Bad input: one sentence on stderr that names what is wrong, exit code 2, and not a file more or less than before."""

import errno
import gc
import json
import os
import pickle
import shutil

import h5py
import numpy as np
import pytest
from helpers.scans import fastmri, kspace

from medrestore.cli.main import COMMANDS

METHODS = COMMANDS["recon"].options["method"].choices
HALF = ("--undersample", "uniform1d", "--accel", "2", "--acs", "12")


def refused(bench, *words, says, path=None, stored=False):
    """Runs and checks the whole promise; `stored`: slices were done before, and wait in a hidden folder for the next run."""
    before = bench.files()
    outcome = bench.recon("-o", bench / "out.h5", *words)
    lines = outcome.err.splitlines()
    assert outcome.code == 2 and len(lines) == 1, outcome
    assert lines[0].startswith("medrestore recon: error: ") and "Traceback" not in outcome.out
    for part in (says, *([] if path is None else [str(path)])):
        assert part in lines[0], lines[0]
    left = {name for name in bench.files() if name.startswith(".out.h5.")}
    assert bool(left) == stored and {name: content for name, content in bench.files().items() if name not in left} == before
    return lines[0]


def written(path, fill):
    with h5py.File(path, "w") as file:
        fill(file)
    return path


def test_truncated(bench, scan):
    scan.write_bytes(scan.read_bytes()[:5000])
    refused(bench, scan, says="copy it again", path=scan)


def test_external_storage(bench):
    (bench / "secret").write_bytes(bytes(4 * 8 * 8 * 8))
    shape, external = (1, 4, 8, 8), [(str(bench / "secret"), 0, 2048)]
    path = written(bench / "e.h5", lambda file: file.create_dataset("kspace", shape, np.complex64, external=external))
    refused(bench, path, says="in other files", path=path)


@pytest.mark.parametrize("link", [h5py.ExternalLink("scan.h5", "kspace"), h5py.SoftLink("/other")])
def test_links(bench, scan, link):
    path = written(bench / "l.h5", lambda file: file.__setitem__("kspace", link))
    refused(bench, path, says="is a link", path=path)


def test_40_gb_declared(bench):
    path = written(bench / "big.h5", lambda file: file.create_dataset("kspace", (100, 16, 1790, 1790), np.complex64))
    refused(bench, path, says="41.0 GB, over the limit of 16 GB; raise --max-gb if that is real", path=path)
    refused(bench, path, "--max-gb", 100, says="the file stores 0", path=path)


def test_nan(bench):
    data, _ = kspace(2)
    data[0, 1, 2, 3] = np.nan
    path = fastmri(bench / "nan.h5", data)
    refused(bench, path, says="NaN", path=path)
    data[0, 1, 2, 3], data[1, 1, 2, 3] = 0, np.inf
    path = fastmri(bench / "nan.h5", data)
    refused(bench, path, "--check-fit", "false", says="slice 1 holds NaN", path=path, stored=True)  # after slice 0 was restored


def test_no_calibration_lines(bench):
    data, _ = kspace()
    data[..., 15:25] = 0
    path = fastmri(bench / "gap.h5", data)
    refused(bench, path, says="no calibration lines; give coil maps", path=path)
    data, _ = kspace()
    data[..., :18], data[..., 22:] = 0, 0
    refused(bench, fastmri(bench / "few.h5", data), says="needs 8 calibration lines but finds 4", path=bench / "few.h5")


def test_mask_of_the_wrong_length(bench):
    path = fastmri(bench / "test.h5", kspace()[0], mask=np.ones(39, np.uint8))
    refused(bench, path, says="one number for each of the 40 columns", path=path)


def test_maps_of_the_wrong_shape(bench, scan):
    path = bench / "few.npy"
    np.save(path, np.ones((1, 3, 48, 40), np.complex64))
    refused(bench, scan, "--maps", path, says="(1, 3, 48, 40)", path=path)
    np.save(path, np.zeros((1, 4, 48, 40), np.complex64))
    refused(bench, scan, "--maps", path, says="check that the maps belong to it")
    refused(bench, scan, "--maps", bench / "none.npy", says="does not exist", path=bench / "none.npy")


def test_prior_of_the_wrong_channels(bench, scan, grey_prior):
    refused(bench, scan, "--prior", grey_prior, says="a complex image needs one of two", path=grey_prior)


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("exploded",)


def test_checkpoints_that_are_not_priors(bench, scan, monkeypatch):
    monkeypatch.chdir(bench.folder)
    path = bench / "model.pt"
    path.write_bytes(pickle.dumps(Bomb()))
    refused(bench, scan, "--prior", path, says="a prior is a folder", path=path)
    folder = bench / "tampered"
    shutil.copytree(bench.prior, folder)
    weights = folder / "unet/diffusion_pytorch_model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    refused(bench, scan, "--prior", folder, says="sha256 differs", path=folder)
    weights.write_bytes(pickle.dumps(Bomb()))
    refused(bench, scan, "--prior", folder, says="sha256 differs", path=folder)
    weights.unlink()
    refused(bench, scan, "--prior", folder, says="needs its weights", path=folder)
    (folder / "prior.json").write_text("{")
    refused(bench, scan, "--prior", folder, says="not readable JSON", path=folder)
    refused(bench, scan, "--prior", "nobody", says="no prior at nobody")
    assert not (bench / "exploded").exists()


def test_existing_outputs(bench, scan):
    bench.restored(scan)
    refused(bench, scan, says="pass --overwrite to replace it", path=bench / "out.h5")
    (bench / "out.h5").unlink()
    refused(bench, scan, says="pass --overwrite to replace it", path=bench / "out.png")
    (bench / "out.png").unlink()
    (bench / "out.nii.gz").write_bytes(b"precious")
    refused(bench, scan, "--nifti", says="pass --overwrite to replace it", path=bench / "out.nii.gz")
    bench.restored(scan, "--nifti", "--overwrite")


@pytest.mark.parametrize("words, says", [
    (("--method", "hqs", "--separate", "repetition"), "--separate does not go with --across-slices; leave one out"),
    (("--method", "hqs", "--start-sigma", 0.5), "--start-sigma does not go with --across-slices; leave one out"),
    (("--method", "hqs", "--reference-image", "x.npy"), "--reference-image does not go with --across-slices; leave one out"),
    (("--method", "dps"), "--across-slices goes with hqs and dds without gamma; leave it out, or take one of these as --method"),
], ids=["separate", "start-sigma", "reference-image", "method"])  # fmt: skip
def test_options_that_do_not_go_together_are_named_as_they_are_typed(bench, scan, words, says):
    refused(bench, scan, "--across-slices", 5, *words, says=says)


def test_what_goes_with_a_volume_and_with_adaptation_alone(bench, scan):
    refused(bench, scan, "--three-planes", says="--three-planes goes with --across-slices, which")
    refused(bench, scan, "--adapt", "--reference-image", "x.npy", says="--adapt does not go with --reference-image; leave")


def test_the_scan_is_never_replaced(bench, scan):
    refused(bench, scan, "-o", scan, "--overwrite", says="the input itself", path=scan)
    refused(bench, scan, "-o", bench / "." / "scan.h5", "--resume", says="the input itself")
    refused(bench, bench.folder, "-o", bench.folder, "--overwrite", says="the input itself")


def test_failures_keep_the_old_output(bench, scan):
    bench.restored(scan)
    data, _ = kspace(2)
    data[1, 0, 0, 0] = np.nan
    refused(bench, fastmri(bench / "nan.h5", data), "--overwrite", "--check-fit", "false", says="slice 1 holds NaN",
            stored=True)


@pytest.mark.parametrize(("words", "says"), [
    (("--method", "dds", "--options.gama", 3), "--options.gama is no option; did you mean options.gamma?"),
    (("--method", "dds", "--options.cg_steps", 2.5), "--options.cg_steps must be a whole number, got 2.5"),
    (("--method", "ddrm", "--options.eta", 2), "--options.eta must be at least 0 and at most 1, got 2.0"),
    (("--method", "dds", "--options.eta", -1), "--options.eta must be at least 0, got -1.0"),
    (("--method", "hqs", "--options.lam", 0), "--options.lam must be above 0, got 0.0"),
    (("--options.lam", "much"), "--options.lam must be a number, got 'much'"),
    (("--options", "3"), "--options must be a mapping of names to values, got 3"),
    (("--method", "magic"), f"--method must be one of {', '.join(METHODS)}, got 'magic'"),
    (("--method", "hqs", "--samples", 3), "such as dds"),
    (("--ladder", "rope"), "--ladder must be one of karras, ddpm, quadratic, got 'rope'"),
    (("--undersample", "uniform1d"), "--undersample needs --accel"),
    (("--accel", 4), "--accel needs --undersample"),
    (("--acs", 4), "--acs needs --undersample"),
    (("--undersample", "spiral", "--accel", 4), "--undersample must be one of uniform1d, random1d"),
    (("--undersample", "uniform1d", "--accel", 0.5), "--accel must be at least 1, got 0.5"),
    (("--undersample", "uniform1d", "--accel", 30, "--acs", 20), "ask for a smaller region or a lower acceleration"),
    (("--slices", "first"), "--slices takes first:last+1, as 10:20, or one number, got 'first'"),
    (("--slices", "0:"), "--slices takes"),
    (("--slices", "0:2"), "has slices 0 to 0"),
    (("--slices", "1:1"), "has slices 0 to 0"),
    (("--device", "gpu"), "--device gpu is not usable (there is no such device)"),
    (("--device", "cuda:99"), "--device cuda:99 is not usable"),
    (("--steps", 0), "--steps must be at least 2, got 0"),
    (("--steps", "many"), "--steps must be a whole number, got 'many'"),
    (("--seed", "null"), "--seed must be a whole number, got null"),
    (("--steps", 2.5), "--steps must be a whole number, got 2.5"),
    (("--samples", 0), "--samples must be at least 1, got 0"),
    (("--batch-size", 0), "--batch-size must be at least 1, got 0"),
    (("--together", 0), "--together must be at least 1, got 0"),
    (("--seed", -1), "--seed must be at least 0, got -1"),
    (("--noise-std", -1), "--noise-std must be at least 0, got -1.0"),
    (("--noise-std", "nan"), "--noise-std must be a number, got 'nan'"),
    (("--noise-std", "loud"), "--noise-std must be a number, got 'loud'"),
    (("--sigma-max", 0), "--sigma-max must be above 0, got 0.0"),
    (("--sigma-max", 0.001), "--sigma-max is 0.001, not above the least noise level of the prior, 0.005"),
    (("--start-sigma", 0), "--start-sigma must be above 0, got 0.0"),
    (("--start-sigma", 1000), "outside the noise levels of the prior, 0.005 to 40"),
    (("--axes", "x,y"), "unknown axes 'x', 'y'"),
    (("--stepz", 3), "there is no option --stepz; did you mean --steps?"),
    (("another.h5",), "'another.h5' is one word too many"),
    (("-o", "image.txt"), "image.txt is no .h5 file name"),
    (("--method", "ddnm", "--undersample", "poisson2d", "--accel", 2, "--acs", 10),
     "DDNM needs the exact spectrum of the scan, and the mask undersamples both axes; hqs, dds, diffpir, dps, "),
    (("--method", "ddnm", "--undersample", "uniform1d", "--accel", 2, "--acs", 16),
     "DDNM takes the data as free of noise, and these have noise of std 0.0"),
    (("--method", "repaint", "--noise-std", 0.02),
     "take a --method that knows the noise: hqs, dds, diffpir, ddnm+, ddrm, dps, "),
    (("--method", "ddrm", "--spectral-gb", 0), "over the limit of --spectral-gb, 0"),
])  # fmt: skip
def test_options(bench, scan, words, says):
    refused(bench, scan, *words, says=says)


@pytest.mark.parametrize(("text", "says"), [
    ("stepz: 3", "has the key 'stepz', which is no option; did you mean steps?"),
    ("zebra: 3", "has the key 'zebra', which is no option; there are: scan, out"),
    ("config: other.yaml", "has the key 'config', which is no option"),
    ("3: 4", "has the key 3, which is no option"),
    ("steps: many", ": --steps must be a whole number, got 'many'"),
    ("seed: null", ": --seed must be a whole number, got null"),
    ("method: magic", f": --method must be one of {', '.join(METHODS)}, got 'magic'"),
    ("method: [dds]", ": --method must be one of"),
    ("options: {gamma: big}", ": --options.gamma must be a number, got 'big'"),
    ("options: 3", ": --options must be a mapping of names to values, got 3"),
    ("slices: 1.5", ": --slices takes first:last+1, as 10:20, or one number, got 1.5"),
    ("steps: [1", "is not YAML in line 1"),
    ("a: b: c", "is not YAML in line 1: mapping values are not allowed here"),
    ("!!python/object/apply:os.mkdir [exploded]", "is not YAML in line 1"),
    ("prior: &a x\nmaps: *a", "aliases (*name) can grow without bound"),
    ("- steps", "holds a list or a word, not options"),
    ("", "holds nothing, not options"),
    ("steps: 2\x00", "is not YAML"),
])
def test_configs(bench, scan, text, says):
    path = bench / "plan.yaml"
    path.write_text(text)
    refused(bench, scan, "--config", path, says=says, path=path)
    assert not (bench / "exploded").exists()


def test_configs_that_are_no_text(bench, scan):
    path = bench / "plan.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    refused(bench, scan, "--config", path, says="is not text", path=path)
    path.write_bytes(b"# " + b"x" * 2**20)
    refused(bench, scan, "--config", path, says="larger than 1 MiB", path=path)
    refused(bench, scan, "--config", bench / "none.yaml", says="does not exist", path=bench / "none.yaml")


def test_what_is_not_there(bench, scan):
    refused(bench, bench / "none.h5", says="does not exist", path=bench / "none.h5")
    refused(bench, says="give a scan, or --from an output to rerun")
    (bench / "empty").mkdir()
    refused(bench, bench / "empty", "-o", bench / "images", says="holds no scan", path=bench / "empty")
    (bench / "notes.h5").write_text("hello")
    refused(bench, bench / "notes.h5", says="no known k-space format", path=bench / "notes.h5")
    refused(bench, scan, "-o", bench / "notes.h5" / "out.h5", says="cannot be written", path=bench / "notes.h5")
    refused(bench, "--from", scan, says="it is no output of recon", path=scan)
    refused(bench, "--from", bench / "none.h5", says="does not exist", path=bench / "none.h5")


def test_altered_provenance(bench, scan):
    out = bench.restored(scan, name="made.h5")
    with h5py.File(out) as file:
        whole = json.loads(file.attrs["medrestore_provenance"])
    for change, says in (({"config": 3}, "does not say how it was made"),
                         ({"input": {"name": 7}}, "does not say how it was made"),
                         ({"config": whole["config"] | {"steps": "x"}}, "--steps must be a whole number, got 'x'"),
                         ({"config": whole["config"] | {"options": {"gamma": [1]}}},
                          "was altered, or made by another version: --options.gamma must be a number, got [1]"),
                         ({"config": {}, "input": {"name": "/none.h5"}}, "give its present place as SCAN"),
                         ({"input": {"name": scan.name}}, "is not the scan that")):
        with h5py.File(out, "r+") as file:
            file.attrs["medrestore_provenance"] = json.dumps(whole | change)
        before = bench.files()
        outcome = bench.call("recon", "--from", out, "-o", bench / "again.h5", "--prior", bench.prior)
        assert outcome.code == 2 and says in outcome.err and outcome.err.count("\n") == 1, outcome
        assert bench.files() == before


def full(*_args, **_options):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("size", [1000, 10_000, 30_000])
def test_disk_full(bench, scan, size):
    """No file may pass `size` bytes: at the first bytes, at the last, and between; h5py alone would crash over it at exit."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        refused(bench, scan, "--samples", 2, says="(file too large); make room or choose another output", path=bench / "out.h5")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    gc.collect()
    bench.restored(scan)


@pytest.mark.parametrize("step", ["panel", "write_nifti"])
def test_disk_full_at_the_side_files(bench, scan, monkeypatch, step):
    from medrestore.recon import files

    bench.restored(scan, "--nifti")
    monkeypatch.setattr(files, step, full)
    refused(bench, scan, "--nifti", "--overwrite", says="no space left on device); make room or choose another output",
            stored=True)


def test_memory_full(bench, scan, monkeypatch):
    from medrestore.recon import volume

    def full(*_args, **_options):
        raise MemoryError

    monkeypatch.setattr(volume, "restore_slices", full)
    refused(bench, scan, says="the memory is too small")


def test_debug_shows_the_traceback(bench):
    for at in (0, 1):
        words = ["recon", bench / "none.h5"]
        outcome = bench.call(*words[:at], "--debug", *words[at:])
        assert outcome.code == 2 and "Traceback" in outcome.err and "does not exist" in outcome.err.splitlines()[-1]


def test_mistakes_of_the_program_are_not_hidden(bench, scan, monkeypatch):
    from medrestore.recon import volume

    def broken(*_args, **_options):
        raise ZeroDivisionError

    monkeypatch.setattr(volume, "restore_slices", broken)
    before = bench.files()
    with pytest.raises(ZeroDivisionError):
        bench.recon(scan, "-o", bench / "out.h5")
    assert bench.files() == before


def test_commands(bench):
    for words, says in (((), f"give a command, one of {', '.join(COMMANDS)}"),
                        (("mend",), f"there is no command 'mend'; there are: {', '.join(COMMANDS)}"),
                        (("demo", "--steps", "0"), "--steps must be at least 2"), (("demo", "-o", "scan.h5"), "no .png"),
                        (("inspect", bench / "none.h5"), "does not exist"), (("inspect", bench.folder), "is a folder")):
        outcome = bench.call(*words)
        assert outcome.code == 2 and says in outcome.err and outcome.err.count("\n") == 1, outcome
