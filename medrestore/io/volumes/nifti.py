"""NIfTI volumes in RAS orientation, read slice by slice."""

from __future__ import annotations

import gzip
import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from torch import Tensor

from ...errors import InputError
from ...files import write_file
from ..guards import DEFLATE_LIMIT, PathLike, check_size, existing, finite, require
from ..reconstruction import RESEARCH_USE

Axis = Literal["sagittal", "coronal", "axial"]
AXES: tuple[Axis, ...] = ("sagittal", "coronal", "axial")  # the axis that a slice is perpendicular to: x, y, z of RAS
CHUNK = 1 << 20  # bytes
SLACK = 1 << 24  # bytes of header and extensions
HEADER = 544  # bytes that hold the header of either version
T = TypeVar("T")


@dataclass(frozen=True)
class NiftiVolume:
    """A NIfTI volume as its header describes it; the file is opened for every read and closed at once.

    Attributes:
        shape: (x, y, z) with x to the right, y to anterior, z to superior (RAS).
        affine: 4 x 4, indices of that order to millimetres.
        order: of each stored axis, its RAS axis and whether it runs that way (1) or against it (-1).
    """

    path: Path
    shape: tuple[int, int, int]
    affine: np.ndarray
    order: tuple[tuple[int, int], ...]

    @property
    def compressed(self) -> bool:
        """Whether a slice costs as much as the volume: gzip has no random access."""
        return self.path.name.endswith(".gz")

    def read(self) -> np.ndarray:
        """The volume, (x, y, z) float32."""
        return self._upright(lambda stored: stored[...], [0, 1, 2])

    def slice(self, axis: Axis, index: int) -> np.ndarray:
        """Slice `index` along an axis, (rows, columns) float32 as `as_image` shows it; only that slice is read."""
        across = AXES.index(axis)
        stored_axis = [ras for ras, _ in self.order].index(across)
        at = index if self.order[stored_axis][1] > 0 else self.shape[across] - 1 - index
        where = tuple(at if k == stored_axis else slice(None) for k in range(3))
        plane = self._upright(lambda stored: stored[where], [k for k in range(3) if k != stored_axis])
        return as_shown(plane)

    def _upright(self, read: Callable[[Any], Any], axes: list[int]) -> np.ndarray:
        """The result of `read`, with the stored axes `axes`, in the order and direction of RAS."""
        array = _guarded(self.path, lambda: _read_whole(self.path, read))
        array = array.reshape(array.shape[: len(axes)])  # axes of length 1 after the third
        order = [self.order[k] for k in axes]
        array = array[tuple(slice(None, None, direction) for _, direction in order)]
        return finite(array.transpose(np.argsort([ras for ras, _ in order])), self.path, "the volume")


def as_image(volume: np.ndarray, axis: Axis, index: int) -> np.ndarray:
    """A slice of a RAS array (x, y, z) as shown: (rows, columns) anterior or superior up, the patient's left at the left."""
    where = tuple(index if k == AXES.index(axis) else slice(None) for k in range(3))
    return as_shown(volume[where])


def as_shown(plane: np.ndarray) -> np.ndarray:
    """A plane of two RAS axes (first, second) as an image: the second goes up, the first to the right."""
    return np.ascontiguousarray(plane.T[::-1])


def stored_header(path: PathLike) -> Any:
    """The header of nibabel.

    Raises:
        InputError: no such file, another format or damaged.
    """
    path = existing(path)
    return _guarded(path, lambda: _open_nifti(path)).header


def open_volume(path: PathLike, *, max_gb: float = 4.0) -> NiftiVolume:
    """The header of a .nii or .nii.gz file.

    Args:
        max_gb: the most gigabytes (1e9 bytes) that the volume may need as float32.

    Raises:
        InputError: no such file, another format, damaged, too large, or not one volume of real numbers.
    """
    from nibabel.orientations import io_orientation

    path = existing(path)
    if not path.name.endswith((".nii", ".nii.gz")):
        raise InputError(f"{path} does not end in .nii or .nii.gz; convert it to NIfTI.")
    image = _guarded(path, lambda: _open_nifti(path))
    if len(image.shape) < 3 or any(n != 1 for n in image.shape[3:]):
        raise InputError(f"{path} has the shape {tuple(image.shape)}; one volume of three axes is needed, split it.")
    if image.get_data_dtype().kind not in "iufb":
        raise InputError(f"{path} holds {image.get_data_dtype()}, not real numbers; save magnitudes.")
    check_size(str(path), image.shape, 4, max_gb=max_gb)
    packed = path.name.endswith(".gz")
    declared, stored = math.prod(image.shape) * image.get_data_dtype().itemsize, path.stat().st_size
    require(declared <= stored * (DEFLATE_LIMIT if packed else 1),
            f"{path} declares {declared} bytes and holds {stored}; it is not complete, copy it again.")
    affine = np.asarray(image.affine, np.float64)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise InputError(f"{path} has no usable orientation (its affine is singular); write its header again.")
    order = io_orientation(affine)
    if np.isnan(order).any():
        raise InputError(f"{path} has an affine that names no orientation; write its header again.")
    return _upright_header(path, image.shape[:3], affine, order)


