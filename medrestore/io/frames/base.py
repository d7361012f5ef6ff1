"""Pictures in an order: folders of png and jpg, and the base that .mha stacks and videos share. One is in memory at a time."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...errors import InputError
from ...files import files_in
from ..closing import Closing
from ..guards import PathLike, require
from .pictures import SUFFIXES, decode, read_bytes

if TYPE_CHECKING:
    from .mha import Geometry

MAX_FRAMES = 1_000_000  # of one sequence; ten hours at 25 frames a second


class Frames(Closing):
    """Pictures of one size in an order, decoded one at a time: `frames[i]`, or all of them in turn.

    Also a context manager; `close()` may be called twice.

    Attributes:
        where: the file or folder, for messages.
        size: (height, width) of every picture.
        channels: 3 for RGB, 1 for a single channel.
        lossless: whether the values are those that were stored, as in png and .mha but not in jpg and most videos.
        fps: frames a second, where that is known.
        notes: what was assumed, and what is not carried over, one sentence each.
        geometry: where the pixels of a .mha stack lie; None for others.
        times: seconds of each frame of a video from its first, where they are not evenly spaced.
    """

    where: str
    size: tuple[int, int]
    channels: int
    lossless: bool
    fps: Fraction | None = None
    notes: tuple[str, ...] = ()
    geometry: Geometry | None = None
    times: tuple[Fraction, ...] | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.where!r}: {len(self)} of {_size_text(self.size)})"

    @abstractmethod
    def __len__(self) -> int:
        """The number of pictures."""

    def __getitem__(self, index: int) -> np.ndarray:
        """Picture `index`, counted from 0: (height, width, 3) or (height, width), uint8.

        Raises:
            IndexError: no such picture.
            InputError: it cannot be read, or its size is another than that of the first.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"{self.where} has {len(self)} frames, there is no frame {index}")
        return self._read(index)

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[index] for index in range(len(self)))

    @abstractmethod
    def _read(self, index: int) -> np.ndarray:
        """Picture `index`, which is in range."""

    def frame_name(self, index: int) -> str:
        """The name of picture `index`: the stem of its file, or its number."""
        return f"{index:06d}"

    def close(self) -> None:
        """Closes what is open; reading on opens it again."""


@dataclass(frozen=True)
class FrameFormat:
    """A format of frames of another package, as an entry point of `medrestore.readers` names it.

    Args:
        name: for people.
        suffixes: of its files, in small letters.
        read: opens one.
    """

    name: str
    suffixes: tuple[str, ...]
    read: Callable[[Path], Frames]


class StreamedFrames(Frames):
    """Frames that can only be decoded in order, such as those of a compressed stack or a video.

    Asking for a frame behind the last one starts again from the first.
    """

    _stream: Generator[np.ndarray, None, None] | None = None
    _next: int = 0
    _last: tuple[int, np.ndarray] | None = None

    @abstractmethod
    def _decode(self) -> Generator[np.ndarray, None, None]:
        """All frames from the first; a generator that closes what it opened."""

    def _read(self, index: int) -> np.ndarray:
        if self._last is not None and self._last[0] == index:
            return self._last[1]
        if self._stream is None or index < self._next:
            self.close()
            self._stream = self._decode()
        while True:
            frame = next(self._stream, None)
            if frame is None:
                raise InputError(f"{self.where} ends after {self._next} of {len(self)} frames; copy it again.")
            self._next += 1
            if self._next > index:
                self._last = (index, frame)
                return frame

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
        self._stream, self._next, self._last = None, 0, None


@dataclass(frozen=True)
class PictureEntry:
    """One encoded picture that has not been read yet, on disk or in an archive.

    Attributes:
        where: its name in messages.
        stem: its file name without the suffix.
        read: returns its bytes.
    """

    where: str
    stem: str
    read: Callable[[], bytes]


def file_entry(path: Path) -> PictureEntry:
    """The entry of a file on disk."""
    return PictureEntry(str(path), path.stem, partial(read_bytes, path))


