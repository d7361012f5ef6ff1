"""Folders of scans: killed and resumed, with a broken scan among them, several runs at once."""

import os
import signal
import subprocess
import sys
import time
import weakref

import numpy as np
import pytest
from helpers.scans import array, fastmri, kspace

from medrestore.files import unfinished
from medrestore.io import read_provenance
from medrestore.recon import files, volume
from medrestore.recon.plan import Machine, Plan, Undersampling

HALF = ("--undersample", "uniform1d", "--accel", "2", "--acs", "14")


@pytest.mark.parametrize(("misfit", "noisy", "says"), [
    (0.8, True, "0.80 (1 = the data are explained to their noise; so far below 1 their noise is in the image)"),
    (0.95, True, "0.95 (1 = the data are explained to their noise)"),
    (1.87, True, "1.87 (1 = the data are explained to their noise; so far above 1 the image does not explain them)"),
    (0.0123, False, "0.012 of |data|"),
])
def test_the_misfit_in_words(misfit, noisy, says):
    assert files._explained(misfit, noisy=noisy) == says


def three_scans(bench):
    folder = bench / "scans"
    folder.mkdir()
    for seed, name in enumerate("abc"):
        data, images = kspace(1 + (name == "b"), seed=seed)
        fastmri(folder / f"{name}.h5", data, reference=images)
    return folder


def outputs(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name != "summary.csv"}


def start(bench, *words):
    """The same command in a process of its own."""
    command = [sys.executable, "-m", "medrestore", "recon", "--prior", bench.prior, "--maps-cache", bench / "cache",
               "--steps", 2, "--samples", 1, "--method", "diffpir", *words]
    return subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_killed_and_resumed(bench):
    folder, out = three_scans(bench), bench / "images"
    process = start(bench, folder, "-o", out, *HALF)
    deadline = time.monotonic() + 60
    while not unfinished(out / "b.h5") and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert [name for name in sorted(path.name for path in out.iterdir()) if not name.startswith(".b.h5.")] == ["a.h5", "a.png"]
    first = os.stat(out / "a.h5").st_mtime_ns
    outcome = bench.recon(folder, "-o", out, *HALF, "--resume")
    assert (outcome.code, outcome.err) == (0, "") and "2 of 3 scans to do" in outcome.out
    assert os.stat(out / "a.h5").st_mtime_ns == first
    assert bench.recon(folder, "-o", bench / "unbroken", *HALF).code == 0
    assert sorted(outputs(out)) == ["a.h5", "a.png", "b.h5", "b.png", "c.h5", "c.png"]
    assert outputs(out) == outputs(bench / "unbroken")


@pytest.mark.slow
def test_resume_redoes_what_differs(bench):
    folder, out = three_scans(bench), bench / "images"
    assert bench.recon(folder, "-o", out, *HALF).code == 0
    whole = outputs(out)
    assert bench.recon(folder, "-o", out, *HALF).code == 2
    assert "0 of 3 scans to do" in bench.recon(folder, "-o", out, *HALF, "--resume").out
    for name in ("a.h5", "a.png", "b.png"):
        (out / name).unlink()
    assert "2 of 3 scans to do" in bench.recon(folder, "-o", out, *HALF, "--resume").out
    assert outputs(out) == whole
    data = array(folder / "c.h5", "kspace")
    data[0, 0, 5, 5] += 1
    fastmri(folder / "c.h5", data)
    assert "1 of 3 scans to do" in bench.recon(folder, "-o", out, *HALF, "--resume").out
    for change in (("--seed", 4), ("--keep-samples",), ("--options.zeta", 0.1)):
        assert "3 of 3 scans to do" in bench.recon(folder, "-o", out, *HALF, *change, "--resume").out
        assert "0 of 3 scans to do" in bench.recon(folder, "-o", out, *HALF, *change, "--resume").out
    assert read_provenance(out / "a.h5")["config"]["options"] == {"zeta": 0.1}


