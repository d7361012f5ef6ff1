"""PNG and JPEG pictures: one decoder for all, upright, every level kept, with a cap on what a header may declare.

Pillow decodes them in the child of this process, see `medrestore.child`.
"""

from __future__ import annotations

import io
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ...child import Answer, Limits, shared
from ...errors import InputError
from ..causes import cause
from ..guards import PathLike, existing, require

SUFFIXES = (".png", ".jpg", ".jpeg")
MAX_PIXELS = 64_000_000
PNG = b"\x89PNG\r\n\x1a\n"
BLOCK = 1 << 20  # bytes read at once
MAX_PICTURE_BYTES = 256_000_000  # of one encoded picture, above what MAX_PIXELS can need
SPARE, PIXEL_BYTES, SECONDS = 256 << 20, 24, 20.0  # what decoding may take: bytes, bytes a pixel that is read, computing time
BIT_DEPTH = 24  # where the header of a png, which always comes first, has its bits a channel


@dataclass(frozen=True)
class DecodedPicture:
    """A picture as it is stored, turned upright as its EXIF says.

    Attributes:
        pixels: (height, width) or (height, width, channels): grey, grey and alpha, RGB or RGBA; uint8, or uint16 for
            grey pictures of 16 bits.
        lossless: whether the format keeps every value.
        kind: the mode that PIL has for what is stored, such as L, RGB, P, CMYK.
        beside: what lies in the file beside the pixels, for people; the orientation aside, which was followed.
    """

    pixels: np.ndarray
    lossless: bool
    kind: str
    beside: tuple[str, ...] = ()


def decode(data: bytes, where: str, *, max_pixels: int = MAX_PIXELS) -> DecodedPicture:
    """An encoded picture, from a file or an archive.

    Args:
        where: its name in messages.
        max_pixels: the most pixels that the header may declare.

    Raises:
        InputError: another format, damage, too many pixels, or 16 bits in colour, of which PIL drops the lower byte.
    """
    check_crc(io.BytesIO(data), where)
    answer = _ask_about_picture("decoded", data, where, max_pixels)
    about = answer.value
    require("deep" not in about,
            f"{where} has 16 bits a channel in colour or with transparency; save it with 8 bits, or 16 bits in grey.")
    pixels = answer.array(0, about["type"], about["shape"])
    return DecodedPicture(pixels, bool(about["lossless"]), str(about["kind"]), tuple(map(str, about["beside"])))


def picture_size(path: PathLike) -> tuple[int, int]:
    """(height, width) of a picture as `read_picture` gives it, from its header alone.

    Raises:
        InputError: as `read_picture`.
    """
    height, width = _ask_about_picture("size", read_bytes(path), str(path), MAX_PIXELS).value["size"]
    return int(height), int(width)


def has_16_bits(path: PathLike) -> bool:
    """Whether a file is a png of 16 bits a channel, from its first bytes alone."""
    with existing(path).open("rb") as file:
        head = file.read(BIT_DEPTH + 1)
    return head.startswith(b"\x89PNG") and head[BIT_DEPTH:] == b"\x10"


def read_picture(path: PathLike, *, channels: int = 3, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """A PNG or JPEG as (height, width, channels) uint8; transparency is dropped, palettes are looked up.

    Args:
        channels: 3 for RGB, 1 for luminance.
        max_pixels: the most pixels that the header may declare.

    Raises:
        InputError: no such file, another format, damaged, too large, or 16 bits a channel, of which 8 would be lost.
    """
    from PIL import Image

    decoded = decode(read_bytes(path), str(path), max_pixels=max_pixels)
    require(decoded.pixels.dtype == np.uint8,
            f"{path} has 16 bits a channel, of which 8 would be lost; save it with 8 bits, or, to learn from it, state the "
            "interval of its values.")
    picture = Image.fromarray(_without_alpha(decoded.pixels))
    pixels = np.asarray(picture.convert("RGB" if channels == 3 else "L"))
    return pixels if channels == 3 else pixels[..., None]


def check_crc(file: BinaryIO, where: str) -> None:
    """Refuses a PNG in which the CRC of a chunk is wrong, which PIL does not look at; any other file passes.

    Raises:
        InputError: it is damaged.
    """
    if file.read(len(PNG)) != PNG:
        return
    while len(head := file.read(8)) == 8:
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        crc = zlib.crc32(kind)
        while length > 0 and (block := file.read(min(length, BLOCK))):
            crc, length = zlib.crc32(block, crc), length - len(block)
        if length > 0 or file.read(4) != crc.to_bytes(4, "big"):
            raise InputError(f"{where} is damaged: the checksum of one of its parts is wrong; copy it again.")
        if kind == b"IEND":
            return
    raise InputError(f"{where} is cut off; copy it again.")


def read_values(path: PathLike, *, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """A grey picture of 8 or 16 bits as (height, width) float32, every value as it is stored.

    Raises:
        InputError: as `read_picture`, 16 bits aside; a picture in colour.
    """
    pixels = _without_alpha(decode(read_bytes(path), str(path), max_pixels=max_pixels).pixels)
    require(pixels.ndim == 2,
            f"{path} is in colour, and an interval is of grey values; save it in grey, or leave the interval out.")
    return pixels.astype(np.float32)


def read_bytes(path: PathLike) -> bytes:
    """An encoded picture as it lies on disk.

    Raises:
        InputError: no such file, one that is too large for a picture, or one that cannot be read.
    """
    try:
        size = existing(path).stat().st_size
        require(size <= MAX_PICTURE_BYTES, f"{path} has {size} bytes, more than a picture can have; give a picture.")
        return Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); ask for read permission on it.") from error


def _ask_about_picture(question: str, data: bytes, where: str, max_pixels: int) -> Answer:
    """What the child says of a picture, whose header it looks at before it decodes a pixel."""
    limits = Limits(SPARE + PIXEL_BYTES * max_pixels, SECONDS, answer=4 * max_pixels)
    try:
        answer = shared().ask_once(where, question, limits, kind="picture", data=data, largest=max_pixels)
    except OSError as error:
        if error.errno is not None:  # of this process
            raise InputError(cause(where, error)) from error
        raise InputError(f"{where} is no complete PNG or JPEG picture (damaged, cut or another format); copy it again or "
                         "convert it to PNG.") from error
    if "large" in answer.value:
        width, height = answer.value["large"]
        raise InputError(f"{where} declares {width} x {height} pixels, over the limit of {max_pixels}; "
                         "give it in parts or make it smaller.")
    return answer


def _without_alpha(pixels: np.ndarray) -> np.ndarray:
    """(height, width) or (height, width, 3)."""
    if pixels.ndim == 2:
        return pixels
    return np.ascontiguousarray(pixels[..., 0] if pixels.shape[2] == 2 else pixels[..., :3])
