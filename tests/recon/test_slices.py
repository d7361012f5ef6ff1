"""Slices that share a batch: each image as alone to rounding, one call of the prior for all, within the memory allowed."""

import threading
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gaussian_posterior import power
from helpers.scans import NOISE, SHAPE, array, fastmri, kspace
from torch import Tensor

from medrestore import jobs
from medrestore.codecs import CalibratedComplex
from medrestore.io import read_provenance
from medrestore.levels import karras
from medrestore.methods import DDS, DPS, HQS, DDNMPlus, Method
from medrestore.operators import Sense
from medrestore.priors import Prior, StationaryGaussian
from medrestore.recon import files
from medrestore.recon import volume as volumes
from medrestore.recon.data_step import exact_gb
from medrestore.recon.files import Job, recon_file
from medrestore.recon.plan import Machine, Plan, Undersampling, Writing
from medrestore.recon.slices import slice_names

SLICES = 5
HALF = Undersampling("uniform1d", 2, 16)
PLANE = Undersampling("poisson2d", 2, 12)
EXACT = exact_gb(Sense(torch.zeros(1, 4, *SHAPE, dtype=torch.complex64), torch.ones(1, SHAPE[1])))  # GiB of a slice


class OneByOne(Prior):
    """A Gaussian whose estimate of an image has the same bits in any batch; remembers each call's images and noise level."""

    channels, sigma_range, recipe = 2, (0.01, 40.0), CalibratedComplex()

    def __init__(self, most: int = 10**9) -> None:
        self.gaussian, self.most, self.seen = StationaryGaussian(power(*SHAPE), channels=2), most, []

    @property
    def sizes(self) -> list[int]:
        """Images of each call but the one that is timed before sampling."""
        return self.seen[1:]

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        self.seen.append(len(x))
        if len(x) > self.most:
            raise torch.OutOfMemoryError("out of memory")
        return torch.cat([self.gaussian(image[None], sigma) for image in x])


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    """A scan whose slices differ in image, coil maps and noise."""
    data, images = kspace(SLICES)
    noise = np.random.default_rng(0).standard_normal((2, *data.shape)).astype(np.float32)
    return fastmri(tmp_path / "scan.h5", data + 9 * NOISE * np.arange(SLICES).reshape(-1, 1, 1, 1) * (noise[0] + 1j * noise[1]),
                   reference=images)


def plan(method: Method, **changes: Any) -> Plan:
    return replace(Plan(method=method, steps=4, undersample=HALF), **changes)


def restored(volume: Path, prior: Prior, plan: Plan, **options: Any) -> dict[str, Any]:
    """The arrays of an output and its provenance."""
    out = volume.with_name("out.h5")
    plan = replace(plan, keep_samples=True, slices=options.pop("slices", None))
    machine = Machine(options.pop("device", "cpu"))
    recon_file(volume, out, Job(plan, prior, machine=machine, writing=Writing(overwrite=True), **options))
    assert out.with_suffix(".png").exists()
    names = ("reconstruction_complex", *(("std", "samples") if plan.samples > 1 else ()))
    return {"made": read_provenance(out)} | {name: array(out, name) for name in names}


def same(a: dict[str, Any], b: dict[str, Any], tolerance: float = 1e-4) -> None:
    """Two outputs are equal to rounding: of float32 through a few steps, or of what iterations leave."""
    assert a.keys() == b.keys()
    for name in a.keys() - {"made"}:
        np.testing.assert_allclose(a[name], b[name], rtol=0, atol=tolerance * np.abs(b[name]).max(), err_msg=name)
    mine, others = a["made"], b["made"]
    assert mine["config"] | {"together": None} == others["config"] | {"together": None}
    for name in mine.keys() - {"misfit", "scores", "config", "config_hash"}:
        assert mine[name] == others[name], name
    np.testing.assert_allclose(mine["misfit"], others["misfit"], rtol=1e-3)


