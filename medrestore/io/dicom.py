"""Single-frame grey DICOM images. Of the patient only a hash is read, to group images.

pydicom parses them in the child of this process, see `medrestore.child`.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..child import Answer, Limits, shared
from ..errors import InputError
from ..extras import check_extra
from .causes import cause
from .guards import PathLike, check_size, existing, finite

GREY = ("MONOCHROME1", "MONOCHROME2")
USED = ("Rows", "Columns", "BitsAllocated", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation", "PatientID",
        "StudyInstanceUID")  # fmt: skip
RESCALE = {"RescaleSlope": 1.0, "RescaleIntercept": 0.0}  # and what they are where none stands
SPARE, SECONDS, PACE = 256 << 20, 10.0, 1e7  # bytes beside the pixels, seconds, and bytes a second beside them
DECODING = 6  # bytes of memory for each of the pixels: their values as stored, unpacked and in the types between


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
    return _header_of(_look(path, USED)["fields"], path, max_gb=max_gb)


def read_fields(path: PathLike, names: Sequence[str]) -> dict[str, Any]:
    """Fields of the header by name: whole numbers, text (decimal strings as they stand there) and lists of them.

    Those that are missing or empty are left out.

    Raises:
        InputError: no such file, or no DICOM.
    """
    fields: dict[str, Any] = _look(existing(path), names)["fields"]
    return {name: value for name, value in fields.items() if value not in (None, "")}


def _header_of(fields: dict[str, Any], path: Path, *, max_gb: float) -> DicomHeader:
    rows, columns = (_positive_field(fields, name, path) for name in ("Rows", "Columns"))
    frames, samples = fields["NumberOfFrames"] or 1, fields["SamplesPerPixel"] or 1
    kind = fields["PhotometricInterpretation"]
    if frames != 1 or samples != 1 or kind not in GREY:
        what = f"{kind or 'no pixels'}, {frames} frames"
        raise InputError(f"{path} is no grey image of one frame ({what}); convert it or leave it out.")
    check_size(str(path), (rows, columns), max(_positive_field(fields, "BitsAllocated", path) // 8, 1), max_gb=max_gb)
    known = next((str(value) for name in ("PatientID", "StudyInstanceUID") if (value := fields.get(name))), path.stem)
    return DicomHeader(path, (rows, columns), hashlib.sha256(known.encode()).hexdigest()[:16])


def read_dicom(path: PathLike, *, max_gb: float = 1.0) -> np.ndarray:
    """The image (rows, columns) float32 in the units of its rescale slope and intercept; bright is high.

    Raises:
        InputError: as `read_dicom_header`; pixels that are damaged, or compressed in a way that is not installed.
    """
    path = existing(path)
    about = _look(path, USED)
    header = _header_of(about["fields"], path, max_gb=max_gb)
    slope, intercept = _rescale(about["rescale"], path)
    declared = math.prod(header.shape) * max(about["fields"]["BitsAllocated"] // 8, 1)
    try:
        answer = _ask_about_dicom(path, "pixels", declared)
        pixels = answer.array(0, answer.value["type"], answer.value["shape"])
    except OSError as error:
        raise InputError(f"{path} holds pixels that cannot be read ({_short_error(error)}); "
                         "convert it to uncompressed DICOM.") from error
    if pixels.shape != header.shape:
        raise InputError(f"{path} declares {header.shape} pixels but holds {pixels.shape}; export it again.")
    values = finite(pixels.astype(np.float32) * np.float32(slope) + np.float32(intercept), path, "the image")
    return values.max() + values.min() - values if about["fields"]["PhotometricInterpretation"] == GREY[0] else values


def _look(path: Path, names: Sequence[str]) -> dict[str, Any]:
    """What the header says: `fields`, and the values of `rescale` wherever they stand."""
    try:
        found: dict[str, Any] = _ask_about_dicom(path, "fields", 0, names=list(names), rescale=list(RESCALE)).value
    except OSError as error:
        raise InputError(f"{path} is no DICOM file, or damaged ({_short_error(error)}); export it again.") from error
    return found


def _ask_about_dicom(path: Path, question: str, declared: int, **arguments: Any) -> Answer:
    """The answer of the child to a question about an image whose pixels have `declared` bytes.

    Raises:
        OSError: what pydicom says of the file.
        InputError: it is not installed, or crashed, or did not come to an end.
    """
    check_extra("dicom", "pydicom", f"{path} is DICOM, which")
    limits = Limits(SPARE + DECODING * declared, SECONDS + declared / PACE, answer=2 * declared)
    try:
        return shared().ask_once(str(path), question, limits, kind="dicom", **arguments)
    except OSError as error:
        if error.errno is not None:  # of this process
            raise InputError(cause(path, error)) from error
        raise


def _short_error(error: Exception) -> str:
    """What a library said, on one line and not long: it quotes what it could not read."""
    return " ".join(str(error).split())[:200]


def _rescale(stored: dict[str, list[Any]], path: Path) -> tuple[float, float]:
    """Slope and intercept of the values: of the image, else of its functional groups (enhanced images), else 1 and 0.

    A field that is there and empty says as little as one that is missing.
    """
    found = []
    for name, default in RESCALE.items():
        value = next((value for value in stored[name] if value not in (None, "")), default)
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number) or (name == "RescaleSlope" and number == 0):
            raise InputError(f"{path} gives {str(value)[:40]!r} as its {name}, which makes no values of the pixels; "
                             "export it again.")
        found.append(number)
    return found[0], found[1]


def _positive_field(fields: dict[str, Any], name: str, path: Path) -> int:
    value = fields[name]
    if not isinstance(value, int) or value < 1:
        raise InputError(f"{path} says nothing usable of its {name}, so it is no image; leave it out.")
    return value
