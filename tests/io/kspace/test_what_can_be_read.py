"""Every row of the page on what can be read: a file of that kind, read with the right geometry or refused with the reason."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from helpers.arrays import complex_normal
from helpers.mrd import COILS, COLUMNS, SAMPLES
from helpers.mrd import write as lines_of

from medrestore.errors import InputError
from medrestore.io import read_kspace
from medrestore.io.kspace.open import inspect_file
from medrestore.mri import radial, rosette, spiral

from .test_epi import RAMPS, scanned
from .test_ismrmrd_points import SIZE
from .test_ismrmrd_points import header as points_header
from .test_ismrmrd_points import write as points_of
from .test_ismrmrd_stack import write as stack_of
from .test_twix import DATA, rewritten
from .test_twix import planar as planar_blocks
from .test_volumes import written as volume_of

PAGE = Path(__file__).parents[3] / "docs" / "scans.md"
SPOKES = radial(7, SIZE)


@dataclass(frozen=True)
class Case:
    """A file and what is read of it.

    Attributes:
        make: writes it into a folder.
        shape: (slice, coil, height, width) that is read; empty where it is refused.
        says: in a note, or in the refusal.
        spacing: (row, column, slice) in mm, where the file has it.
        volume, along, oriented, frames, sampled: of the file, and of its first slice the share of the grid that is sampled.
        options: how it is read.
        covers: in what `inspect` says of the part of k-space that is covered.
    """

    make: Callable[[Path], Path]
    shape: tuple[int, ...] = ()
    says: str = ""
    spacing: tuple[float, ...] | None = None
    volume: bool = False
    along: bool = False
    oriented: bool = False
    frames: int = 1
    sampled: float = 1.0
    options: dict[str, Any] = field(default_factory=dict)
    covers: str = ""


def ismrmrd(fill: Callable[[Any, np.ndarray], None], **header: Any) -> Callable[[Path], Path]:
    data = complex_normal(0, 2, COILS, SAMPLES, COLUMNS)
    return lambda folder: lines_of(folder / "scan.h5", lambda writer: fill(writer, data), **header)


def slices(writer: Any, data: np.ndarray) -> None:
    for number in (0, 1):
        writer.image(data[number], slice=number)


def reduced(writer: Any, data: np.ndarray) -> None:
    writer.image(data[0], (1, 9))
    writer.image(data[0], (3, 4, 5, 6, 7), flags=(21,))


def reference_lines(writer: Any, data: np.ndarray) -> None:
    writer.image(data[0], (0, 2, 4, 6, 8))
    writer.image(data[0], (3, 4, 5, 6), flags=(20,))


def echoes(writer: Any, data: np.ndarray) -> None:
    for contrast in (0, 1):
        writer.image(data[contrast], contrast=contrast)


def repetitions(writer: Any, data: np.ndarray) -> None:
    for repetition in (0, 1):
        writer.image(data[repetition], repetition=repetition)


def asymmetric(writer: Any, data: np.ndarray) -> None:
    writer.image(data[0][:, 6:], center=SAMPLES // 2 - 6)


def volume(**options: Any) -> Callable[[Path], Path]:
    return lambda folder: volume_of(folder / "scan.h5", complex_normal(1, 3, 16, 6, 10), **options)


def points(trajectory: torch.Tensor, kind: str, **options: Any) -> Callable[[Path], Path]:
    return lambda folder: points_of(folder / "scan.h5", trajectory, xml=points_header(kind), **options)


def planar(trapezoid: Any = None, **options: Any) -> Callable[[Path], Path]:
    return lambda folder: scanned(folder / "scan.h5", trapezoid, **options)


def turned(points_: np.ndarray, number: int, partition: int) -> np.ndarray:
    return points_ @ np.array([[0.0, 1], [-1, 0]]) if partition % 2 else points_


def ball(one: Any, number: int) -> None:
    one.traj[:, 2] = one.traj[:, 0] * number


def bart(dims: tuple[int, ...], *, trajectory: bool = False) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        stored = {"scan": complex_normal(2, *dims)}
        if trajectory:
            stored["traj"] = np.concatenate([SPOKES.numpy(), np.zeros((*SPOKES.shape[:2], 1))], -1).transpose(2, 1, 0) + 0j
        for name, array in stored.items():
            (folder / f"{name}.hdr").write_text("# Dimensions\n" + " ".join(map(str, array.shape)) + "\n")
            array.astype(np.complex64).ravel(order="F").tofile(folder / f"{name}.cfl")
        return folder / "scan.cfl"

    return make


def bart_with_zeros(outer: int, *, both: bool = False) -> Callable[[Path], Path]:
    """Columns that were not acquired, at one end or at both."""

    def make(folder: Path) -> Path:
        path = bart((24, 32, 1, 4))(folder)
        stored = np.fromfile(path, np.complex64).reshape((24, 32, 1, 4), order="F")
        stored[:, :outer] = 0
        if both:
            stored[:, -outer:] = 0
        stored.ravel(order="F").tofile(path)
        return path

    return make


def npy(*shape: int, real: bool = False) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        array = complex_normal(3, *shape)
        np.save(folder / "scan.npy", array.real if real else array)
        np.save(folder / "traj.npy", SPOKES.numpy())
        return folder / "scan.npy"

    return make


def hdf5(folder: Path) -> Path:
    with h5py.File(folder / "scan.h5", "w") as file:
        file["raw"] = complex_normal(4, 2, 3, 4, 12, 10)
    return folder / "scan.h5"


def twix(change: Callable[[Any], list[Any]] | None, *, trajectory: int = 1) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        phantom = DATA / "phantom_2ch_twix" / "gre.dat"
        if not phantom.is_file():
            pytest.skip("the scan is not here")
        pytest.importorskip("twixtools")
        path = folder / "scan.dat"
        if change is not None:
            return rewritten(phantom, path, change)
        old, new = (b"sKSpace.ucTrajectory\t = \t%d" % number for number in (1, trajectory))
        path.write_bytes(phantom.read_bytes().replace(old, new))
        return path

    return make


def partitions(copy: Callable[[slice], list[Any]]) -> list[Any]:
    blocks = []
    for partition in range(4):
        for block in copy(slice(60, 100)):
            block.mdh.Counter.Par, block.mdh.CenterPar = partition, 2
            blocks.append(block)
    return blocks


CASES = {
    "ismrmrd-slices": Case(ismrmrd(slices), (2, 3, 8, 10), spacing=(2.0, 3.0, 7.0), oriented=True),
    "ismrmrd-calibration-embedded": Case(ismrmrd(reduced, calibration="embedded"), (1, 3, 8, 10), spacing=(2.0, 3.0, 5.0),
                                         oriented=True, sampled=0.7),
    "ismrmrd-calibration-separate": Case(ismrmrd(reference_lines, calibration="separate"), (1, 3, 8, 10), "give the coil maps",
                                         spacing=(2.0, 3.0, 5.0), oriented=True, sampled=0.5),
    "ismrmrd-asymmetric-echo": Case(ismrmrd(asymmetric), (1, 3, 8, 10), spacing=(2.0, 3.0, 5.0), oriented=True, sampled=0.625),
    "ismrmrd-repetitions": Case(ismrmrd(repetitions), (1, 3, 8, 10), "2 repetitions are averaged", (2.0, 3.0, 5.0),
                                oriented=True),
    "ismrmrd-echoes": Case(ismrmrd(echoes), (2, 3, 8, 10), "2 frames (contrast 0, 1)", (2.0, 3.0, 5.0), oriented=True, frames=2,
                           options={"separate": ("contrast",)}),
    "ismrmrd-volume": Case(volume(), (8, 3, 6, 10), spacing=(2.0, 3.0, 2.0), volume=True, oriented=True),
    "ismrmrd-slabs": Case(volume(slabs=2), (8, 3, 6, 10), "Of 2 slabs only slab 0 is read", (2.0, 3.0, 2.0), volume=True,
                          oriented=True),
    "ismrmrd-radial": Case(points(SPOKES, "radial"), (1, 3, *SIZE), spacing=(2.0, 2.0, 5.0), along=True, oriented=True),
    "ismrmrd-spiral": Case(points(spiral(4, SIZE), "spiral"), (1, 3, *SIZE), spacing=(2.0, 2.0, 5.0), along=True, oriented=True),
    "ismrmrd-rosette": Case(points(rosette(6, SIZE), "other"), (1, 3, *SIZE), spacing=(2.0, 2.0, 5.0), along=True, oriented=True),
    "ismrmrd-stack-of-stars": Case(lambda folder: stack_of(folder / "scan.h5"), (4, 3, *SIZE), spacing=(2.0, 2.0, 3.0),
                                   along=True, oriented=True),
    "ismrmrd-turning-stack": Case(lambda folder: stack_of(folder / "scan.h5", change=turned),
                                  says="other readouts in partition 1 than in the first"),
    "ismrmrd-3d-radial": Case(points(SPOKES, "radial", dims=3, change=ball), says="a trajectory in three dimensions"),
    "ismrmrd-epi": Case(planar(slices=2), (2, 3, 8, 10), "both ways (EPI)", (2.0, 3.0, 7.0), oriented=True),
    "ismrmrd-epi-ramps": Case(planar(RAMPS), (1, 3, 8, 10), "regridded", (2.0, 3.0, 5.0), oriented=True),
    "ismrmrd-epi-no-navigators": Case(planar(navigators=False), says="no navigator lines of both directions"),
    "bart-slices": Case(bart((12, 10, 1, 4, *(1,) * 9, 3)), (3, 4, 12, 10)),
    "bart-partial": Case(bart_with_zeros(8), (1, 4, 24, 32), covers="partial Fourier", sampled=0.75),
    "bart-interpolated": Case(bart_with_zeros(8, both=True), (1, 4, 24, 32), covers="zero-filled interpolation", sampled=0.5),
    "bart-volume": Case(bart((12, 10, 6, 4)), (12, 4, 6, 10), volume=True),
    "bart-slab-position": Case(bart((1, 10, 6, 4)), (1, 4, 6, 10), volume=True),
    "bart-echoes": Case(bart((12, 10, 1, 4, 1, 2)), (2, 4, 12, 10), "2 frames (contrast 0, 1)", frames=2,
                        options={"separate": ("contrast",)}),
    "bart-radial": Case(bart((1, SPOKES.shape[1], 7, 4), trajectory=True), (1, 4, *SIZE), along=True,
                        options={"trajectory": "traj.cfl", "matrix": SIZE}),
    "bart-maps": Case(bart((12, 10, 1, 4, 2)), says="a stack of 2-D slices"),
    "npy-slices": Case(npy(3, 4, 12, 10), (3, 4, 12, 10)),
    "npy-volume": Case(npy(4, 12, 6, 10), (12, 4, 6, 10), volume=True, options={"axes": ("coil", "row", "partition", "col")}),
    "npy-slab": Case(npy(5, 4, 6, 10), (5, 4, 6, 10), volume=True, options={"axes": ("slice", "coil", "partition", "col")}),
    "npy-radial": Case(npy(4, 7, SPOKES.shape[1]), (1, 4, *SIZE), along=True, options={"trajectory": "traj.npy", "matrix": SIZE}),
    "npy-real": Case(npy(4, 12, 10, real=True), says="k-space is complex", options={"implausible": False}),
    "hdf5-repetitions": Case(hdf5, (6, 4, 12, 10), "2 frames (repetition 0, 1)", frames=2, options={
        "dataset": "raw", "axes": ("repetition", "slice", "coil", "row", "col"), "separate": ("repetition",)}),
    "twix-slices": Case(twix(lambda copy: copy()), (1, 2, 160, 160), spacing=(1.25, 1.25, 4.0)),
    "twix-epi": Case(twix(planar_blocks), (1, 2, 160, 160), "both ways (EPI)", spacing=(1.25, 1.25, 4.0)),
    "twix-volume": Case(twix(partitions), (160, 2, 4, 160), spacing=(1.0, 1.25, 1.25), volume=True, sampled=0.25),
    "twix-radial": Case(twix(None, trajectory=2), says="convert it to ISMRMRD with its trajectory"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_file_of_the_kind(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    path = case.make(tmp_path)
    options = {"implausible": True, **case.options}
    if "trajectory" in options:
        options["trajectory"] = tmp_path / options["trajectory"]
    if not case.shape:
        with pytest.raises(InputError, match=re.escape(case.says)):
            read_kspace(path, **options)[0]
        return
    with read_kspace(path, **options) as file:
        scan = file[0]
        assert (file.shape, file.is_volume, file.frames) == (case.shape, case.volume, case.frames)
        assert any(case.says in note for note in (*file.notes, *scan.notes, ""))
    said = inspect_file(path, **{name: value for name, value in options.items() if name != "implausible"})
    assert case.covers in said.get("coverage", "")
    assert (scan.trajectory is not None, scan.affine is not None) == (case.along, case.oriented)
    assert scan.pixel_mm == (None if case.spacing is None else pytest.approx(case.spacing))
    if not case.along:
        assert float(scan.mask.expand(scan.kspace.shape[-2:]).mean()) == pytest.approx(case.sampled)


def test_the_page_has_every_kind() -> None:
    """By the names of its first column; a kind that is refused says so."""
    rows = re.findall(r"^\| `([\w-]+)` \|(.*)\|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert [name for name, _ in rows] == list(CASES)
    assert {name for name, text in rows if "refused" in text} == {name for name, case in CASES.items() if not case.shape}
