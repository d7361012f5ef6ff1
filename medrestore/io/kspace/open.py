"""k-space files of every format, recognised by their content and read one slice at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ... import shipped
from ...errors import InputError
from ..causes import cause
from ..guards import PathLike, existing, is_cfl, require
from ..plugged import plugin_at_work, readers
from . import arrays, bart, fastmri, ismrmrd, ismrmrd_stack, twix
from .base import KSpaceFile, Request, Scan
from .coverage import Coverage
from .points import PointFile, with_trajectory
from .series import read_series
from .trajectory import Units

BEGIN = 520  # bytes of a file that a recogniser is given


@dataclass(frozen=True)
class Format:
    """A format of k-space.

    Args:
        name: for people.
        suffixes: by which its files are found in a folder.
        recognises: whether a file, given with its first bytes and with how it shall be read, is one.
        read: opens it.
    """

    name: str
    suffixes: tuple[str, ...]
    recognises: Callable[[Path, bytes, Request], bool]
    read: Callable[[Path, Request], KSpaceFile]


FORMATS = (  # the first that recognises a file reads it
    Format("BART .cfl/.hdr", (".cfl",), bart.recognises, bart.read),
    Format("ISMRMRD", (".h5", ".mrd"), ismrmrd.recognises, ismrmrd_stack.read),
    Format("fastMRI", (".h5",), fastmri.recognises, fastmri.read),
    Format("plain HDF5", (".h5", ".hdf5", ".mat"), arrays.recognises_hdf5, arrays.read_hdf5),
    Format("NumPy .npy", (".npy",), arrays.recognises_npy, arrays.read_npy),
    Format("MATLAB .mat", (".mat",), arrays.recognises_mat, arrays.read_mat),
    Format("Siemens twix .dat", (".dat",), twix.recognises, twix.read),
)


def suffixes() -> tuple[str, ...]:
    """By which the scans of a folder are found; those of plugins among them."""
    return tuple(dict.fromkeys(suffix for one in (*FORMATS, *readers(Format)[0].values()) for suffix in one.suffixes))


def read_kspace(
    path: PathLike, *, dataset: str | None = None, axes: Sequence[str] | None = None, select: Mapping[str, int] | None = None,
    uncentred: bool = False, noise_scan: bool = True, implausible: bool = False, max_gb: float = 16.0,
    trajectory: PathLike | None = None, trajectory_units: Units | None = None, matrix: tuple[int, int] | None = None,
    separate: Sequence[str] = (),
) -> KSpaceFile:
    """Opens a k-space file; slices are read on access.

    Args:
        path: the file; for BART with .cfl, .hdr or neither; sample:NAME for one that comes with the package.
        dataset: the array to read of an HDF5 or MATLAB file, or the group of an ISMRMRD file, where there are several.
        axes: the names of the array's axes in the order in which h5py, scipy or numpy shows them, out of slice, coil,
            row (readout, becomes height) and col (phase encode, becomes width); complex is an axis of real and imaginary part,
            channel one of coils with both in turn; average, repetition, contrast, phase, set and segment are counters. Needed
            for plain HDF5 and MATLAB files, and it makes any HDF5 file be read as a plain array.
        select: the one value to read of a counter, such as {"contrast": 1}.
        uncentred: the origin of k-space is at [0, 0] of an array, as an FFT without fftshift leaves it, not at n // 2.
        noise_scan: whether a noise scan in the file is used.
        implausible: read also what does not look like k-space, real numbers among it, such as a file of coil maps.
        max_gb: the most gigabytes (1e9 bytes) that an array of the file may declare.
        trajectory: the file of a trajectory, (readout, sample, 2) .npy or BART .cfl, for an array whose rows are readouts and
            whose columns are samples.
        trajectory_units: of the trajectory, that file's or the scan's own; None where the format says it, or its reach tells.
        matrix: (height, width) of the image of a scan along a trajectory; None where the file or the trajectory tells.
        separate: counters (repetition, average, contrast, phase, set) whose values are read each, as frames: slice i of the file
            has the numbers i * frames to (i + 1) * frames - 1.

    Raises:
        InputError: no such file, an unknown or damaged format, or data that is unsafe or not a stack of slices.
    """
    path = shipped.scan(path)
    place = None if trajectory is None else str(trajectory)
    request = Request(dataset, axes, dict(select or {}), uncentred, noise_scan, implausible or place is not None, max_gb, place,
                      trajectory_units, matrix, tuple(separate))
    if request.separate:
        return read_series(path, request, lambda one: _opened_by_format(path, one, implausible))
    return _opened_by_format(path, request, implausible)


def _opened_by_format(path: Path, request: Request, implausible: bool) -> KSpaceFile:
    """The file by the first format that recognises it; `implausible` as asked for, which that of a trajectory's array is not."""
    place = request.trajectory
    begin = b"" if is_cfl(path) else _begin(existing(path))
    for one in FORMATS:
        if one.recognises(path, begin, request):
            read = one.read(path, request)
            if place is None or isinstance(read, PointFile):
                return read
            return with_trajectory(read, replace(request, implausible=implausible))
    require(begin != b"", f"{path} is empty, it has no bytes at all; copy it again.")
    added, broken = readers(Format)
    for plugin, one in added.items():
        with plugin_at_work(plugin, path):
            if one.recognises(path, begin, request):
                return one.read(path, request)
    known = ", ".join(one.name for one in (*FORMATS, *added.values()))
    raise InputError(f"{path} is of no known k-space format, or damaged; known are {known}{broken}.")


