"""PNG and JPEG pictures: one decoder for all, upright, every level kept, with a cap on what a header may declare."""

from __future__ import annotations

import io
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO

import numpy as np

from ...errors import InputError
from ..guards import PathLike, existing, require

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = (".png", ".jpg", ".jpeg")
FORMATS = ("PNG", "JPEG")
MAX_PIXELS = 64_000_000
PNG = b"\x89PNG\r\n\x1a\n"
BLOCK = 1 << 20  # bytes read at once
MAX_PICTURE_BYTES = 256_000_000  # of one encoded picture, above what MAX_PIXELS can need
BIT_DEPTH = 24  # where the header of a png, which always comes first, has its bits a channel


@dataclass(frozen=True)
class Decoded:
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


def decode(data: bytes, where: str, *, max_pixels: int = MAX_PIXELS) -> Decoded:
    """An encoded picture, from a file or an archive.

    Args:
        where: its name in messages.
        max_pixels: the most pixels that the header may declare.

    Raises:
        InputError: another format, damage, too many pixels, or 16 bits in colour, of which PIL drops the lower byte.
    """
    from PIL import ImageOps

    with _opened(io.BytesIO(data), where, max_pixels) as picture:
        lossless = picture.format == "PNG"
        deep = lossless and data[BIT_DEPTH] == 16
        require(not deep or picture.mode.startswith("I"),
                f"{where} has 16 bits a channel in colour or with transparency; save it with 8 bits, or 16 bits in grey.")
        check_crc(io.BytesIO(data), where)
        upright = ImageOps.exif_transpose(picture)
        pixels = np.asarray(upright).astype(np.uint16) if deep else np.array(_plain(upright))
        return Decoded(pixels, lossless, picture.mode, _beside(picture))


def picture_size(path: PathLike) -> tuple[int, int]:
    """(height, width) of a picture as `read_picture` gives it, from its header alone.

    Raises:
        InputError: as `read_picture`.
    """
    from PIL import ExifTags

    with existing(path).open("rb") as file, _opened(file, str(path), MAX_PIXELS) as image:
        turned = image.getexif().get(ExifTags.Base.Orientation, 1) >= 5
        return image.size if turned else image.size[::-1]


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


@contextmanager
def _opened(file: IO[bytes], where: str, max_pixels: int) -> Iterator[Image.Image]:
    """The PIL image, its header checked before a pixel is decoded; what fails inside is told as damage."""
    from PIL import Image

    with warnings.catch_warnings():  # sizes are checked here; damaged EXIF also warns
        warnings.simplefilter("ignore")
        try:
            with Image.open(file, formats=FORMATS) as image:
                require(image.width * image.height <= max_pixels,
                        f"{where} declares {image.width} x {image.height} pixels, over the limit of {max_pixels}; "
                        "give it in parts or make it smaller.")
                yield image
        except InputError:
            raise
        except Image.DecompressionBombError as error:
            raise InputError(f"{where} declares over {max_pixels} pixels, the most that is read; give it in parts.") from error
        except Exception as error:  # what a damaged picture makes the decoder throw has no common type
            raise InputError(f"{where} is no complete PNG or JPEG picture (damaged, cut or another format); copy it again or "
                             "convert it to PNG.") from error


def _beside(picture: Image.Image) -> tuple[str, ...]:
    """What a picture comes with beside its pixels."""
    from PIL import ExifTags

    tags = set(picture.getexif()) - {ExifTags.Base.Orientation}
    parts = {"EXIF": bool(tags), "a colour profile": "icc_profile" in picture.info, "a resolution": "dpi" in picture.info}
    return tuple(name for name, there in parts.items() if there)


def _plain(picture: Image.Image) -> Image.Image:
    """The picture in a mode whose array holds grey, grey and alpha, RGB or RGBA."""
    if picture.mode == "P" or "transparency" in picture.info:
        return picture.convert("RGBA")
    if picture.mode == "1":
        return picture.convert("L")
    return picture if picture.mode in ("L", "LA", "RGBA") else picture.convert("RGB")


def _without_alpha(pixels: np.ndarray) -> np.ndarray:
    """(height, width) or (height, width, 3)."""
    if pixels.ndim == 2:
        return pixels
    return np.ascontiguousarray(pixels[..., 0] if pixels.shape[2] == 2 else pixels[..., :3])