@pytest.mark.parametrize(("method", "changes"), [
    (HQS(), {}), (HQS(), {"start_sigma": 0.5}), (HQS(), {"undersample": PLANE, "map_sets": 1}), (DDS(), {"samples": 2}),
    (DDNMPlus(), {}),
    (DDS(gamma=5.0), {"samples": 3, "batch_size": 2}), (DPS(), {}),
], ids=str)
def test_every_slice_is_as_alone(volume: Path, method: Method, changes: dict[str, Any]) -> None:
    one, joint, samples, batch_size = OneByOne(), OneByOne(), changes.get("samples", 1), changes.get("batch_size", 8)
    alone = restored(volume, one, plan(method, together=1, **changes))
    same(restored(volume, joint, plan(method, together=3, **changes)), alone)
    noise = alone["made"]["noise_std"]
    assert len(set(noise)) == SLICES and max(noise) > 2 * min(noise)
    assert sum(joint.sizes) == sum(one.sizes)
    calls = (len(alone["made"]["levels"]) - 1) * SLICES
    assert len(one.sizes) == calls * -(-samples // batch_size)
    groups = [3 * samples, 2 * samples]  # three slices and two
    assert sorted(set(joint.sizes)) == sorted({size for images in groups for size in split(images, 3 * min(samples, batch_size),
                                                                                           images // samples)})


def split(images: int, most: int, slices: int) -> list[int]:
    """The batches of a group."""
    most = most * slices // 3
    return [min(most, images - at) for at in range(0, images, most)]


@pytest.mark.parametrize(("changes", "device", "sizes"), [
    ({}, "cpu", {1}), ({}, "gpu", {SLICES}), ({"batch_size": 4}, "gpu", {4, 1}),
    ({"batch_size": 4, "together": 2}, "gpu", {2, 1}),
    ({"samples": 3}, "gpu", {6, 3}), ({"samples": 9}, "gpu", {8, 1}), ({"samples": 3, "together": 2}, "cpu", {6, 3}),
    ({"together": 99}, "cpu", {SLICES}), ({"together": 4, "spectral_gb": 2.5 * EXACT}, "cpu", {2, 1}),
    ({"together": 4, "spectral_gb": 1e6}, "cpu", {4, 1}), ({"together": 4, "spectral_gb": EXACT}, "cpu", {1}),
    ({"together": 4, "spectral_gb": 0.5 * EXACT}, "cpu", {4, 1}),  # no exact form, and so nothing that grows
])
def test_how_many(volume: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], device: str, sizes: set[int]) -> None:
    """A GPU is filled, a CPU saves memory; the exact forms of a group share what one slice may take."""
    prior, real = OneByOne(), volumes.prepare
    monkeypatch.setattr(volumes, "prepare", lambda *given, **options: real(*given, **options | {"device": "cpu"}))
    monkeypatch.setattr(files, "_seconds_a_call", lambda ready, job, at_once: prior.seen.append(0) or 1.0)
    restored(volume, prior, plan(DDS(gamma=5.0), **{"steps": 9, **changes}), device=device)  # enough for an exact form
    assert set(prior.sizes) == sizes


def test_the_time_is_that_of_joint_calls(volume: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told, prior = [], OneByOne()
    clock = iter(range(0, 10**6, 60))  # of which a call takes a minute
    monkeypatch.setattr(jobs.time, "monotonic", lambda: float(next(clock)))
    restored(volume, prior, plan(DDS(), samples=2, together=2), say=told.append)
    assert prior.seen[0] == 4 and prior.sizes == [4] * 8 + [2] * 4
    assert "4 steps, 2 slices in a batch, data steps by" in told[0] and told[0].endswith("about 12 min")  # 3 groups of 4 calls


def test_progress_ends_where_it_should(volume: Path) -> None:
    bars = []

    def progress(label: str, total: int) -> Any:
        bars.append([total, 0])

        def advance() -> None:
            bars[-1][1] += 1

        return advance

    restored(volume, OneByOne(), plan(HQS(), together=2), progress=progress)
    assert bars == [[4 * SLICES, 4 * SLICES]]


def test_memory_that_runs_out_is_only_slower(volume: Path) -> None:
    """Also where it does so in the call that is timed before sampling."""
    alone, short = restored(volume, OneByOne(), plan(DDS(), samples=2)), OneByOne(most=3)
    same(restored(volume, short, plan(DDS(), samples=2, together=3)), alone)
    assert short.seen[:3] == [6, 3, 3]  # timed
    assert short.sizes[2:] == [6, *[3] * 8, 4, *[2] * 8]  # a group of three slices, and one of two


@pytest.mark.parametrize("device", ["cpu", "gpu"])
def test_two_groups_are_held_at_most(volume: Path, monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    """On a CPU the group before is gone when one is made; on a GPU the next is made in a thread meanwhile."""
    held: list[weakref.ref[Any]] = []
    alive, elsewhere = [], []

    def prepare(*given: Any, **options: Any) -> Any:
        alive.append(sum(one() is not None for one in held))
        elsewhere.append(threading.current_thread() is not threading.main_thread())
        ready = real(*given, **options | {"device": "cpu"})
        held.append(weakref.ref(ready.problem.operator))
        return ready

    real = volumes.prepare
    monkeypatch.setattr(volumes, "prepare", prepare)
    monkeypatch.setattr(files, "_seconds_a_call", lambda ready, job, at_once: 1.0)
    restored(volume, OneByOne(), plan(DDS(), together=2), device=device)
    if device == "cpu":
        assert alive == [0, 1, 0, 1, 0] and not any(elsewhere)
    else:
        assert max(alive) < 4 and elsewhere == [False] + [True] * 4


def test_a_slice_that_fails_fails_the_scan(volume: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def restore_slices(group: Any, *given: Any, numbers: list[int], **options: Any) -> Any:
        if numbers[0] == 3:
            raise ZeroDivisionError("what a day")
        return real(group, *given, numbers=numbers, **options)

    real, threads = volumes.restore_slices, set(threading.enumerate())
    monkeypatch.setattr(volumes, "restore_slices", restore_slices)
    with pytest.raises(ZeroDivisionError, match="what a day"):
        restored(volume, OneByOne(), plan(HQS(), together=3))
    started = [thread for thread in set(threading.enumerate()) - threads if not thread.daemon]
    for thread in started:  # those of a pool end with the work that they are at
        thread.join(10)
    assert not any(thread.is_alive() for thread in started) and not volume.with_name("out.h5").exists()


def test_slices_of_a_range_and_its_middle(volume: Path) -> None:
    part = replace(plan(HQS()), together=2)
    alone = restored(volume, OneByOne(), plan(HQS()), slices=(1, 4))
    same(restored(volume, OneByOne(), part, slices=(1, 4)), alone)
    assert alone["made"]["levels"] == karras(4, 5.0, 0.01) and [seeds[0] for seeds in alone["made"]["seeds"]] == [
        100_000, 200_000, 300_000]


def test_slices_and_frames_in_words() -> None:
    assert slice_names([3]) == "slice 3" and slice_names([0, 3]) == "slices 0, 3"
    assert slice_names([4], 3) == "slice 1 frame 1"
    assert slice_names([1, 3, 5], 2) == "slice 0 frame 1, slice 1 frame 1, slice 2 frame 1"
