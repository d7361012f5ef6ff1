"""Advice on scans, followed: the field that a sentence names is set as it says, and the image comes out."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.advice import advice, advised, follows, works
from helpers.phantom import head_and_maps
from helpers.scans import SHAPE, Bench, fastmri, kspace

import medrestore as mr
from medrestore import priors
from medrestore.mri import espirit, pipe_menon, radial, voronoi
from medrestore.operators import NonCartesianSense
from medrestore.recon import Job, recon_file
from medrestore.recon.plan import Plan

LINES = np.zeros(SHAPE[1], np.float32)
LINES[::2] = 1
LINES[13:27] = 1
OFF_CENTRE = np.ones(SHAPE[1], np.float32)
OFF_CENTRE[16:24] = 0
DATA = kspace()[0][0]
MAPS = head_and_maps(SHAPE, 4, 0)[1][0]
MAPS = (MAPS / MAPS.abs().square().sum(0).sqrt()).numpy()
SCATTERED = np.random.default_rng(0).random(SHAPE) < 0.5
PLAN: dict[str, Any] = {"steps": 2, "noise_std": 0.01}
CASES: dict[str, tuple[np.ndarray, dict[str, Any], str, dict[str, Any]]] = {  # k-space, what is given, the sentence, the way out
    "no calibration lines": (DATA * OFF_CENTRE, {"mask": OFF_CENTRE}, "give coil maps by `maps`", {"maps": MAPS}),
    "one coil, several sets": (DATA[:1], {"map_sets": 2, "maps": None}, "leave `map_sets` out", {"map_sets": 1}),
    "a noise scan that is too short": (
        DATA,
        {"noise": np.ones((4, 2), np.complex64), "noise_std": None},
        "leave it out by `noise_scan` false|leave the noise scan out by `noise_scan` false",
        {"noise_scan": False},
    ),
    "the exact spectrum of scattered samples": (
        DATA * SCATTERED,
        {"mask": SCATTERED, "method": "ddrm", "maps": MAPS},
        "hqs.* would do",
        {"method": "hqs"},
    ),
    "data taken as free of noise": (
        DATA * LINES,
        {"method": "ddnm"},
        "take a `method` that knows the noise: .*dds",
        {"method": "dds"},
    ),
    "samples of a mean": (
        DATA * LINES,
        {"method": "hqs", "samples": 2},
        "take a `method` that draws them, such as dds",
        {"method": "dds"},
    ),
    "a prior of pictures": (DATA * LINES, {"prior": "surgical-starter"}, "give another `prior`", {"prior": None}),
    "an option of reading": (DATA * LINES, {"slices": (0, 1)}, "select from the arrays", {"slices": None}),
    "magnitudes": (np.abs(DATA), {}, "make one complex array of them", {"kspace": DATA}),
    "a mask without a sample": (DATA * LINES, {"mask": 0 * LINES}, "give 1 where a sample was taken", {"mask": LINES}),
    "uncentred": (np.fft.ifftshift(DATA, axes=(-2, -1)), {}, "pass `uncentred`", {"uncentred": True}),
}


@follows(
    "give coil maps by `maps`",
    "`maps`",
    "leave `map_sets` out",
    "`map_sets`",
    "`noise_scan` false",
    "`noise_scan`",
    "would do",
    "take a `method`",
    "leave one out",
    "give another `prior`",
    "`prior`",
    "select from the array",
    "make one complex array",
    "give 1 where a sample was taken",
    "`uncentred`",
)
@pytest.mark.parametrize("name", CASES)
def test_scans_in_memory(name: str, tiny_prior: Path) -> None:
    data, given, sentence, way_out = CASES[name]
    arguments = {"prior": tiny_prior, **PLAN, **given}
    with advised(sentence):
        mr.reconstruct(data, **{key: value for key, value in arguments.items() if value is not None})
    arguments |= {"prior": tiny_prior} if way_out == {"prior": None} else way_out
    made = mr.reconstruct(arguments.pop("kspace", data), **{key: value for key, value in arguments.items() if value is not None})
    assert np.isfinite(made.image).all() and np.abs(made.image).max() > 0


def spokes() -> tuple[np.ndarray, np.ndarray]:
    image, maps, _ = head_and_maps(SHAPE, 4, 0)
    trajectory = radial(30, SHAPE)
    y = NonCartesianSense(maps, trajectory, torch.ones(trajectory.shape[:2]))(image.to(torch.complex64))
    return y[0].numpy(), trajectory.numpy()


@follows(
    "`trajectory_units`",
    "`matrix`",
    "give `matrix`",
    "leave `undersample` out",
    "`undersample`",
    "give it by `trajectory`",
    "`trajectory`",
)
@pytest.mark.parametrize(
    ("given", "sentence", "way_out"),
    [
        (
            {"trajectory_units": "cycles-per-pixel", "scale": 1 / np.array(SHAPE)},
            "which does not tell the size of the image; give `matrix`",
            {"matrix": SHAPE},
        ),
        ({"matrix": (8, 8)}, "give `matrix`, or its `trajectory_units`", {"matrix": SHAPE}),
        (
            {"matrix": SHAPE, "trajectory_units": "cycles-per-pixel"},
            "give other `trajectory_units`",
            {"trajectory_units": "cycles-per-fov"},
        ),
        (
            {"matrix": SHAPE, "undersample": {"kind": "uniform1d", "accel": 2, "acs": 8}},
            "leave `undersample` out",
            {"undersample": None},
        ),
    ],
)
def test_scans_along_trajectories(given: dict[str, Any], sentence: str, way_out: dict[str, Any], tiny_prior: Path) -> None:
    samples, trajectory = spokes()
    given = dict(given)
    trajectory = trajectory * given.pop("scale", 1)
    with advised(sentence):
        mr.reconstruct(samples, trajectory=trajectory, prior=tiny_prior, **PLAN, **given)
    given = {key: value for key, value in (given | way_out).items() if value is not None}
    assert np.isfinite(mr.reconstruct(samples, trajectory=trajectory, prior=tiny_prior, **PLAN, **given).image).all()


@follows("weight them by pipe_menon")
def test_weights_of_points_without_cells() -> None:
    line = torch.stack([torch.linspace(-8, 8, 16), torch.zeros(16)], -1)[None]
    with advised("weight them by pipe_menon"):
        voronoi(line)
    assert torch.isfinite(pipe_menon(line, (16, 16))).all()


@follows("lower `crop` or give coil maps", "`crop`")
def test_maps_of_faint_calibration_lines() -> None:
    data = torch.from_numpy(DATA)[None]
    with advised("lower `crop` or give coil maps by `maps`"):
        espirit(data, crop=1.0 + 1e-6)
    assert espirit(data, crop=0.5).abs().max() > 0


@follows("reconstruct it by `recon.recon_file`", "`recon.recon_file`")
def test_files_are_read_by_recon_file(tmp_path: Path, tiny_prior: Path) -> None:
    fastmri(tmp_path / "scan.h5", DATA[None])
    recon_file(tmp_path / "scan.h5", tmp_path / "x.h5", Job(Plan("dds", steps=2), priors.load(tiny_prior)))
    assert (tmp_path / "x.h5").is_file()


@follows("`phase` free", "leave `phase` out", "`phase`")
def test_a_phase_that_is_not_known(tiny_prior: Path) -> None:
    given = {"mask": OFF_CENTRE, "maps": MAPS, "prior": tiny_prior, "phase": "smooth", **PLAN}
    with advised("leave the constraint of its phase out by `phase` free|leave `phase` out"):
        mr.reconstruct(DATA * OFF_CENTRE, **given)
    assert np.isfinite(mr.reconstruct(DATA * OFF_CENTRE, **given | {"phase": "free"}).image).all()


@follows("does not exist; give a scan", "give a file of coil maps", "give the file of a trajectory", "give the path of one file")
def test_files_that_are_not_there(bench: Bench, scan: Path) -> None:
    words = ("--prior", bench.prior, "-o", bench / "x.h5")
    advice(bench, "does not exist; give a scan or a folder of scans", "recon", bench / "none.h5", *words)
    advice(bench, "does not exist; give a file of coil maps", "recon", scan, *words, "--maps", bench / "none.npy")
    advice(bench, "does not exist; give the file of a trajectory", "recon", scan, *words, "--trajectory", bench / "none.npy")
    advice(bench, "does not exist; give the path of one file", "inspect", bench / "none.h5")
    assert "kspace" in works(bench, "inspect", scan) or "coils" in works(bench, "inspect", scan)
