"""k-space files of every format, recognised by their content and read one slice at a time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...errors import InputError
from ..guards import PathLike, existing, is_cfl, open_hdf5
from . import arrays, bart
from .base import KSpaceFile
from .fastmri import FastMRIFile, looks_like_fastmri
from .ismrmrd import MRDFile, find_group
from .twix import TwixFile, looks_like_twix

_HDF5 = b"\x89HDF\r\n\x1a\n"
SUFFIXES = (".h5", ".hdf5", ".mrd", ".mat", ".npy", ".cfl", ".dat")  # by which scans are found in a folder
FORMATS = "fastMRI, ISMRMRD or plain HDF5, BART .cfl/.hdr, Siemens twix .dat, MATLAB .mat, NumPy .npy"


def read_kspace(
    path: PathLike, *, dataset: str | None = None, axes: Sequence[str] | None = None, max_gb: float = 16.0
) -> KSpaceFile:
    """Opens a k-space file; slices are read on access.

    Args:
        path: the file; for BART with .cfl, .hdr or neither.
        dataset: the array to read of an HDF5 or MATLAB file, or the group of an ISMRMRD file, where there are several.
        axes: the names of the array's axes in the order in which h5py, scipy or numpy shows them, out of slice, coil,
            row (readout, becomes height) and col (phase encode, becomes width). Needed for plain HDF5 and MATLAB files, and
            it makes any HDF5 file be read as a plain array.
        max_gb: the most gigabytes (1e9 bytes) that an array of the file may declare.

    Raises:
        InputError: no such file, an unknown or damaged format, or data that is unsafe or not a stack of Cartesian slices.
    """
    path = Path(path)
    if is_cfl(path):
        return bart.read_cfl(path, axes=axes, max_gb=max_gb)
    with existing(path).open("rb") as stream:
        begin = stream.read(520)
    if begin.startswith(_HDF5) or begin[512:].startswith(_HDF5):
        return _read_hdf5(path, dataset, axes, max_gb, matlab=begin.startswith(b"MATLAB 7.3"))
    if begin.startswith(b"\x93NUMPY"):
        return arrays.read_npy(path, axes=axes, max_gb=max_gb)
    if begin.startswith(b"MATLAB 5.0"):
        return arrays.read_mat(path, dataset=dataset, axes=axes, max_gb=max_gb)
    if looks_like_twix(path):
        return TwixFile(path, max_gb=max_gb)
    raise InputError(f"{path} is of no known k-space format, or damaged; known are {FORMATS}.")


def _read_hdf5(path: Path, dataset: str | None, axes: Sequence[str] | None, max_gb: float, *, matlab: bool) -> KSpaceFile:
    file = open_hdf5(path)
    try:
        group = find_group(file) if axes is None else None
        if group is not None and dataset in (None, group):
            return MRDFile(path, file, group, max_gb=max_gb)
        if axes is None and dataset in (None, "kspace") and looks_like_fastmri(file):
            return FastMRIFile(path, file, max_gb=max_gb)
        kind = "MATLAB v7.3 array" if matlab else "HDF5 array"
        return arrays.read_hdf5(path, file, dataset=dataset, axes=axes, max_gb=max_gb, kind=kind)
    except BaseException:
        file.close()
        raise


def inspect_file(
    path: PathLike, *, dataset: str | None = None, axes: Sequence[str] | None = None, max_gb: float = 16.0
) -> dict[str, str]:
    """What a k-space file holds, in words, judged from its header and its middle slice. Never any patient data."""
    with read_kspace(path, dataset=dataset, axes=axes, max_gb=max_gb) as file:
        slices, coils, height, width = file.shape
        scan = file[len(file) // 2]
        magnitude = scan.kspace.abs()
        largest, rms = float(magnitude.max()), float(magnitude.square().mean().sqrt())
        both = scan.mask.shape[0] > 1
        fraction = float(scan.mask.mean())
        where = "both axes" if both else "the phase-encode axis"
        lines = {
            "file": file.path.name,
            "kind": file.kind,
            "shape": f"{slices} slices, {coils} coils, {height} rows, {width} columns",
            "stored as": file.dtype,
            "image": f"{scan.crop[0]} x {scan.crop[1]}",
            "sampling": "full" if fraction == 1 else f"{100 * fraction:.1f} % ({1 / max(fraction, 1e-9):.2f}x) along {where}",
            "calibration": "not stored" if scan.acs is None else str(scan.acs),
            "reference": "yes" if file.has_reference else "no",
            "noise scan": "yes" if file.has_noise else "no",
            "header": "yes" if file.has_header else "no",
            "pixel size": "unknown" if scan.pixel_mm is None else " x ".join(f"{mm:.3g}" for mm in scan.pixel_mm) + " mm",
            "orientation": "no" if scan.affine is None else "yes",
            "magnitude": f"up to {largest:.3g}, rms {rms:.3g} (slice {scan.index})",
        }
        return lines | ({"notes": " ".join(file.notes)} if file.notes else {})