def test_resume_never_replaces_what_is_not_ours(bench):
    folder, out = three_scans(bench), bench / "images"
    out.mkdir()
    for name in ("a.h5", "b.png"):
        (out / name).write_bytes(b"precious")
    outcome = bench.recon(folder, "-o", out, "--resume")
    assert outcome.code == 1 and outcome.out.count("is no output of recon; pass --overwrite") == 2
    assert (out / "a.h5").read_bytes() == (out / "b.png").read_bytes() == b"precious"
    assert sorted(outputs(out)) == ["a.h5", "b.png", "c.h5", "c.png"]
    assert bench.recon(folder, "-o", out, "--overwrite").code == 0
    assert read_provenance(out / "a.h5") and len(outputs(out)) == 6


def test_one_broken_scan(bench):
    folder, out = three_scans(bench), bench / "images"
    (folder / "b.h5").write_bytes((folder / "b.h5").read_bytes()[:3000])
    outcome = bench.recon(folder, "-o", out)
    assert outcome.code == 1 and sorted(outputs(out)) == ["a.h5", "a.png", "c.h5", "c.png"]
    assert outcome.err == "medrestore recon: error: 1 scans failed: b.h5\n"
    (line,) = [line for line in outcome.out.splitlines() if line.startswith("failed: ")]
    assert str(folder / "b.h5") in line and "copy it again" in line


def test_a_mistake_of_the_program_costs_one_scan(bench, monkeypatch):
    def moody(*arguments, **options):
        calls.append(arguments)
        if len(calls) == 1:
            raise ZeroDivisionError("what a day")
        return reconstruct(*arguments, **options)

    folder, reconstruct, calls = three_scans(bench), volume.restore_slices, []
    monkeypatch.setattr(volume, "restore_slices", moody)
    outcome = bench.recon(folder, "-o", bench / "images")
    assert outcome.code == 1 and "a.h5: ZeroDivisionError: what a day; do it alone to see more" in outcome.out
    assert sorted(outputs(bench / "images")) == ["b.h5", "b.png", "c.h5", "c.png"]


@pytest.mark.slow
def test_two_runs_share_a_folder(bench):
    """Two processes at once, with one cache of coil maps: each output is made once, and is right."""
    folder, out = three_scans(bench), bench / "images"
    runs = [start(bench, folder, "-o", out, *HALF, "--resume") for _ in range(2)]
    told = [run.communicate(timeout=100) for run in runs]
    assert [run.returncode for run in runs] == [0, 0] and [err for _, err in told] == ["", ""], told
    assert bench.recon(folder, "-o", out, *HALF, "--resume").code == 0
    assert bench.recon(folder, "-o", bench / "alone", *HALF, "--maps-cache", "none").code == 0
    assert outputs(out) == outputs(bench / "alone")
    assert all(path.suffix == ".npy" for path in (bench / "cache").iterdir())


def test_pairs_and_stems(bench):
    folder = bench / "scans"
    folder.mkdir()
    data, _ = kspace()
    data[0].transpose(1, 2, 0).ravel("F").tofile(folder / "a.cfl")
    (folder / "a.hdr").write_text("# Dimensions\n48 40 1 4\n")
    np.save(folder / "b.npy", data[0])
    (folder / "._b.npy").write_bytes(b"left by a Mac")
    (folder / "notes.txt").write_text("no scan")
    outcome = bench.recon(folder, "-o", bench / "images", *HALF)
    assert (outcome.code, outcome.err) == (0, "") and "2 of 2 scans to do" in outcome.out
    assert sorted(outputs(bench / "images")) == ["a.h5", "a.png", "b.h5", "b.png"]
    np.testing.assert_array_equal(array(bench / "images" / "a.h5"), array(bench / "images" / "b.h5"))
    single = bench.restored(folder / "a", *HALF)
    assert read_provenance(single)["input"]["fingerprint"] == read_provenance(bench / "images/a.h5")["input"]["fingerprint"]
    assert bench.call("recon", "--from", single, folder / "a", "-o", bench / "again.h5", "--maps-cache", "none",
                      "--prior", bench.prior).code == 0
    assert (bench / "again.h5").read_bytes() == single.read_bytes()
    (folder / "a.hdr").write_text("# Dimensions\n40 48 1 4\n")
    assert "1 of 2 scans to do" in bench.recon(folder, "-o", bench / "images", *HALF, "--resume").out
    fastmri(folder / "b.h5", data)
    before = outputs(bench / "images")
    outcome = bench.recon(folder, "-o", bench / "images", *HALF, "--overwrite")
    assert outcome.code == 2 and "would both become b.h5; rename one" in outcome.err
    assert outputs(bench / "images") == before


