"""`medrestore recon`: what an output holds, what decides it, and what does not."""

import json
from pathlib import Path

import h5py
import nibabel
import numpy as np
import pytest
import torch
import yaml
from helpers.scans import NOISE, array, fastmri, header, kspace, relative

from medrestore.cli.main import COMMANDS
from medrestore.io import read_provenance
from medrestore.methods import METHODS as BY_NAME
from medrestore.metrics import fastmri_scores
from medrestore.mri import espirit
from medrestore.recon.classical import CLASSICAL

METHODS = COMMANDS["recon"].options["method"].choices
HALF = ("--undersample", "uniform1d", "--accel", 2, "--acs", 16)
PLANE = ("--undersample", "poisson2d", "--accel", 2, "--acs", 12)


def test_the_output_is_what_fastmri_evaluates(bench):
    data, images = kspace(3)
    scan = fastmri(bench / "scan.h5", data, reference=images[:, 4:44, 2:38])
    outcome = bench.recon(scan, "-o", bench / "out.h5", "--samples", 2, "--keep-samples", *HALF)
    assert (outcome.code, outcome.err) == (0, "")
    with h5py.File(bench / "out.h5") as file:
        assert file["reconstruction"].shape == (3, 40, 36) and file["reconstruction"].dtype == np.float32
        assert file["samples"].shape == (3, 2, 40, 36) and file["std"].shape == (3, 40, 36)
        assert file["mask"].shape == (1, 40) and file["mask"][()].sum() == 20 and file.attrs["acceleration"] == 2
        volume, mean = file["reconstruction"][()], file["reconstruction_complex"][()]
        np.testing.assert_allclose(volume, np.abs(mean), rtol=1e-6)
        np.testing.assert_allclose(file["samples"][()].mean(1), mean, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(file["samples"][()].std(1, ddof=1), file["std"], rtol=1e-3, atol=1e-5)
    made = read_provenance(bench / "out.h5")
    scores = fastmri_scores(volume, images[:, 4:44, 2:38])
    assert made["scores"]["mean"] == {"psnr": scores.psnr, "ssim": scores.ssim, "nmse": scores.nmse, "protocol": "fastmri"}
    assert made["scores"]["mean"]["psnr"] > made["scores"]["one_sample"]["psnr"]
    table = {line[:12].strip(): line[12:].split() for line in outcome.out.splitlines() if line[:12].strip() in (
        "zero filled", "cg sense", "one sample", "mean")}
    for name, row in table.items():
        assert row[:2] == [f"{made['scores'][name.replace(' ', '_')][key]:.{n}f}" for key, n in (("psnr", 2), ("ssim", 4))]
    assert len(table) == 4
    with (bench / "out.png").open("rb") as picture:
        assert picture.read(8) == b"\x89PNG\r\n\x1a\n"


def test_readout_oversampling_and_the_header(bench):
    data, _ = kspace(1, shape=(64, 40))
    scan = fastmri(bench / "scan.h5", data, header=header((64, 40), (32, 30)))
    out = bench.restored(scan, *HALF)
    assert array(out).shape == (1, 32, 30)


def test_odd_sizes(bench):
    data, _ = kspace(2, shape=(47, 39))
    np.save(bench / "scan.npy", data)
    assert array(bench.restored(bench / "scan.npy", *HALF)).shape == (2, 47, 39)


def test_one_line_before_sampling(bench, scan):
    line = bench.recon(scan, "-o", bench / "out.h5", *HALF, "--samples", 4).out.splitlines()[0]
    made = read_provenance(bench / "out.h5")
    for part in ("scan.h5: 1 of 1 slices, 4 coils, 48 x 40", "uniform1d 2.00x", "calibration 16", f"prior {bench.prior}",
                 f"noise {made['noise_std'][0]:.3g} ({made['noise_source']})", "4 samples by DiffPIR, 2 steps",
                 "data steps by conjugate gradients", "under a minute"):
        assert part in line


@pytest.mark.parametrize("method", ["ddnm+", "ddrm", "diffpir"])
def test_the_data_are_explained_to_their_noise(bench, scan, method):
    out = bench.restored(scan, *HALF, "--method", method, "--steps", 8, "--noise-std", NOISE)
    made = read_provenance(out)
    assert 0.5 < made["misfit"][0] < 1.5 and NOISE <= made["noise_std"][0] < 3 * NOISE
    assert made["noise_source"].startswith("given")


@pytest.mark.parametrize("method", METHODS)
def test_every_method(bench, scan, method):
    if method not in CLASSICAL and BY_NAME[method].exact:
        outcome = bench.recon(scan, *HALF, "--method", method, "-o", bench / "out.h5")
        assert outcome.code == 2 and "takes the data as free of noise" in outcome.err
        return
    few = ("--steps", 30) if method == "snips" else ()  # whose noise lags behind by a level: two levels leave that of the first
    assert np.isfinite(array(bench.restored(scan, *HALF, "--method", method, *few))).all()
    if method in CLASSICAL or not BY_NAME[method].inverts():
        out = bench.restored(scan, *PLANE, "--method", method, name="plane.h5")
        assert np.isfinite(array(out)).all() and array(out, "mask").shape == (48, 40)


@pytest.mark.slow
@pytest.mark.parametrize("mask", [("uniform1d", 4), ("poisson2d", 8)], ids=str)
@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_ahead_of_zero_filled_or_refused(bench, method, mask):
    """Few steps, on the scan that is shipped."""
    scan = Path(__file__).parents[2] / "data" / "samples" / "brain-scan.h5"
    steps = 50 if method in ("red-diff", "daps", "pnp-dm", "snips") else 10  # which begin to agree with the data late
    outcome = bench.call("recon", scan, "-o", bench / "out.h5", "--method", method, "--steps", steps,
                         "--maps-cache", bench / "cache", "--undersample", mask[0], "--accel", mask[1])
    if outcome.code == 2:
        assert BY_NAME[method].inverts() and not (bench / "out.h5").exists()
        assert "takes the data as free of noise" in outcome.err or "undersamples both axes" in outcome.err
    else:
        scores = read_provenance(bench / "out.h5")["scores"]
        assert scores["mean"]["psnr"] > scores["zero_filled"]["psnr"]


def test_the_shipped_prior(bench, scan):
    words = ("--method", "dds", "--steps", 3, "--samples", 2, "--maps-cache", "none", *HALF)
    outcome = bench.call("recon", scan, "-o", bench / "out.h5", *words)
    assert (outcome.code, outcome.err) == (0, "") and "prior brain-mr-starter" in outcome.out
    assert np.isfinite(array(bench / "out.h5")).all() and not (bench / "cache").exists()


@pytest.mark.parametrize(("words", "steps", "samples", "start"), [
    ((), 5, 1, None), (("--quality", "fast"), 3, 1, 0.5), (("--quality", "best"), 7, 1, None),
    (("--quality", "best", "--method", "dds"), 5, 2, None), (("--quality", "best", "--steps", 2), 2, 1, None),
    (("--quality", "fast", "--start-sigma", 1.5, "--samples", 2, "--method", "dds"), 3, 2, 1.5),
])  # fmt: skip
def test_quality_stands_for_steps_samples_and_a_start(bench, scan, monkeypatch, words, steps, samples, start):
    points = {"fast": (3, 1, 0.5), "balanced": (5, 1, None), "best": (7, 1, None)}
    monkeypatch.setattr("medrestore.recon.plan.QUALITY", points)
    monkeypatch.setattr("medrestore.recon.plan.QUALITY_OF_SAMPLES", points | {"best": (5, 2, None)})
    bench.restored(scan, *HALF, *words, quick=False)
    made = read_provenance(bench / "out.h5")
    assert [made["config"][key] for key in ("steps", "samples", "start_sigma")] == [steps, samples, start]
    assert made["config"]["adapt"] == ("best" in words)
    assert len(made["seeds"][0]) == samples and made["levels"][0] <= (start or 5.0)
    assert bench.call("recon", "--from", bench / "out.h5", "-o", bench / "again.h5", "--maps-cache", "none",
                      "--prior", bench.prior).code == 0
    assert read_provenance(bench / "again.h5") == made
    changed = bench.call("recon", "--from", bench / "out.h5", "-o", bench / "other.h5", "--quality", "fast")
    assert changed.code == 2 and "--quality would change that" in changed.err


def test_conjugate_gradients_equal_the_resolvent(bench, scan):
    words = (scan, *HALF, "--steps", 8, "--sigma-max", 0.5, "--noise-std", NOISE, "--method", "dds", "--options.gamma", 5)
    exact, iterated = (array(bench.restored(*words, "--options.rtol", 1e-4, "--spectral-gb", gb, name=f"{gb}.h5"))
                       for gb in (1, 0))
    assert 0 < relative(iterated, exact) < 0.02


def prospective(bench, data, mask, kind):
    """The same samples as a scanner would have left them."""
    measured = np.where(mask > 0, data, 0).astype(np.complex64)
    if kind == "zeros":
        return fastmri(bench / "zeros.h5", measured)
    if kind == "mask":
        return fastmri(bench / "test.h5", measured, mask=mask.reshape(-1).astype(bool))
    np.save(bench / "plain.npy", measured)
    return bench / "plain.npy"


@pytest.mark.parametrize(("kind", "words"), [
    ("zeros", HALF), ("mask", HALF), ("array", HALF), ("zeros", PLANE), ("array", PLANE),
    ("mask", ("--undersample", "equispaced_fraction", "--accel", 3, "--acs", 9)),
    ("zeros", ("--undersample", "gaussian1d", "--accel", 2, "--acs", 12, "--seed", 5)),
])  # fmt: skip
def test_prospective_equals_retrospective(bench, scan, kind, words):
    after = bench.restored(scan, *words, name="after.h5")
    path = prospective(bench, array(scan, "kspace"), array(after, "mask"), kind)
    seed = words[words.index("--seed") :][:2] if "--seed" in words else ()
    before = bench.restored(path, *seed, name="before.h5")
    np.testing.assert_array_equal(array(before).view(np.uint32), array(after).view(np.uint32))
    np.testing.assert_array_equal(array(before, "mask"), array(after, "mask"))


@pytest.mark.parametrize("words", [HALF, PLANE])
def test_nothing_outside_the_mask_matters(bench, words):
    data, _ = kspace()
    whole = bench.restored(fastmri(bench / "scan.h5", data), *words, name="whole.h5")
    noise = np.random.default_rng(0).standard_normal((2, *data.shape)).astype(np.float32) * 100
    scrambled = np.where(array(whole, "mask") > 0, data, noise[0] + 1j * noise[1]).astype(np.complex64)
    again = bench.restored(fastmri(bench / "scan.h5", scrambled), *words, "--implausible", name="again.h5")
    np.testing.assert_array_equal(array(again).view(np.uint32), array(whole).view(np.uint32))


def test_the_reference_only_scores(bench):
    data, images = kspace()
    one = bench.restored(fastmri(bench / "scan.h5", data, reference=images), *HALF, name="one.h5")
    two = bench.restored(fastmri(bench / "scan.h5", data, reference=7 * images[:, ::-1]), *HALF, name="two.h5")
    np.testing.assert_array_equal(array(one), array(two))
    assert read_provenance(one)["scores"] != read_provenance(two)["scores"]


def test_provenance(bench, scan):
    made = read_provenance(bench.restored(scan, *HALF, "--samples", 2, "--seed", 7, "--options.zeta", 0.25))
    assert made["medrestore"] and made["torch"] == torch.__version__ and len(made["prior_sha256"]) == 64
    assert made["prior_sha256"] == json.loads((bench.prior / "prior.json").read_text())["sha256"]
    assert made["seeds"] == [[7, 8]] and made["config"]["options"] == {"zeta": 0.25} and made["config"]["undersample"] == {
        "kind": "uniform1d", "accel": 2.0, "acs": 16}
    assert made["input"]["name"] == "scan.h5" and len(made["input"]["fingerprint"]) == 64
    assert made["sampling"] == {"kind": "uniform1d", "acceleration": 2.0, "acquired": 1.0, "calibration": 17}
    assert len(made["levels"]) == 3 and made["levels"][-1] == 0


def test_no_patient(bench):
    data, images = kspace()
    scan = fastmri(bench / "scan.h5", data, reference=images, header=header((48, 40), (48, 40)))
    outcome = bench.recon(scan, "-o", bench / "out.h5", "--nifti", *HALF)
    assert outcome.code == 0
    told = bench.call("inspect", scan).out + bench.call("inspect", bench / "out.h5").out + outcome.out
    written = b"".join((bench / name).read_bytes() for name in ("out.h5", "out.png", "out.nii.gz"))
    assert b"SECRET" in scan.read_bytes() and b"SECRET" not in written and "SECRET" not in told


def test_rerun(bench, scan):
    words = (*HALF, "--samples", 2, "--keep-samples", "--method", "dds", "--options.cg_steps", 4, "--seed", 3)
    out = bench.restored(scan, *words, name="first.h5")
    for scan_again in ((), (scan,)):
        outcome = bench.call("recon", "--from", out, *scan_again, "-o", bench / "again.h5", "--overwrite",
                             "--maps-cache", bench / "cache", "--prior", bench.prior)
        assert (outcome.code, outcome.err) == (0, "")
        assert (bench / "again.h5").read_bytes() == out.read_bytes()
        assert (bench / "again.png").read_bytes() == (bench / "first.png").read_bytes()


def test_rerun_refuses_other_inputs(bench, scan):
    maps = bench / "maps.npy"
    data = array(scan, "kspace")
    np.save(maps, espirit(torch.from_numpy(data)).numpy())
    out = bench.restored(scan, "--maps", maps, name="first.h5")

    def refused(says, *words):
        outcome = bench.call("recon", "--from", out, "-o", bench / "again.h5", "--prior", bench.prior, *words)
        assert outcome.code == 2 and says in outcome.err and not (bench / "again.h5").exists(), outcome

    refused("--method, --steps would change that", "--steps", 9, "--method", "ddrm")
    np.save(maps, np.load(maps) * np.complex64(1j))
    refused("holds other coil maps")
    scan.rename(bench / "moved.h5")
    refused("give its present place as SCAN")
    data[0, 0, 0, 0] += 1
    fastmri(bench / "moved.h5", data)
    refused("is not the scan that", bench / "moved.h5")


def test_config_files(bench, scan):
    """YAML gives options, flags win wherever they stand, and what --print_config says can be fed back."""
    words = (*HALF, "--method", "dds", "--options.gamma", 4, "--options.cg_steps", 3, "--seed", 2, "--steps", 2, "--samples", 1)
    flags = bench.restored(scan, *words, name="flags.h5", quick=False)
    plan = bench / "plan.yaml"
    plan.write_text(yaml.safe_dump({
        "undersample": "uniform1d", "accel": 2, "acs": 16, "method": "dds", "options": {"gamma": 9, "cg_steps": 3}, "seed": 2,
        "steps": 7, "samples": 1, "slices": "0:1", "noise_std": 0.5,
    }))
    override = ("--steps", 2, "--options.gamma", 4, "--noise-std", "null", "--slices", "null")
    first = bench.restored("--config", plan, scan, *override, name="first.h5", quick=False)
    last = bench.restored(scan, *override, "--config", plan, name="last.h5", quick=False)
    for out in (first, last):
        np.testing.assert_array_equal(array(out), array(flags))
        assert read_provenance(out)["config"] == read_provenance(flags)["config"]
    with pytest.raises(SystemExit) as end:
        bench.call("recon", *words, "--print_config")
    assert end.value.code == 0
    plan.write_text(bench._capsys.readouterr().out)
    again = bench.restored(scan, "--config", plan, name="again.h5", quick=False)
    np.testing.assert_array_equal(array(again), array(flags))


def test_slices_are_independent(bench):
    data, _ = kspace(3)
    scan = fastmri(bench / "scan.h5", data)
    whole = array(bench.restored(scan, *HALF, name="whole.h5"))
    for text, expected in (("1:3", whole[1:]), ("2", whole[2:])):
        np.testing.assert_array_equal(array(bench.restored(scan, *HALF, "--slices", text, name=f"{text[0]}.h5")), expected)


def test_slices_together(bench):
    """Restored in one batch they are what they are alone, but for the rounding of a network's batch."""
    data, _ = kspace(3)
    scan = fastmri(bench / "scan.h5", data)
    alone = array(bench.restored(scan, *HALF, name="alone.h5"))
    outcome = bench.recon(scan, *HALF, "--together", 2, "-o", bench / "joint.h5")
    assert (outcome.code, outcome.err) == (0, "") and "2 slices in a batch" in outcome.out
    assert relative(array(bench / "joint.h5"), alone) < 0.01
    made = read_provenance(bench / "joint.h5")
    assert made["config"]["together"] == 2 and read_provenance(bench / "alone.h5")["config"]["together"] is None
    assert bench.call("recon", "--from", bench / "joint.h5", "-o", bench / "again.h5", "--maps-cache", "none",
                      "--prior", bench.prior).code == 0
    assert (bench / "again.h5").read_bytes() == (bench / "joint.h5").read_bytes()


def test_given_maps(bench, scan):
    """Maps from a file give what ESPIRiT gives, in every format."""
    found = array(bench.restored(scan, *HALF, name="found.h5"))
    mask = torch.from_numpy(array(bench / "found.h5", "mask"))
    maps = espirit(torch.from_numpy(array(scan, "kspace")) * mask, mask=mask).numpy()
    np.save(bench / "maps.npy", maps)
    with h5py.File(bench / "maps.h5", "w") as file:
        file["maps"] = maps
    maps[0].transpose(1, 2, 0).ravel("F").tofile(bench / "maps.cfl")
    (bench / "maps.hdr").write_text("# Dimensions\n48 40 1 4\n")
    for name in ("maps.npy", "maps.h5", "maps.cfl", "maps"):
        given = bench.recon(scan, *HALF, "--maps-cache", "none", "--maps", bench / name, "-o", bench / "given.h5", "--overwrite")
        assert (given.code, given.err) == (0, ""), name
        np.testing.assert_allclose(array(bench / "given.h5"), found, rtol=1e-4, atol=1e-4)


def test_a_cache_that_cannot_be_written_is_only_slower(bench, scan):
    bench.restored(scan, "--maps-cache", scan / "below a file")


def test_nifti(bench):
    data, _ = kspace(2)
    scan = fastmri(bench / "scan.h5", data, header=header((48, 40), (40, 36)))
    out = bench.restored(scan, "--nifti")
    image = nibabel.load(bench / "out.nii.gz")
    np.testing.assert_array_equal(image.get_fdata(), array(out, "reconstruction").transpose(1, 2, 0))
    assert image.header.get_zooms() == (1.0, 1.0, 5.0) and image.header["sform_code"] == 0


def test_starting_part_way_and_without_noise(bench, scan):
    made = read_provenance(bench.restored(scan, *HALF, "--start-sigma", 0.3, "--steps", 8))
    assert made["levels"][0] == 0.3 and len(made["levels"]) < 9
    outcome = bench.recon(scan, *HALF, "--noise-std", 0, "-o", bench / "exact.h5")
    made = read_provenance(bench / "exact.h5")
    assert outcome.code == 0 and "given, raised from 0 to " in outcome.out and made["noise_std"][0] > NOISE / 2


def test_resume_of_one_scan(bench, scan):
    out = bench.restored(scan, *HALF)
    before = out.read_bytes()
    assert "is complete already" in bench.recon(scan, *HALF, "-o", out, "--resume").out
    bench.restored(scan, *HALF, "--seed", 1, "--resume")
    assert out.read_bytes() != before
    bench.restored(scan, *HALF, "--resume")
    assert out.read_bytes() == before
    (bench / "out.png").unlink()
    bench.restored(scan, *HALF, "--resume")
    assert (bench / "out.png").exists() and out.read_bytes() == before


def test_a_damaged_output_is_made_again_and_inspect_says_so(bench, scan):
    words = (scan, *HALF, "--nifti", "-o", bench / "out.h5", "--resume")
    assert bench.recon(*words).code == 0
    whole = {name: (bench / name).read_bytes() for name in ("out.h5", "out.png", "out.nii.gz")}
    assert "as written" in bench.call("inspect", bench / "out.h5").out
    for name, part in (("out.h5", "reconstruction"), ("out.png", "out.png"), ("out.nii.gz", "out.nii.gz")):
        damaged = bytearray(whole[name])
        at = whole[name].find(array(bench / "out.h5", "reconstruction").tobytes()) if part == "reconstruction" else -20
        damaged[at + 7] ^= 1
        (bench / name).write_bytes(damaged)
        assert f"DAMAGED: {part}; make it again" in bench.call("inspect", bench / "out.h5").out
        outcome = bench.recon(*words)
        assert outcome.code == 0 and "is complete already" not in outcome.out
        assert {name: (bench / name).read_bytes() for name in whole} == whole


def test_what_an_output_tells_of_its_inputs(bench, scan):
    folder = bench / "DOE^JANE"
    folder.mkdir()
    scan.rename(folder / "JANE.h5")
    for number, (words, name, prior) in enumerate((
        ((), "JANE.h5", "tiny"), (("--anonymous",), "omitted", "omitted"),
        (("--keep-paths",), str(folder / "JANE.h5"), str(bench.prior)),
    )):
        out = bench.restored(folder / "JANE.h5", *HALF, *words, name=f"{number}.h5")
        made = read_provenance(out)
        assert (made["input"]["name"], made["config"]["prior"]) == (name, prior)
        written = out.read_bytes() + out.with_suffix(".png").read_bytes()
        assert (b"DOE" in written, b"JANE" in written) == ("/" in name, name != "omitted")
    outcome = bench.call("recon", "--from", bench / "1.h5", "-o", bench / "again.h5")
    assert outcome.code == 2 and "the scan, which" in outcome.err and "give its present place as SCAN" in outcome.err
    outcome = bench.call("recon", "--from", bench / "1.h5", folder / "JANE.h5", "-o", bench / "again.h5")
    assert outcome.code == 2 and "give its present place by --prior" in outcome.err
    outcome = bench.call("recon", "--from", bench / "1.h5", folder / "JANE.h5", "--prior", bench.prior, "--anonymous",
                         "-o", bench / "again.h5", "--maps-cache", bench / "cache")
    assert outcome.code == 0 and (bench / "again.h5").read_bytes() == (bench / "1.h5").read_bytes()
    again = bench.recon(folder / "JANE.h5", *HALF, "-o", bench / "0.h5", "--resume", "--anonymous")
    assert again.code == 0 and b"JANE" not in (bench / "0.h5").read_bytes()
    outcome = bench.recon(folder / "JANE.h5", "-o", bench / "x.h5", "--anonymous", "--keep-paths")
    assert outcome.code == 2 and "--keep-paths and --anonymous exclude each other; leave one out" in outcome.err
