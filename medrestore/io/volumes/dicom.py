"""Single-frame grey DICOM images. Of the patient only a hash is read, to group images."""

from __future__ import annotations

import hashlib
import io
import math
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import InputError
from ...extras import extra
from ..guards import PathLike, check_size, existing, finite

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.dataset import FileMetaDataset

GREY = ("MONOCHROME1", "MONOCHROME2")
DEFLATED = "1.2.840.10008.1.2.1.99"  # the transfer syntax whose data set is one zlib stream
LONGEST_HEADER = 16 << 20  # bytes of a deflated data set without its pixels; real ones have some kilobytes
PREAMBLE, META = 132, 2  # bytes before the meta information of a file, and the group of its elements
PIXELS = (0x7FE0, 0x0010)  # the tag of the pixels, which are last


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
    with _explained(path):
        return _header(_read(path, pixels=False), path, max_gb=max_gb)


def _header(dataset: Dataset, path: Path, *, max_gb: float) -> DicomHeader:
    rows, columns = (_whole(dataset, name, path) for name in ("Rows", "Columns"))
    _check(dataset, path)
    check_size(str(path), (rows, columns), max(_whole(dataset, "BitsAllocated", path) // 8, 1), max_gb=max_gb)
    known = next((str(value) for name in ("PatientID", "StudyInstanceUID") if (value := dataset.get(name))), path.stem)
    return DicomHeader(path, (rows, columns), hashlib.sha256(known.encode()).hexdigest()[:16])


def read_dicom(path: PathLike, *, max_gb: float = 1.0) -> np.ndarray:
    """The image (rows, columns) float32 in the units of its rescale slope and intercept; bright is high.

    Raises:
        InputError: as `read_dicom_header`; pixels that are damaged, or compressed in a way that is not installed.
    """
    header = read_dicom_header(path, max_gb=max_gb)
    with _explained(header.path):
        dataset = _read(header.path, pixels=True)
        slope, intercept = _rescale(dataset, header.path)
    dataset.SamplesPerPixel, dataset.NumberOfFrames = 1, 1  # as `_check` has read them, also where they are there and empty
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pydicom warns of odd but harmless padding
            pixels = np.asarray(dataset.pixel_array)
    except Exception as error:  # pydicom's decoders raise whatever their libraries do
        raise InputError(f"{path} holds pixels that cannot be read ({_line(error)}); "
                         "convert it to uncompressed DICOM.") from error
    if pixels.shape != header.shape:
        raise InputError(f"{path} declares {header.shape} pixels but holds {pixels.shape}; export it again.")
    values = finite(pixels.astype(np.float32) * np.float32(slope) + np.float32(intercept), path, "the image")
    return values.max() + values.min() - values if dataset.PhotometricInterpretation == GREY[0] else values


def _read(path: Path, *, pixels: bool) -> Dataset:
    with extra("dicom", f"{path} is DICOM, which"):
        import pydicom
    meta = pydicom.filereader.read_file_meta_info(path)
    if meta.get("TransferSyntaxUID") == DEFLATED:
        return _deflated(path, meta, pixels=pixels)
    return pydicom.dcmread(path, stop_before_pixels=not pixels)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Whatever pydicom says of a damaged file, also when an element is first asked for, as an `InputError`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of values that break the standard, common and harmless
            yield
    except InputError:
        raise
    except Exception as error:  # it raises nearly anything
        raise InputError(f"{path} is no DICOM file, or damaged ({_line(error)}); export it again.") from error


def _line(error: Exception) -> str:
    """What a library said, on one line and not long: it quotes what it could not read."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def _deflated(path: Path, meta: FileMetaDataset, *, pixels: bool) -> Dataset:
    """The data set of a deflated file: no more of it is unpacked than its header, and the pixels that this declares."""
    from pydicom.filereader import read_dataset
    from pydicom.tag import BaseTag, Tag

    def at_pixels(tag: BaseTag, *_: Any) -> bool:
        return tag >= Tag(PIXELS)

    def past_meta(tag: BaseTag, *_: Any) -> bool:
        return tag.group != META

    with path.open("rb") as file:
        file.seek(PREAMBLE)
        read_dataset(file, is_implicit_VR=False, is_little_endian=True, stop_when=past_meta)
        packed = file.read()
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    head = stream.decompress(packed, LONGEST_HEADER)
    dataset = read_dataset(io.BytesIO(head), is_implicit_VR=False, is_little_endian=True, stop_when=at_pixels)
    if pixels:
        declared = math.prod(_whole(dataset, name, path) for name in ("Rows", "Columns", "BitsAllocated")) // 8
        whole = head + stream.decompress(stream.unconsumed_tail, declared + 1)
        if stream.unconsumed_tail and len(whole) > LONGEST_HEADER + declared:
            raise InputError(f"{path} unpacks to more than the {declared} bytes of pixels that it declares; export it again.")
        dataset = read_dataset(io.BytesIO(whole), is_implicit_VR=False, is_little_endian=True)
    dataset.file_meta = meta
    return dataset


def _rescale(dataset: Dataset, path: Path) -> tuple[float, float]:
    """Slope and intercept of the values: of the image, else of its functional groups (enhanced images), else 1 and 0.

    A field that is there and empty says as little as one that is missing.
    """
    places = [dataset]
    for groups in ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"):
        for group in list(dataset.get(groups) or [])[:1]:
            places += list(group.get("PixelValueTransformationSequence") or [])[:1]
    found = []
    for name, default in (("RescaleSlope", 1.0), ("RescaleIntercept", 0.0)):
        values = [place.get(name) for place in places]
        value = next((value for value in values if value not in (None, "")), default)
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number) or (name == "RescaleSlope" and number == 0):
            raise InputError(f"{path} gives {str(value)[:40]!r} as its {name}, which makes no values of the pixels; "
                             "export it again.")
        found.append(number)
    return found[0], found[1]


def _check(dataset: Dataset, path: Path) -> None:
    frames, samples = dataset.get("NumberOfFrames") or 1, dataset.get("SamplesPerPixel") or 1
    kind = dataset.get("PhotometricInterpretation")
    if frames != 1 or samples != 1 or kind not in GREY:
        what = f"{kind or 'no pixels'}, {frames} frames"
        raise InputError(f"{path} is no grey image of one frame ({what}); convert it or leave it out.")


def _whole(dataset: Dataset, name: str, path: Path) -> int:
    value: Any = dataset.get(name)
    if not isinstance(value, int) or value < 1:
        raise InputError(f"{path} says nothing usable of its {name}, so it is no image; leave it out.")
    return int(value)