@pytest.mark.parametrize("place", ["file", "part"])
def test_folders_that_are_in_the_way(bench, place):
    folder = three_scans(bench)
    if place == "file":
        (bench / "images").write_text("hello")
        outcome = bench.recon(folder, "-o", bench / "images")
        assert outcome.code == 2 and "needs a folder for its images" in outcome.err
    else:
        (bench / "images").mkdir()
        (bench / "images" / "a.h5.part").write_text("hello")
        (bench / "images" / ".a.h5.lock").mkdir()  # where the lock goes
        outcome = bench.recon(folder, "-o", bench / "images", *HALF)
        assert outcome.code == 1 and "a.h5 cannot be written (Is a directory)" in outcome.out
        (bench / "images" / ".a.h5.lock").rmdir()
        assert outputs(bench / "images").pop("a.h5.part") == b"hello" and len(outputs(bench / "images")) == 5


def test_a_scan_that_can_no_longer_be_read_is_a_failure_of_its_own(bench, monkeypatch):
    folder, out = three_scans(bench), bench / "images"
    assert bench.recon(folder, "-o", out, *HALF).code == 0
    before = outputs(out)

    def fingerprint(path):
        if path.name == "b.h5":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    real = files.fingerprint
    monkeypatch.setattr(files, "fingerprint", fingerprint)
    outcome = bench.recon(folder, "-o", out, *HALF, "--resume")
    assert outcome.code == 1 and "1 of 3 scans to do" in outcome.out and "1 scans failed: b.h5" in outcome.err
    assert outputs(out) == before


def test_one_slice_is_held_at_a_time(bench, monkeypatch):
    """When a slice is made ready, the one before is gone, with its exact data step."""
    held, alive = [], []

    def prepare(*arguments, **options):
        alive.append(sum(one() is not None for one in held))
        ready = real(*arguments, **options)
        held.append(weakref.ref(ready.problem.operator))
        return ready

    real = volume.prepare
    monkeypatch.setattr(volume, "prepare", prepare)
    data, images = kspace(4)
    bench.restored(fastmri(bench / "scan.h5", data, reference=images), *HALF, "--check-fit", "false")
    assert alive == [0, 0, 0, 0]


def test_what_was_left_out_is_said_and_stored(bench):
    data = np.stack([kspace(seed=seed)[0][0] for seed in (0, 1)])  # two repetitions of one slice
    np.save(bench / "scan.npy", data)
    outcome = bench.recon(bench / "scan.npy", "-o", bench / "a.h5", "--axes", "repetition,coil,row,col")
    assert outcome.code == 0, outcome.err
    assert "note: 2 repetitions are averaged; set --select.repetition to read one, or --separate to read each." in outcome.out
    averaged, wrapped = read_provenance(bench / "a.h5")["notes"]  # two phantoms of different coils look like two places
    assert averaged == "2 repetitions are averaged; set `select.repetition` to read one, or `separate` to read each."
    assert wrapped.startswith("Two sets of coil maps: ")
    for words in (("--select", "repetition=1"), ("--select.repetition", "1")):  # the advice, followed
        chosen = bench.recon(bench / "scan.npy", "-o", bench / "b.h5", "--axes", "repetition,coil,row,col", *words, "--overwrite")
        assert chosen.code == 0 and "note: Of 2 repetitions only repetition 1 is read, as selected." in chosen.out
    np.save(bench / "one.npy", data[1])
    assert bench.recon(bench / "one.npy", "-o", bench / "c.h5").code == 0
    assert np.array_equal(array(bench / "b.h5", "reconstruction"), array(bench / "c.h5", "reconstruction"))
    wrong = bench.recon(bench / "scan.npy", "-o", bench / "d.h5", "--axes", "repetition,coil,row,col", "--select", "repetition=2")
    assert wrong.code == 2 and "--select.repetition may be 0 to 1" in wrong.err and not (bench / "d.h5").exists()