def read_cartesian(path: PathLike, **options: Any) -> KSpaceFile:
    """`read_kspace` of a Cartesian scan.

    Raises:
        InputError: as `read_kspace`; or it was acquired along a trajectory.
    """
    file = read_kspace(path, **options)
    if isinstance(file, PointFile):
        file.close()
        raise InputError(f"{path} was acquired along a trajectory, and Cartesian scans are needed here; leave it out, or "
                         "reconstruct it by `recon.recon_file`.")
    return file


def _begin(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(BEGIN)
    except OSError as error:
        raise InputError(cause(path, error)) from error


def inspect_file(
    path: PathLike, *, dataset: str | None = None, axes: Sequence[str] | None = None, select: Mapping[str, int] | None = None,
    uncentred: bool = False, max_gb: float = 16.0, trajectory: PathLike | None = None, trajectory_units: Units | None = None,
    matrix: tuple[int, int] | None = None, separate: Sequence[str] = (),
) -> dict[str, str]:
    """What a k-space file holds, in words, judged from its header and its middle slice. Never any patient data."""
    how: dict[str, Any] = {"dataset": dataset, "axes": axes, "select": select, "uncentred": uncentred, "max_gb": max_gb,
                           "trajectory": trajectory, "trajectory_units": trajectory_units, "matrix": matrix,
                           "separate": separate}
    with read_kspace(path, implausible=True, **how) as file:
        slices, coils, height, width = file.shape
        scan = file[len(file) // 2]
        magnitude = scan.kspace.abs()
        largest, rms = float(magnitude.max()), float(magnitude.square().mean().sqrt())
        both = scan.mask.shape[0] > 1
        fraction = float(scan.mask.mean())
        where = "both axes" if both else "the phase-encode axis"
        found = file.doubt(scan.index)
        lines = {
            "file": file.path.name,
            "kind": file.kind,
            "shape": f"{_slices_in_words(slices, file.frames)}, {coils} coils, {height} rows, {width} columns",
            "stored as": file.dtype,
            "image": f"{scan.crop[0]} x {scan.crop[1]}",
            "sampling": _trajectory_in_words(scan) if scan.trajectory is not None else
            "full" if fraction == 1 else f"{100 * fraction:.1f} % ({1 / max(fraction, 1e-9):.2f}x) along {where}",
            "calibration": "not stored" if scan.acs is None else str(scan.acs),
            "reference": "yes" if file.has_reference else "no",
            "noise scan": "yes" if file.has_noise else "no",
            "header": "yes" if file.has_header else "no",
            "pixel size": "unknown" if scan.pixel_mm is None else " x ".join(f"{mm:.3g}" for mm in scan.pixel_mm) + " mm",
            "orientation": "no" if scan.affine is None else "yes",
            "magnitude": f"up to {largest:.3g}, rms {rms:.3g} (slice {scan.index})",
            "plausible": "yes" if found is None else f"NO: {found}",
        }
        dead = [str(coil) for coil in torch.nonzero(~scan.kspace[0].flatten(1).any(1)).flatten().tolist()]
        covered = (Coverage.of(scan.mask) if scan.trajectory is None else
                   Coverage.of_points(scan.trajectory, scan.mask, scan.shape))
        lines |= {"coverage": " ".join(covered.sentences())} if covered is not None and covered.sentences() else {}
        lines |= {"dead coils": ", ".join(dead)} if dead and len(dead) < coils else {}
        notes = (*file.notes, *scan.notes)
        return lines | ({"notes": " ".join(notes)} if notes else {})


def _slices_in_words(slices: int, frames: int) -> str:
    """Slices, and of how many frames each, in words."""
    return f"{slices} slices" if frames == 1 else f"{slices // frames} slices of {frames} frames"


def _trajectory_in_words(scan: Scan) -> str:
    """The trajectory of a scan in words."""
    assert scan.trajectory is not None
    readouts, samples = scan.mask.shape
    reach = scan.trajectory[scan.mask > 0].abs().amax(0).tolist() if bool(scan.mask.any()) else [0.0, 0.0]
    return (f"along a trajectory: {readouts} readouts of {samples} samples, to {reach[0]:.4g} cycles per field of view along "
            f"rows and {reach[1]:.4g} along columns")
