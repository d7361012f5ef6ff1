"""The encoding part of an ISMRMRD XML header, which fastMRI files carry too.

Only geometry is read. What identifies a patient (subjectInformation, studyInformation, dates) is never looked at.
Schema: Inati et al., "ISMRM Raw data format", Magn. Reson. Med. 77, 2017.
"""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ...errors import InputError
from ..guards import MAX_TEXT
from .epi import Trapezoid

Number = TypeVar("Number", int, float)
_NAMESPACE = "{http://www.ismrm.org/ISMRMRD}"


@dataclass(frozen=True)
class Header:
    """Matrix sizes and fields of view in the order (readout x, phase encode y, partition z)."""

    encoded: tuple[int, int, int]
    recon: tuple[int, int, int]
    encoded_mm: tuple[float, float, float] | None
    recon_mm: tuple[float, float, float] | None
    center: int | None  # the phase encode step at the centre of k-space
    center_partition: int | None  # the second one's
    maximum: int | None  # the last phase encode step
    slices: int | None  # that the scan was to have
    trajectory: str
    calibration: str | None  # embedded, separate, external, interleaved, other
    noise_bandwidth: float | None  # relative receiver noise bandwidth of the noise scan
    trapezoid: Trapezoid | None = None  # the readout gradient of an echo-planar scan, in microseconds

    @property
    def kept_partitions(self) -> int:
        """Partitions that the image of a 3-D scan keeps, as `kept` has it."""
        return self._kept(2)

    @property
    def kept(self) -> tuple[int, int]:
        """(readout, phase encode) samples of the encoded grid that the image keeps: oversampling beyond it goes.

        The recon field of view decides, for the recon matrix may be interpolated; it is the matrix itself where pixels are
        of one size, or no fields of view are known.
        """
        first, second = (self._kept(axis) for axis in (0, 1))
        return first, second

    def _kept(self, axis: int) -> int:
        encoded, recon = self.encoded[axis], self.recon[axis]
        if self.is_interpolated(axis):
            assert self.encoded_mm is not None and self.recon_mm is not None
            recon = round(encoded * self.recon_mm[axis] / self.encoded_mm[axis])
        return max(1, min(encoded, recon))

    def is_interpolated(self, axis: int) -> bool:
        """Whether the recon matrix has pixels of another size than the encoded grid, by more than a pixel in all."""
        if self.encoded_mm is None or self.recon_mm is None:
            return False
        return abs(self.encoded[axis] * self.recon_mm[axis] / self.encoded_mm[axis] - self.recon[axis]) > 1

    @property
    def volume_pixel_mm(self) -> tuple[float, float, float] | None:
        """(row, column, slice) in mm of a 3-D scan, whose rows are partitions and whose slices lie along the readout."""
        if self.encoded_mm is None:
            return None
        readout, column, partition = (mm / size for mm, size in zip(self.encoded_mm, self.encoded, strict=True))
        return partition, column, readout

    @property
    def pixel_mm(self) -> tuple[float, float, float] | None:
        """(row, column, slice) in mm of the encoded grid; the slice is as thick as the recon space says."""
        if self.encoded_mm is None:
            return None
        row, column = (self.encoded_mm[axis] / self.encoded[axis] for axis in (0, 1))
        return row, column, (self.recon_mm or self.encoded_mm)[2] / self.recon[2]


def parse_header(xml: str, where: str) -> Header:
    """The first encoding of an ISMRMRD header. Document types and entities are refused, they can explode or read files."""
    if len(xml) > MAX_TEXT or re.search(r"<!\s*(DOCTYPE|ENTITY)", xml, re.IGNORECASE):
        raise InputError(f"{where}: the XML header declares a document type or is too long, which is refused; export it again.")
    try:
        root = ElementTree.fromstring(xml)
    except (ElementTree.ParseError, ValueError) as error:
        raise InputError(f"{where}: the XML header is damaged ({error}); export the file again.") from error
    encoding = root.find(f"{_NAMESPACE}encoding")
    if encoding is None:
        raise InputError(f"{where}: the XML header describes no encoding; export the file again.")
    limits = "encodingLimits/kspace_encoding_step_1"
    try:
        last = _number_at(encoding, "encodingLimits/slice/maximum", int)
        return Header(
            encoded=_triple(encoding, "encodedSpace/matrixSize", int),
            recon=_triple(encoding, "reconSpace/matrixSize", int),
            encoded_mm=_field_of_view(encoding, "encodedSpace"),
            recon_mm=_field_of_view(encoding, "reconSpace"),
            center=_number_at(encoding, f"{limits}/center", int),
            center_partition=_number_at(encoding, "encodingLimits/kspace_encoding_step_2/center", int),
            maximum=_number_at(encoding, f"{limits}/maximum", int),
            slices=None if last is None else last + 1,
            trajectory=(_text_at(encoding, "trajectory") or "cartesian").lower(),
            calibration=_text_at(encoding, "parallelImaging/calibrationMode"),
            noise_bandwidth=_number_at(root, "acquisitionSystemInformation/relativeReceiverNoiseBandwidth", float),
            trapezoid=_trapezoid_of_header(encoding),
        )
    except (ValueError, TypeError) as error:
        raise InputError(f"{where}: the XML header lacks matrix sizes or limits as numbers; export the file again.") from error


def _trapezoid_of_header(encoding: ElementTree.Element) -> Trapezoid | None:
    """The readout gradient as converters of echo-planar scans describe it; None where any of its times is missing."""
    found: dict[str, float] = {}
    for kind in ("userParameterLong", "userParameterDouble"):
        for one in encoding.findall(f"{_NAMESPACE}trajectoryDescription/{_NAMESPACE}{kind}"):
            name, value = _text_at(one, "name"), _number_at(one, "value", float)
            if name is not None and value is not None:
                found[name] = value
    try:
        return Trapezoid(*(found[name] for name in ("rampUpTime", "flatTopTime", "rampDownTime", "acqDelayTime", "dwellTime")))
    except KeyError:
        return None


def _text_at(element: ElementTree.Element, path: str) -> str | None:
    node = element.find("/".join(_NAMESPACE + part for part in path.split("/")))
    return None if node is None or node.text is None else node.text.strip()


def _number_at(element: ElementTree.Element, path: str, kind: Callable[[str], Number]) -> Number | None:
    text = _text_at(element, path)
    return None if text is None else kind(text)


def _triple(element: ElementTree.Element, path: str, kind: Callable[[str], Number]) -> tuple[Number, Number, Number]:
    """Three positive numbers; raises ValueError where they are missing or out of range."""
    x, y, z = (kind(_text_at(element, f"{path}/{axis}") or "") for axis in "xyz")
    if not all(0 < value < 65536 for value in (x, y, z)):
        raise ValueError((x, y, z))
    return x, y, z


def _field_of_view(element: ElementTree.Element, space: str) -> tuple[float, float, float] | None:
    """Field of view in mm; None when it is absent or, as anonymisers leave it, zero."""
    try:
        return _triple(element, f"{space}/fieldOfView_mm", float)
    except (ValueError, TypeError):
        return None
