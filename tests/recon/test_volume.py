"""A volume slice by slice: what is done stays, what holds nothing is empty, what cannot be served costs no other slice."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.scans import array, fastmri, kspace
from torch import Tensor

from medrestore.codecs import CalibratedComplex
from medrestore.errors import InputError
from medrestore.io import read_provenance
from medrestore.priors import Prior
from medrestore.recon import files
from medrestore.recon import volume as module
from medrestore.recon.files import Job, recon_file
from medrestore.recon.plan import Plan, Writing

PLAN = Plan("diffpir", steps=2, noise_std=0.01)
SLICES, CALLS = 5, 2  # calls of the network a slice
SHAPE = (24, 20)


class Counting(Prior):
    """The posterior mean under N(0, 1); counts its calls, and ends the run at one of them."""

    channels, sigma_range, recipe = 2, (0.01, 40.0), CalibratedComplex()

    def __init__(self, stop_at: int = 0, error: BaseException | None = None) -> None:
        self.calls, self.stop_at, self.error = 0, stop_at, error

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        self.calls += 1
        if self.calls == self.stop_at and self.error is not None:
            raise self.error
        return x / (1 + sigma**2)


def job(prior: Prior, said: list[str] | None = None, plan: Plan = PLAN, **writing: bool) -> Job:
    lines = [] if said is None else said
    return Job(plan, prior, {"sha256": "weights"}, writing=Writing(**writing), say=lines.append)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No call that is timed, no maps that are estimated, no figure but the bytes of its images."""
    monkeypatch.setattr(files, "_seconds_a_call", lambda ready, job, at_once: 1.0)
    monkeypatch.setattr("medrestore.recon.maps.espirit", lambda kspace, **options: torch.ones_like(kspace))
    monkeypatch.setattr(files, "panel", lambda columns, path, title: path.write_bytes(
        b"".join(column.image.numpy().tobytes() for column in columns)))


def measured(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    return kspace(SLICES, shape=SHAPE, coils=2, seed=seed)


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    np.save(tmp_path / "scan.npy", measured()[0])
    return tmp_path / "scan.npy"


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("scan"))


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(5, "Input/output error"), InputError("no more")])
def test_slices_that_are_done_are_not_done_again(scan: Path, tmp_path: Path, error: BaseException) -> None:
    """Ctrl-C at slice 3 of 5."""
    said: list[str] = []
    recon_file(scan, tmp_path / "whole.h5", job(Counting()))
    with pytest.raises(type(error)):
        recon_file(scan, tmp_path / "out.h5", job(Counting(2 * CALLS + 1, error), said))
    assert said[-1] == "out.h5: 2 of 5 slices are stored; the same command goes on from there"
    assert not (tmp_path / "out.h5").exists()
    again = Counting()
    recon_file(scan, tmp_path / "out.h5", job(again, resume=True))
    assert again.calls == 3 * CALLS and left(tmp_path) == ["out.h5", "out.png", "whole.h5", "whole.png"]
    for suffix in (".h5", ".png"):
        assert (tmp_path / f"out{suffix}").read_bytes() == (tmp_path / f"whole{suffix}").read_bytes()


@pytest.mark.parametrize(("changes", "calls"), [
    ({}, 6), ({"overwrite": True}, 10), ({"seed": 1}, 10), ({"slices": (0, 4)}, 4), ({"steps": 3}, 15), ({"prior": "other"}, 6),
])
def test_what_is_taken_up(scan: Path, tmp_path: Path, changes: dict[str, Any], calls: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        recon_file(scan, tmp_path / "out.h5", job(Counting(2 * CALLS + 1, KeyboardInterrupt())))
    again = Counting()
    overwrite = changes.pop("overwrite", False)
    recon_file(scan, tmp_path / "out.h5", job(again, plan=replace(PLAN, **changes), overwrite=overwrite))
    assert again.calls == calls and left(tmp_path) == ["out.h5", "out.png"]


@pytest.mark.parametrize("empty", [0, 2, 4])
def test_a_slice_that_holds_nothing_is_an_empty_image(tmp_path: Path, empty: int) -> None:
    data, images = measured()
    said: list[str] = []
    for name, factor in (("full", 1), ("scan", 0)):
        data[empty] *= factor
        images[empty] *= factor
        recon_file(fastmri(tmp_path / f"{name}.h5", data, reference=images), tmp_path / f"{name}.out.h5", job(Counting(), said))
    assert f"scan.h5: nothing was measured in slice {empty}; the image is zero there" in said
    full, scan = array(tmp_path / "full.out.h5"), array(tmp_path / "scan.out.h5")
    assert not scan[empty].any() and full[empty].any()
    others = [index for index in range(SLICES) if index != empty]
    np.testing.assert_array_equal(scan[others], full[others])
    made = read_provenance(tmp_path / "scan.out.h5")
    assert made["misfit"][empty] is None and made["seeds"][empty] == [] and made["scores"]["mean"]["psnr"] > 10


def test_a_scan_of_zeros_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "scan.npy", np.zeros((2, 4, 24, 20), np.complex64))
    with pytest.raises(InputError, match=r"scan\.npy: the k-space is zero everywhere"):
        recon_file(tmp_path / "scan.npy", tmp_path / "out.h5", job(Counting()))
    assert left(tmp_path) == []


def test_a_slice_that_cannot_be_served_costs_no_other(scan: Path, tmp_path: Path) -> None:
    data = np.load(scan)
    good = data[3].copy()
    data[3, 0, 7, 7] = np.nan
    np.save(scan, data)
    first = Counting()
    with pytest.raises(InputError, match=r"scan\.npy: slice 3 cannot be restored .*NaN.*those that are stored stay"):
        recon_file(scan, tmp_path / "out.h5", job(first))
    assert first.calls == 4 * CALLS and not (tmp_path / "out.h5").exists()
    data[3] = good
    np.save(scan, data)
    again = Counting()
    recon_file(scan, tmp_path / "out.h5", job(again))
    assert again.calls == CALLS and left(tmp_path) == ["out.h5", "out.png"]


def test_a_scan_that_is_changed_while_it_is_read(scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No image of two scans: the data that were read before are not those of the file any more."""
    other = measured(seed=1)[0]
    real, seen = module.restore_slices, []

    def restore_slices(*given: Any, **options: Any) -> Any:
        seen.append(options["numbers"])
        if len(seen) == 3:
            np.save(scan, other)
        return real(*given, **options)

    monkeypatch.setattr(module, "restore_slices", restore_slices)
    with pytest.raises(InputError, match=r"scan\.npy was changed while it was read; run again"):
        recon_file(scan, tmp_path / "out.h5", job(Counting()))
    assert not (tmp_path / "out.h5").exists()
    again = Counting()
    recon_file(scan, tmp_path / "out.h5", job(again))
    assert again.calls == 3 * CALLS  # the last two were of the new scan
    recon_file(scan, tmp_path / "whole.h5", job(Counting()))
    assert (tmp_path / "out.h5").read_bytes() == (tmp_path / "whole.h5").read_bytes()


def test_nothing_unknown_is_taken_up(scan: Path, tmp_path: Path) -> None:
    """A prior that was loaded from no file cannot be told from another."""
    with pytest.raises(KeyboardInterrupt):
        recon_file(scan, tmp_path / "out.h5", Job(PLAN, Counting(2 * CALLS + 1, KeyboardInterrupt())))
    again = Counting()
    recon_file(scan, tmp_path / "out.h5", Job(PLAN, again))
    assert again.calls == SLICES * CALLS