class PictureFrames(Frames):
    """Encoded pictures, png or jpg, in the order given; each is decoded when it is asked for.

    Args:
        where: what they are together, for messages.
        entries: the pictures, at least one.
        kind: "frame" makes RGB of them, "mask" keeps one channel and refuses colour.
    """

    def __init__(self, where: str, entries: Sequence[PictureEntry], *, kind: str = "frame"):
        require(0 < len(entries) <= MAX_FRAMES, f"{where} holds {len(entries)} pictures; from 1 to {MAX_FRAMES} are read.")
        self.where, self._entries, self._kind = where, entries, kind
        self.channels = 1 if kind == "mask" else 3
        data = entries[0].read()
        first, self.lossless = decode_picture(data, entries[0].where, kind=kind)
        self.size = first.shape[:2]
        beside = decode(data, entries[0].where).beside if kind == "frame" else ()
        self.notes = (f"{entries[0].where} comes with {', '.join(beside)}, not carried over.",) if beside else ()

    def __len__(self) -> int:
        return len(self._entries)

    def _read(self, index: int) -> np.ndarray:
        entry = self._entries[index]
        picture, _ = decode_picture(entry.read(), entry.where, kind=self._kind)
        if picture.shape[:2] != self.size:
            raise InputError(f"{entry.where} is {_size_text(picture.shape)} but the first picture there {_size_text(self.size)}; "
                             "frames of one scene have one size.")
        return picture

    def frame_name(self, index: int) -> str:
        return self._entries[index].stem


def decode_picture(data: bytes, where: str, *, kind: str = "frame") -> tuple[np.ndarray, bool]:
    """A png or jpg picture as uint8, upright as its EXIF says, and whether its format is lossless.

    Unlike `read_picture` it takes bytes, which may come from an archive, and refuses what would change a value (16 bits,
    transparency, a mask in colour), because known pixels must come back unchanged.

    Args:
        kind: "frame" gives (height, width, 3) RGB, a grey picture in three equal channels; "mask" gives (height, width),
            from one channel or several equal ones.

    Raises:
        InputError: another format, damage, more than MAX_PIXELS, 16 bits, transparency, or a mask in colour.
    """
    decoded = decode(data, where)
    require(decoded.kind != "CMYK", f"{where} has pixels of the kind CMYK; save it with 8 bits, grey or RGB.")
    require(decoded.pixels.dtype == np.uint8, f"{where} has 16 bits a channel; save it with 8 bits, grey or RGB.")
    pixels = opaque(decoded.pixels, where)
    if kind == "mask":
        return one_channel(pixels, where), decoded.lossless
    return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3))), decoded.lossless


def opaque(pixels: np.ndarray, where: str) -> np.ndarray:
    """(height, width, 1 or 3): the picture without its alpha, which must be opaque."""
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    if pixels.shape[2] in (2, 4):
        require(bool((pixels[..., -1] == 255).all()),
                f"{where} is partly transparent, so its colours are not defined; save it without an alpha channel.")
        pixels = pixels[..., :-1]
    return pixels


def one_channel(pixels: np.ndarray, where: str, *, tolerance: int = 0) -> np.ndarray:
    """(height, width) of a mask in one channel, or in several that differ by at most `tolerance`; colour is refused."""
    if pixels.ndim == 2:
        return pixels
    differ = int((pixels.max(-1).astype(np.int16) - pixels.min(-1)).max())
    require(differ <= tolerance, f"{where} is a mask in colour, which says nothing of what is hidden; "
                                 "save it in grey, 0 and 255 alone.")
    return np.ascontiguousarray(pixels[..., 0])


def picture_files(folder: PathLike) -> list[Path]:
    """The png and jpg files of a folder in natural order; hidden files are left out."""
    return files_in(folder, SUFFIXES)


def _size_text(shape: Sequence[int]) -> str:
    return f"{shape[1]} x {shape[0]}"
