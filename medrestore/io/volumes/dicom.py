"""Single-frame grey DICOM images. Of the patient only a hash is read, to group images."""

from __future__ import annotations

import hashlib
import io
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import InputError
from ..guards import PathLike, check_size, existing, finite, require

if TYPE_CHECKING:
    from pydicom import Dataset

LARGEST_DEFLATED = 512 << 20  # bytes of a deflated file when it is unpacked
BLOCK = 1 << 20  # bytes unpacked at a time
GREY = ("MONOCHROME1", "MONOCHROME2")


@dataclass(frozen=True)
class DicomHeader:
    """The header fields of a DICOM image.

    Attributes:
        path: the file.
        shape: (rows, columns).
        patient: the first 16 digits of the SHA-256 of the patient's identifier; of the study's where there is none.
    """

    path: Path
    shape: tuple[int, int]
    patient: str


def read_dicom_header(path: PathLike, *, max_gb: float = 1.0) -> DicomHeader:
    """The header of one image, its pixels unread.

    Args:
        max_gb: the most gigabytes (1e9 bytes) that the pixels may declare.

    Raises:
        InputError: no DICOM, no pixels, several frames, colour, or too large.
    """
    path = existing(path)
    dataset = _read(path, pixels=False)
    rows, columns = (_whole(dataset, name, path) for name in ("Rows", "Columns"))
    _check(dataset, path)
    check_size(str(path), (rows, columns), max(_whole(dataset, "BitsAllocated", path) // 8, 1), max_gb=max_gb)
    known = next((str(value) for name in ("PatientID", "StudyInstanceUID") if (value := _value(dataset, name, path))), path.stem)
    return DicomHeader(path, (rows, columns), hashlib.sha256(known.encode()).hexdigest()[:16])


def read_dicom(path: PathLike, *, max_gb: float = 1.0) -> np.ndarray:
    """The image (rows, columns) float32 in the units of its rescale slope and intercept; bright is high.

    Raises:
        InputError: as `read_dicom_header`; pixels that are damaged, or compressed in a way that is not installed.
    """
    header = read_dicom_header(path, max_gb=max_gb)
    dataset = _read(header.path, pixels=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom warns of odd but harmless padding
            pixels = np.asarray(dataset.pixel_array)
        slope, intercept = (float(dataset.get(name, 1 - at)) for at, name in enumerate(("RescaleSlope", "RescaleIntercept")))
    except Exception as error:  # pydicom's decoders raise whatever their libraries do
        raise InputError(
            f"{path} holds pixels that cannot be read ({_line(error)}); convert it to uncompressed DICOM."
        ) from error
    if pixels.shape != header.shape:
        raise InputError(f"{path} declares {header.shape} pixels but holds {pixels.shape}; export it again.")
    values = finite(pixels.astype(np.float32) * np.float32(slope) + np.float32(intercept), path, "the image")
    return values.max() + values.min() - values if dataset.PhotometricInterpretation == GREY[0] else values


def _read(path: Path, *, pixels: bool) -> Dataset:
    try:
        import pydicom
    except ModuleNotFoundError as error:
        raise InputError(f"{path} is DICOM, which needs pydicom; pip install medrestore[dicom].") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of values that break the standard, common and harmless
            with _Stream(path) as stream:
                return pydicom.dcmread(stream, stop_before_pixels=not pixels)
    except InputError:
        raise
    except Exception as error:  # a damaged file makes it raise nearly anything
        raise InputError(f"{path} is no DICOM file, or damaged ({_line(error)}); export it again.") from error


class _Stream(io.BufferedReader):
    """A file that pydicom reads to its end at once only where it is deflated, and then unpacks as a whole."""

    def __init__(self, path: Path) -> None:
        super().__init__(io.FileIO(path))
        self.path = path

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        if size is None or size < 0:
            inflate, left, count = zlib.decompressobj(-zlib.MAX_WBITS), data, 0
            while left and count <= LARGEST_DEFLATED and not inflate.eof:
                count += len(inflate.decompress(left, BLOCK))
                left = inflate.unconsumed_tail
            require(count <= LARGEST_DEFLATED, f"{self.path} unpacks to more than {LARGEST_DEFLATED >> 20} MiB; "
                                               "convert it to uncompressed DICOM.")
        return data


def _check(dataset: Dataset, path: Path) -> None:
    frames, samples = _value(dataset, "NumberOfFrames", path) or 1, _value(dataset, "SamplesPerPixel", path, 1)
    kind = _value(dataset, "PhotometricInterpretation", path)
    if frames != 1 or samples != 1 or kind not in GREY:
        what = f"{kind or 'no pixels'}, {frames} frames"
        raise InputError(f"{path} is no grey image of one frame ({what}); convert it or leave it out.")


def _value(dataset: Dataset, name: str, path: Path, default: Any = None) -> Any:
    """An element of the header, which pydicom parses when it is asked for."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return dataset.get(name, default)
    except Exception as error:  # of nearly any kind, for a damaged one
        raise InputError(f"{path} has a damaged {name} ({_line(error)}); export it again.") from error


def _line(error: Exception) -> str:
    """What a library said, on one line and not long: it quotes what it could not read."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def _whole(dataset: Dataset, name: str, path: Path) -> int:
    value = _value(dataset, name, path)
    if not isinstance(value, int) or value < 1:
        raise InputError(f"{path} says nothing usable of its {name}, so it is no image; leave it out.")
    return int(value)
