"""Trajectories in files: shapes, units, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medrestore.errors import InputError
from medrestore.io.kspace.trajectory import Points, read_trajectory
from medrestore.mri import radial

SPOKES = radial(5, (16, 12)).numpy()


def write_cfl(path: Path, array: np.ndarray) -> Path:
    """A BART pair; returns the name of its data."""
    path.with_suffix(".hdr").write_text("# Dimensions\n" + " ".join(map(str, array.shape)) + "\n")
    array.astype(np.complex64).ravel(order="F").tofile(path.with_suffix(".cfl"))
    return path.with_suffix(".cfl")


def test_files(tmp_path: Path) -> None:
    np.save(tmp_path / "t.npy", SPOKES)
    np.save(tmp_path / "three.npy", np.concatenate([SPOKES, 0 * SPOKES[..., :1]], -1))
    np.save(tmp_path / "complex.npy", SPOKES[..., 0] + 1j * SPOKES[..., 1])
    for name in ("t.npy", "three.npy", "complex.npy"):
        found = read_trajectory(tmp_path / name, max_gb=1)
        np.testing.assert_allclose(found.values, SPOKES, atol=1e-6)
        assert found.units is None
    bart = np.concatenate([SPOKES, 0 * SPOKES[..., :1]], -1).transpose(2, 1, 0)
    found = read_trajectory(write_cfl(tmp_path / "t", bart), max_gb=1)
    np.testing.assert_allclose(found.values, SPOKES, atol=1e-6)
    assert found.units == "cycles-per-fov"


@pytest.mark.parametrize(("array", "what"), [
    (SPOKES[0], r"float32 \(32, 2\), and a trajectory is \(readout, sample, 2\)"), (SPOKES[..., :1], "and a trajectory is"),
    (SPOKES[:0], "is empty"), (SPOKES.astype(complex), "and a trajectory is"),
    (np.where(SPOKES > 7, np.nan, SPOKES), "NaN"), (np.concatenate([SPOKES, SPOKES[..., :1]], -1), "in three dimensions"),
])
def test_what_is_no_trajectory(array: np.ndarray, what: str, tmp_path: Path) -> None:
    np.save(tmp_path / "t.npy", array)
    with pytest.raises(InputError, match=what):
        read_trajectory(tmp_path / "t.npy", max_gb=1)


def test_bart_of_several_slices(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a trajectory has \(3, sample, readout\)"):
        read_trajectory(write_cfl(tmp_path / "t", np.zeros((3, 4, 5, 1, 2))), max_gb=1)


@pytest.mark.parametrize(("scale", "units"), [
    (1.0, "cycles-per-fov"), (np.array([1 / 16, 1 / 12]), "cycles-per-pixel"),
    (2 * np.pi * np.array([1 / 16, 1 / 12]), "radians-per-pixel"),
])
@pytest.mark.parametrize("said", [True, False])
def test_units_are_given_or_told_by_the_reach(scale: Any, units: Any, said: bool) -> None:
    points = Points((SPOKES * scale).astype(np.float32))
    cycles, grid, note = points.in_cycles(units if said else None, (16, 12), Path("t"))
    np.testing.assert_allclose(cycles, SPOKES, atol=1e-4)
    assert grid == (16, 12) and (note == "") is said
    assert said or note == f"The trajectory is taken as {units.replace('-', ' ')}."


def test_the_size_of_the_image_is_as_far_as_it_reaches() -> None:
    _, grid, note = Points(radial(5, (32, 32)).numpy()).in_cycles("cycles-per-fov", None, Path("t"))
    assert grid == (32, 32) and note == "The image has 32 x 32 pixels, as far as the trajectory reaches."


@pytest.mark.parametrize(("scale", "units", "grid", "what"), [
    (1.0, "cycles-per-fov", (8, 8), "beyond what an image of 8 x 8 pixels resolves; give `matrix`"),
    (1 / 16, None, None, "in cycles per pixel, which does not tell the size of the image; give `matrix`"),
    (1.0, "cycles-per-pixel", (16, 12), "beyond the edge of k-space in cycles per pixel"),
    (1 / 16, "cycles-per-fov", (16, 12), "which resolves no image"),
])
def test_units_that_cannot_be(scale: float, units: Any, grid: Any, what: str) -> None:
    with pytest.raises(InputError, match=what):
        Points((SPOKES * scale).astype(np.float32)).in_cycles(units, grid, Path("t"))
