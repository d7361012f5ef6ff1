"""NIfTI volumes as stacks of slices, and back in the axes in which they were stored."""

from __future__ import annotations

import gzip

import numpy as np

from ..guards import PathLike
from ..reconstruction import RESEARCH_USE
from ..volumes.nifti import Axis, open_volume, stored_header
from .base import FileImages, Place

SHOWN = {"sagittal": (0, 2, 1), "coronal": (1, 2, 0), "axial": (2, 1, 0)}  # RAS axes of (slice, row, column)


def open_slices(path: PathLike, axis: Axis, *, max_gb: float) -> FileImages:
    """The slices of a volume across an axis, each as `volumes.nifti.as_image` shows it: anterior or superior up.

    Raises:
        InputError: as `open_volume`.
    """
    volume = open_volume(path, max_gb=max_gb)
    array = volume.read()
    across, down, along = SHOWN[axis]
    values = array.transpose(across, down, along)[:, ::-1]
    height = values.shape[1]
    ras = np.zeros((4, 4))  # (slice, row, column) to (x, y, z) indices
    ras[across, 0], ras[down, 1], ras[along, 2], ras[3, 3] = 1, -1, 1, 1
    ras[down, 3] = height - 1
    shown = {ras_axis: (at, -1 if at == 1 else 1) for at, ras_axis in enumerate((across, down, along))}
    axes = tuple((shown[ras_axis][0], shown[ras_axis][1] * way) for ras_axis, way in volume.order)
    header = stored_header(path)
    units = int(header["xyzt_units"]) if "xyzt_units" in header else 2
    codes = (
        (int(header["qform_code"]), int(header["sform_code"]), units) if "qform_code" in header else (1, 1, 2)
    )
    return FileImages(
        str(path),
        "nifti",
        np.ascontiguousarray(values[:, None]),
        np.dtype(np.float32),
        place=Place(volume.affine @ ras, axes, codes),
    )


def encode_nifti(path: PathLike, values: np.ndarray, place: Place) -> bytes:
    """Slices (slice, 1, height, width) as a NIfTI-1 file of float32, in the axes and directions of `place`."""
    import nibabel

    stored, index = values[:, 0], np.eye(4)
    order = [at for at, _ in place.axes] or [1, 2, 0]
    ways = [way for _, way in place.axes] or [1, 1, 1]
    array = stored.transpose(order)
    flips = tuple(slice(None, None, way) for way in ways)
    array = np.ascontiguousarray(array[flips], np.float32)
    index[:3] = 0
    for k, (at, way) in enumerate(zip(order, ways, strict=True)):  # stored indices to (slice, row, column)
        index[at, k] = way
        index[at, 3] = 0 if way > 0 else array.shape[k] - 1
    affine = np.eye(4) if place.affine is None else place.affine @ index
    image = nibabel.Nifti1Image(array, affine)
    qform, sform, units = place.codes if place.affine is not None else (0, 0, 0)
    if qform == sform == 0 and place.affine is not None:
        image.set_qform(None, 0)
        image.set_sform(None, 0)
        image.header.set_zooms(np.linalg.norm(affine[:3, :3], axis=0))
        image.header["qoffset_x"], image.header["qoffset_y"], image.header["qoffset_z"] = affine[:3, 3]
    else:
        image.set_qform(affine, qform)
        image.set_sform(affine, sform or qform)
    image.header["xyzt_units"] = units
    image.header["descrip"] = b"medrestore. " + RESEARCH_USE.encode()
    data = image.to_bytes()
    return gzip.compress(data, mtime=0) if str(path).endswith(".gz") else data
