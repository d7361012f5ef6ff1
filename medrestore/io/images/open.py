"""Images by the suffix of their file, and files of images like others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...errors import InputError
from ...files import has_suffix
from ..guards import PathLike, existing
from ..volumes.nifti import Axis
from .base import FileImages
from .dicom import encode_dicom, open_dicom
from .flat import encode_array, encode_picture, encode_tiff, open_array, open_picture, open_tiff
from .volume import encode_nifti, open_slices

if TYPE_CHECKING:
    from .base import Kind

SUFFIXES: dict[str, Kind] = {
    ".png": "picture",
    ".jpg": "picture",
    ".jpeg": "picture",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".nii": "nifti",
    ".nii.gz": "nifti",
    ".dcm": "dicom",
    ".npy": "npy",
}
WRITTEN: dict[Kind, tuple[Kind, ...]] = {  # what the images of each kind of file may be written as
    "picture": ("picture", "tiff", "npy"),
    "tiff": ("tiff", "picture", "npy"),
    "nifti": ("nifti", "npy"),
    "dicom": ("dicom", "tiff", "npy"),
    "npy": ("npy", "tiff"),
}


def kind_of(path: PathLike) -> Kind:
    """What a file is, by its name.

    Raises:
        InputError: it names nothing that is known.
    """
    for suffix, kind in sorted(SUFFIXES.items(), key=lambda one: -len(one[0])):
        if has_suffix(Path(path), (suffix,)):
            return kind
    raise InputError(f"{path} names no kind of image; {', '.join(SUFFIXES)} are known")


def suffix_of(path: PathLike) -> str:
    """The suffix of a name of images, as .nii.gz."""
    return next(
        (suffix for suffix in sorted(SUFFIXES, key=len, reverse=True) if has_suffix(Path(path), (suffix,))), ""
    )


def open_images(path: PathLike, *, axis: Axis = "axial", max_gb: float = 4.0) -> FileImages:
    """The images of a file.

    Args:
        axis: that the slices of a NIfTI volume are perpendicular to.
        max_gb: the most gigabytes (1e9 bytes) that the file may declare.

    Raises:
        InputError: no such file, an unknown suffix, damage, or what is said of each kind.
    """
    kind = kind_of(existing(path))
    if kind == "picture":
        return open_picture(path)
    if kind == "tiff":
        return open_tiff(path, max_gb=max_gb)
    if kind == "nifti":
        return open_slices(path, axis, max_gb=max_gb)
    return open_dicom(path, max_gb=max_gb) if kind == "dicom" else open_array(path, max_gb=max_gb)


def check_written(out: PathLike, images: FileImages, channels: int) -> None:
    """Refuses a name for images whose kind of file cannot hold them.

    Raises:
        InputError: what would.
    """
    kind = kind_of(out)
    allowed = WRITTEN[images.kind]
    if images.values.dtype.kind == "c":
        allowed = ("npy",)
    if kind not in allowed:
        known = ", ".join(suffix for suffix, one in SUFFIXES.items() if one in allowed)
        raise InputError(
            f"{out}: images of {Path(images.where).name} can be written as {known}; name the output so"
        )
    if kind == "picture" and len(images.values) > 1:
        raise InputError(
            f"{out} is one picture, and {Path(images.where).name} has {len(images.values)}; name the output .tif or .npy"
        )
    if kind == "picture" and images.dtype == np.uint16 and (channels == 3 or suffix_of(out) != ".png"):
        raise InputError(
            f"{out} holds 8 bits a channel, and {Path(images.where).name} has 16; name the output .tif"
        )
    if kind == "picture" and images.dtype.kind != "u":
        raise InputError(
            f"{out} holds whole numbers, and {Path(images.where).name} has {images.dtype}; name the output .tif or .npy"
        )


def encode_images(
    out: Path,
    values: np.ndarray,
    like: FileImages,
    *,
    factor: float = 1.0,
    first: int = 0,
    patient: bool = False,
    key: str = "",
) -> tuple[bytes, int]:
    """The content of a file of images, and how many values lay outside its range and were cut.

    Args:
        out: whose suffix decides the format.
        values: (slice, channel, height, width), in the units of `like`.
        like: the images that these were made of.
        factor: by how much the pixels are larger than those of `like`.
        first: the slice of `like` that the first of these was made of.
        patient, key: as for `dicom.encode_dicom`.
    """
    kind = kind_of(out)
    if kind == "picture":
        return encode_picture(values[0], suffix_of(out), like.dtype)
    if kind == "tiff":
        return encode_tiff(values, np.dtype(np.float32) if like.kind == "dicom" else like.dtype)
    if kind == "nifti":
        return encode_nifti(out, values, like.place.sliced(first).scaled(factor)), 0
    if kind == "dicom":
        return encode_dicom(values[0], like, factor=factor, patient=patient, key=key)
    return encode_array(values), 0


def spread_name(out: Path, images: FileImages) -> str:
    """The name of the spread beside an output: NIfTI beside NIfTI, else .npy."""
    stem = out.name.removesuffix(suffix_of(out))
    return f"{stem}.spread{suffix_of(out) if images.kind == 'nifti' and kind_of(out) == 'nifti' else '.npy'}"