def test_implausible_data_are_refused_with_options_that_help(bench):
    data = kspace()[0][0]
    np.save(bench / "u.npy", np.fft.ifftshift(data, axes=(-2, -1)))
    refused = bench.recon(bench / "u.npy", "-o", bench / "u.h5")
    assert refused.code == 2 and "pass --uncentred, or pass --implausible" in refused.err and not (bench / "u.h5").exists()
    assert bench.recon(bench / "u.npy", "-o", bench / "u.h5", "--uncentred").code == 0
    np.save(bench / "c.npy", data)
    assert bench.recon(bench / "c.npy", "-o", bench / "c.h5").code == 0
    assert np.array_equal(array(bench / "u.h5", "reconstruction"), array(bench / "c.h5", "reconstruction"))
    assert bench.recon(bench / "u.npy", "-o", bench / "i.h5", "--implausible", "--noise-std", "0.01").code == 0
    np.save(bench / "m.npy", np.abs(data))
    magnitudes = bench.recon(bench / "m.npy", "-o", bench / "m.h5")
    assert magnitudes.code == 2 and "holds float32, and k-space is complex" in magnitudes.err and "--axes" in magnitudes.err


def test_the_first_slice_written_lies_where_it_lies_in_the_whole(bench):
    nibabel = pytest.importorskip("nibabel")
    from helpers.mrd import COLUMNS, ROWS, write

    data = kspace(3, shape=(2 * ROWS, COLUMNS), coils=3)[0]

    def fill(writer):
        for counter, place in enumerate((0, 2, 1)):
            writer.origin = type(writer).origin + 7.0 * (place - counter) * writer.normal
            writer.image(data[place].astype(np.complex64), slice=counter)

    write(bench / "scan.mrd", fill)
    common = ("--nifti", "--noise-std", "0.01", "--maps", bench / "maps.npy")
    np.save(bench / "maps.npy", np.ones((3, 3, ROWS, COLUMNS), np.complex64))
    whole = bench.recon(bench / "scan.mrd", "-o", bench / "whole.h5", *common)
    assert whole.code == 0 and "the order of their positions" in whole.out, whole.err
    assert bench.recon(bench / "scan.mrd", "-o", bench / "part.h5", "--slices", "1:3", *common).code == 0
    all_of_it, part = (nibabel.load(bench / f"{name}.nii.gz") for name in ("whole", "part"))
    np.testing.assert_allclose(part.affine @ [0, 0, 0, 1], all_of_it.affine @ [0, 0, 1, 1], atol=1e-4)
    assert all_of_it.header.get_zooms()[2] == pytest.approx(7)



def test_notes_of_later_slices_name_them(bench):
    data = kspace(3)[0]
    data[1, 2] = 0  # a coil that is dead in one slice
    np.save(bench / "scan.npy", data)
    outcome = bench.recon(bench / "scan.npy", "-o", bench / "a.h5")
    said = "slice 1: No signal or no noise comes from coil 2 (counted from 0), left out."
    assert outcome.code == 0 and f"note: {said}" in outcome.out
    assert read_provenance(bench / "a.h5")["notes"] == [said]


def test_whoever_looks_on_is_shown_each_slice(bench):
    data, images = kspace(2)
    source, shown = fastmri(bench / "scan.h5", data, reference=images), []
    plan = Plan("diffpir", steps=2, samples=2, prior=str(bench.prior), undersample=Undersampling("uniform1d", 2, 14))
    job = files.Job.load(plan, Machine(), show=lambda number, views: shown.append((number, views)))
    files.recon_file(source, bench / "out.h5", job)
    assert [number for number, _ in shown] == [0, 1]
    assert list(shown[1][1]) == ["zero-filled", "restored", "spread", "reference"]
    np.testing.assert_array_equal(shown[1][1]["restored"], array(bench / "out.h5", "reconstruction")[1])
    np.testing.assert_array_equal(shown[1][1]["spread"], array(bench / "out.h5", "std")[1])
    np.testing.assert_allclose(shown[0][1]["reference"], images[0], rtol=1e-5)
    assert not np.array_equal(shown[0][1]["zero-filled"], shown[1][1]["zero-filled"])
