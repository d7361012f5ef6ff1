"""MetaImage (.mha) stacks of 8-bit frames, read and written frame by frame.

Format: MetaIO documentation, "MetaImage" (itk.org): a text header whose last line is `ElementDataFile = LOCAL`, then
the pixels, raw or as one zlib stream, x fastest, channels interleaved.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Generator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from ...errors import InputError
from ...files import FileWriter, NewFile, explained
from ..guards import DEFLATE_LIMIT, PathLike, check_size, existing, require
from .base import MAX_FRAMES, StreamedFrames
from .pictures import MAX_PIXELS

MAX_HEADER = 1 << 16  # bytes; real headers have half a kilobyte
BLOCK = 1 << 20  # compressed bytes read at a time
AUTO = 47  # zlib's window bits for automatic detection of zlib or gzip
SIZE_DIGITS = 19  # width of the header's field for the number that is only known at the end


GEOMETRY = {"TransformMatrix": 2, "Offset": 1, "CenterOfRotation": 1, "ElementSpacing": 1, "ElementSize": 1}  # powers of the axes
SYNONYMS = {"Rotation": "TransformMatrix", "Orientation": "TransformMatrix", "Position": "Offset", "Origin": "Offset"}
DEFAULT_GEOMETRY = {"TransformMatrix": "1 0 0 0 1 0 0 0 1", "Offset": "0 0 0", "CenterOfRotation": "0 0 0",
                    "AnatomicalOrientation": "RAI", "ElementSpacing": "1 1 1"}


@dataclass(frozen=True)
class Geometry:
    """Where the pixels of a stack lie, as its header says it.

    Attributes:
        axes: 2 for one picture, 3 for a stack.
        fields: of the header, by their names: numbers as they were written, and the letters of the orientation.
    """

    axes: int
    fields: Mapping[str, str]


@dataclass(frozen=True)
class MhaHeader:
    """The fields of a stack's text header.

    Attributes:
        shape: (frames, height, width, channels); channels is 1 or 3.
        compressed: the bytes of the zlib stream, -1 when it is compressed but does not say, None when it is raw.
        offset: where the pixels start.
        geometry: where they lie, of two or three axes; None where the colours are an axis of their own.
        notes: fields that make no geometry, one sentence each.
    """

    shape: tuple[int, int, int, int]
    compressed: int | None
    offset: int
    geometry: Geometry | None = None
    notes: tuple[str, ...] = ()


def read_mha_header(path: PathLike, *, max_gb: float = 16.0) -> MhaHeader:
    """The header of a .mha stack of uint8 frames, checked against the file before anything is allocated.

    Raises:
        InputError: no MetaImage, sizes that are no positive numbers, another pixel type, pixels in another file, more than
            `max_gb` (1e9 bytes) in all, or more than the file can hold.
    """
    path = existing(path)
    try:
        with path.open("rb") as file:
            head = file.read(MAX_HEADER)
        stored = path.stat().st_size
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); ask for read permission on it.") from error
    fields, offset = _fields(path, head)
    _plain_bytes(path, fields)
    shape = _shape_of_fields(path, fields)
    size = check_size(str(path), shape, 1, max_gb=max_gb)
    require(shape[0] <= MAX_FRAMES and shape[1] * shape[2] <= MAX_PIXELS,
            f"{path} declares {shape[0]} frames of {shape[2]} x {shape[1]}, more than is read; give it in parts.")
    compressed = None
    if _yes(fields.get("CompressedData", "False")):
        declared = fields.get("CompressedDataSize", "-1")
        compressed = int(declared) if declared.isascii() and declared.isdigit() and len(declared) < SIZE_DIGITS else -1
    needed = size if compressed is None else max(compressed, size // DEFLATE_LIMIT)
    require(stored - offset >= needed, f"{path} holds {stored - offset} bytes of pixels where its header needs "
                                       f"{needed}; it was cut, copy it again.")
    return MhaHeader(shape, compressed, offset, *_geometry(path, fields))


def _fields(path: Path, head: bytes) -> tuple[dict[str, str], int]:
    """The `key = value` lines of the header and where it ends."""
    fields: dict[str, str] = {}
    start = 0
    while (end := head.find(b"\n", start)) >= 0:
        key, equals, value = head[start:end].decode("latin-1").partition("=")
        if not equals:
            break
        fields[key.strip()], start = value.strip(), end + 1
        if key.strip() == "ElementDataFile":
            return fields, start
    raise InputError(f"{path} is no MetaImage (.mha): its text header has no end; export the stack again.")


def _plain_bytes(path: Path, fields: dict[str, str]) -> None:
    """Refuses all but 8-bit pixels in the file itself."""
    place, kind = fields["ElementDataFile"], fields.get("ElementType", "none")
    require(place.upper() == "LOCAL", f"{path} keeps its pixels in another file ({place[:60]!r}); save it as one .mha.")
    require(fields.get("ObjectType", "Image") == "Image", f"{path} is a MetaIO {fields.get('ObjectType')!r:.40}, not an image.")
    require(kind == "MET_UCHAR", f"{path} has pixels of the type {kind[:40]}; convert them to MET_UCHAR (8 bits).")
    require(_yes(fields.get("BinaryData", "True")), f"{path} stores its pixels as text; save it in binary.")
    require(fields.get("HeaderSize", "0") == "0", f"{path} has a second header (HeaderSize); save it again without one.")


def _shape_of_fields(path: Path, fields: dict[str, str]) -> tuple[int, int, int, int]:
    """(frames, height, width, channels) from DimSize = width height [frames], or 3 width height frames without channels."""
    texts = fields.get("DimSize", "").split()
    numbers = [*texts, fields.get("ElementNumberOfChannels", "1")]
    require(0 < len(texts) <= 4 and all(n.isascii() and n.isdigit() and len(n) < 12 and int(n) > 0 for n in numbers),
            f"{path} declares the sizes {' x '.join(numbers)[:60]!r}, which are no positive whole numbers; export it again.")
    require(fields.get("NDims") == str(len(texts)),
            f"{path} says NDims = {fields.get('NDims', 'nothing')[:20]} but lists {len(texts)} sizes; export it again.")
    *dims, channels = (int(n) for n in numbers)
    if len(dims) == 4 and channels == 1:
        channels, dims = dims[0], dims[1:]
    require(len(dims) in (2, 3) and channels in (1, 3),
            f"{path} has {len(dims)} axes and {channels} channels; a stack (width, height, frames) with 1 or 3 is read.")
    width, height, count = (*dims, 1)[:3]
    return count, height, width, channels


def _geometry(path: Path, fields: Mapping[str, str]) -> tuple[Geometry | None, tuple[str, ...]]:
    """The geometry, and what of it cannot be carried over."""
    axes = len(fields["DimSize"].split())
    given = {SYNONYMS.get(key, key): value for key, value in fields.items()}
    if axes not in (2, 3):
        named = sorted(given.keys() & GEOMETRY.keys())
        return None, (f"{path} has {axes} axes, so its {', '.join(named)} are not carried over.",) if named else ()
    found, notes = {}, []
    for key, power in GEOMETRY.items():
        if key not in given:
            continue
        words = given[key].split()
        if len(words) == axes**power and all(_is_finite_number(word) for word in words):
            found[key] = " ".join(words)
        else:
            notes.append(f"{path} gives no {axes**power} numbers as {key}, which is not carried over.")
    letters = given.get("AnatomicalOrientation", "")
    if letters.isalpha() and letters.isascii() and len(letters) == axes:
        found["AnatomicalOrientation"] = letters
    return Geometry(axes, found), tuple(notes)


def _is_finite_number(word: str) -> bool:
    try:
        return len(word) < 40 and math.isfinite(float(word))
    except ValueError:
        return False


def _yes(text: str) -> bool:
    return text.lower() in ("true", "1")


class MhaFrames(StreamedFrames):
    """A .mha stack of uint8 frames, RGB or one channel; raw stacks are read at any place, compressed ones in order."""

    lossless = True

    def __init__(self, path: PathLike, *, max_gb: float = 16.0):
        self.path = Path(path)
        self.where = str(path)
        self.header = read_mha_header(path, max_gb=max_gb)
        self._count, height, width, self.channels = self.header.shape
        self.size = (height, width)
        self.geometry, self.notes = self.header.geometry, self.header.notes

    def __len__(self) -> int:
        return self._count

    def _read(self, index: int) -> np.ndarray:
        if self.header.compressed is not None:
            return super()._read(index)
        size = self._frame_bytes
        with self.path.open("rb") as file:
            file.seek(self.header.offset + index * size)
            return self._picture(file.read(size))

    def _decode(self) -> Generator[np.ndarray, None, None]:
        with self.path.open("rb") as file:
            file.seek(self.header.offset)
            compressed = -1 if self.header.compressed is None else self.header.compressed
            inflated = _ZlibStream(file, compressed, self.where)
            for index in range(self._count):
                data = inflated.read(self._frame_bytes)
                require(len(data) == self._frame_bytes,
                        f"{self.where} ends in frame {index} of {self._count}; it was cut, copy it again.")
                if index == self._count - 1:  # the checksum of it all comes last
                    require(not inflated.read(1), f"{self.where} holds more than its {self._count} frames; export it again.")
                    require(inflated.complete, f"{self.where} lacks its checksum; it was cut, copy it again.")
                yield self._picture(data)

    @property
    def _frame_bytes(self) -> int:
        return self.size[0] * self.size[1] * self.channels

    def _picture(self, data: bytes) -> np.ndarray:
        require(len(data) == self._frame_bytes, f"{self.where} was cut while it was read; copy it again.")
        pixels = np.frombuffer(data, np.uint8).copy()  # writable, and not tied to the bytes
        return pixels.reshape(*self.size, 3) if self.channels == 3 else pixels.reshape(self.size)


class _ZlibStream:
    """The content of a zlib stream, read on in parts; `size` is its length in the file, or -1 up to the end of the file."""

    def __init__(self, file: IO[bytes], size: int, where: str):
        self._file, self._left, self._where = file, size, where
        self._inflate, self._packed = zlib.decompressobj(AUTO), b""

    @property
    def complete(self) -> bool:
        """Whether the end was reached and the checksum is right."""
        return self._inflate.eof

    def read(self, size: int) -> bytes:
        """The next `size` bytes, fewer at the end."""
        parts, missing = [], size
        while missing > 0 and not self._inflate.eof:
            if not self._packed:
                self._packed = self._file.read(BLOCK if self._left < 0 else min(BLOCK, self._left))
                self._left -= len(self._packed) if self._left > 0 else 0
            starved = not self._packed
            try:
                part = self._inflate.decompress(self._packed, missing)
            except zlib.error as error:
                raise InputError(f"{self._where} is damaged ({error}); copy it again.") from error
            self._packed = self._inflate.unconsumed_tail
            parts.append(part)
            missing -= len(part)
            if starved and not part:
                break
        return b"".join(parts)


class MhaWriter(FileWriter):
    """Writes a compressed .mha stack frame by frame; it appears under its name when it is complete.

    Args:
        path: the file; its folder is made when missing.
        size: (height, width).
        count: how many frames will be put.
        channels: 3 for RGB frames, 1 for masks.
        geometry: where the pixels lie, as `MhaFrames` has read it; unit spacing at the origin if not given.
        overwrite: replace an existing file.

    Raises:
        InputError: the file exists and `overwrite` is False, or it cannot be written.
    """

    def __init__(
        self,
        path: PathLike,
        *,
        size: tuple[int, int],
        count: int,
        channels: int = 3,
        geometry: Geometry | None = None,
        overwrite: bool = False,
    ):
        self.path = Path(path)
        self._output = NewFile(self.path, overwrite=overwrite)
        self._shape = (*size, channels) if channels > 1 else size
        self._left, self._packed = count, 0
        self._deflate = zlib.compressobj(6)
        before, after = _header_text(size, count, channels, geometry)
        self._file = self._output.temporary.open("wb")
        self._place = len(before)  # of the number that is filled in at the end
        self._write(before + b" " * SIZE_DIGITS + after)

    def put(self, frame: np.ndarray) -> None:
        """The next frame: (height, width, 3) or (height, width), uint8."""
        require(frame.dtype == np.uint8 and frame.shape == self._shape,
                f"{self.path}: a frame is {frame.dtype} {frame.shape}, not uint8 {self._shape}.")
        require(self._left > 0, f"{self.path} was announced with fewer frames than it is given.")
        self._left -= 1
        self._pack(self._deflate.compress(np.ascontiguousarray(frame).data))

    def _pack(self, data: bytes) -> None:
        self._packed += len(data)
        self._write(data)

    def _write(self, data: bytes) -> None:
        try:
            with explained(self.path):
                self._file.write(data)
        except BaseException:
            self.discard()
            raise

    def close(self) -> None:
        """Completes the file and publishes it; refused, leaving nothing, while frames are missing."""
        try:
            require(self._left == 0, f"{self.path}: {self._left} frames were never written; nothing was saved.")
            with explained(self.path):
                self._pack(self._deflate.flush())
                self._file.seek(self._place)
                self._write(str(self._packed).rjust(SIZE_DIGITS).encode())
                self._file.close()
            self._output.publish()
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        try:
            with suppress(OSError):  # what could not be written is removed in any case
                self._file.close()
        finally:
            self._output.discard()


def _header_text(
    size: tuple[int, int], count: int, channels: int, geometry: Geometry | None
) -> tuple[bytes, bytes]:
    """The header before and after the number of compressed bytes, with the fields that ITK writes."""
    axes = 2 if geometry is not None and geometry.axes == 2 and count == 1 else 3
    carried = geometry.fields if geometry is not None and geometry.axes == axes else {}
    defaults = DEFAULT_GEOMETRY if axes == 3 else {}
    placed = "".join(f"{key} = {value}\n" for key, value in {**defaults, **carried}.items())
    before = (
        f"ObjectType = Image\nNDims = {axes}\nBinaryData = True\nBinaryDataByteOrderMSB = False\nCompressedData = True\n"
        "CompressedDataSize = "
    )
    after = (
        f"\n{placed}DimSize = {size[1]} {size[0]}{f' {count}' if axes == 3 else ''}\n"
        + (f"ElementNumberOfChannels = {channels}\n" if channels > 1 else "")
        + "ElementType = MET_UCHAR\nElementDataFile = LOCAL\n"
    )
    return before.encode(), after.encode()