def _upright_header(path: Path, stored: tuple[int, ...], affine: np.ndarray, order: np.ndarray) -> NiftiVolume:
    from nibabel.orientations import inv_ornt_aff

    shape = [0, 0, 0]
    for k, (ras, _) in enumerate(order):
        shape[int(ras)] = int(stored[k])
    turned = affine @ inv_ornt_aff(order, stored)
    return NiftiVolume(path, (shape[0], shape[1], shape[2]), turned, tuple((int(ras), int(way)) for ras, way in order))


def _open_nifti(path: Path) -> Any:
    """The image of nibabel; what stands before its values, which nibabel reads at once, is bounded before.

    Raises:
        ValueError: no header of NIfTI, or one with more than `SLACK` bytes before the values.
    """
    import nibabel

    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        head = file.read(HEADER)
    for order in "<>":
        for kind, size, start in ((nibabel.Nifti1Image, 348, ("f", 108)), (nibabel.Nifti2Image, 540, ("q", 168))):
            if len(head) >= size and struct.unpack_from(f"{order}i", head)[0] == size:
                (offset,) = struct.unpack_from(f"{order}{start[0]}", head, start[1])
                if not 0 <= offset <= SLACK:
                    raise ValueError(f"{offset:.0f} bytes stand before its values")
                return kind.from_filename(path, mmap=False, keep_file_open=False)
    raise ValueError("it does not begin as NIfTI files do")


def _read_whole(path: Path, read: Callable[[Any], Any]) -> np.ndarray:
    """The result of `read` on the stored array, as float32; a gzip file is read to its end, where its CRC is checked."""
    image = _open_nifti(path)
    if path.suffix != ".gz":
        return np.asarray(read(image.dataobj), np.float32)
    most = math.prod(image.shape) * image.get_data_dtype().itemsize + SLACK
    with gzip.open(path) as file:
        array = np.asarray(read(type(image).from_stream(file).dataobj), np.float32)
        while file.read(CHUNK):
            if file.tell() > most:
                raise ValueError("it holds more than its header declares")
    return array


def _guarded(path: Path, read: Callable[[], T]) -> T:
    """The result of `read()`; errors of nibabel, gzip or zlib become an `InputError`."""
    import zlib

    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError

    try:
        return read()
    except (ImageFileError, HeaderDataError, OSError, EOFError, ValueError, zlib.error, MemoryError, OverflowError) as error:
        raise InputError(f"{path} cannot be read as NIfTI, it is damaged or truncated ({error}); copy it again.") from error


def write_nifti(
    path: PathLike,
    volume: Tensor | np.ndarray,
    *,
    pixel_mm: tuple[float, float, float] | None,
    affine: np.ndarray | None = None,
    overwrite: bool = False,
) -> None:
    """A (slice, h, w) volume, float32 or complex64, as NIfTI-1 with the axes (row, column, slice); (frame, slice, h, w) a series.

    The frames of a series are a fourth axis, whose step is 1 of an unknown unit.

    Args:
        path: ends in .nii or .nii.gz.
        pixel_mm: (row, column, slice) spacing; None when unknown, which is written as 1 with unknown units.
        affine: 4x4 from (row, column, slice) to RAS mm. Without one, the affine is diagonal and its qform and sform codes
            are 0: the orientation is unknown, and the file says so.
    """
    import nibabel

    path = Path(path)
    require(path.name.endswith((".nii", ".nii.gz")), f"{path} does not end in .nii or .nii.gz; name it so.")
    array = volume.detach().cpu().numpy() if isinstance(volume, Tensor) else np.asarray(volume)
    require(array.ndim in (3, 4),
            f"{path}: the volume has the shape {array.shape}; (slice, h, w) or (frame, slice, h, w) is needed.")
    array = finite(array, path, "the volume").astype(np.complex64 if array.dtype.kind == "c" else np.float32, copy=False)
    spacing = (1.0, 1.0, 1.0) if pixel_mm is None else pixel_mm
    image = nibabel.Nifti1Image(array.transpose((1, 2, 0) if array.ndim == 3 else (2, 3, 1, 0)), None)
    image.header.set_zooms((*spacing, 1.0)[: array.ndim])
    image.header.set_xyzt_units("unknown" if pixel_mm is None else "mm")
    code, matrix = (0, np.diag([*spacing, 1.0])) if affine is None else (1, np.asarray(affine, np.float64))
    image.set_qform(matrix, code)
    image.set_sform(matrix, code)
    image.header["descrip"] = b"medrestore. " + RESEARCH_USE.encode()
    data = image.to_bytes()
    write_file(path, gzip.compress(data, mtime=0) if path.name.endswith(".gz") else data, overwrite=overwrite)
