"""Photographs and frames: PNG and JPEG, upright, with a cap on what a header may declare."""

from __future__ import annotations

import warnings
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from ...errors import InputError
from ..guards import PathLike, existing

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = (".png", ".jpg", ".jpeg")
MAX_PIXELS = 64_000_000
PNG = b"\x89PNG\r\n\x1a\n"
BLOCK = 1 << 20  # bytes read at once


def picture_size(path: PathLike) -> tuple[int, int]:
    """(height, width) of a picture as `read_picture` gives it, from its header alone.

    Raises:
        InputError: as `read_picture`.
    """
    from PIL import ExifTags

    with _opened(existing(path), MAX_PIXELS) as image:
        turned = image.getexif().get(ExifTags.Base.Orientation, 1) >= 5
        return image.size if turned else image.size[::-1]


def read_picture(path: PathLike, *, channels: int = 3, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """A PNG or JPEG as (height, width, channels) uint8, turned as its EXIF orientation says.

    Transparency is dropped, palettes are looked up, 16-bit grey values lose their lower byte.

    Args:
        channels: 3 for RGB, 1 for luminance.
        max_pixels: the most pixels that the header may declare.

    Raises:
        InputError: no such file, another format, damaged, or too large.
    """
    from PIL import Image, ImageOps

    path = existing(path)
    with _opened(path, max_pixels) as image:
        with path.open("rb") as file:
            check_crc(file, str(path))
        try:
            upright = ImageOps.exif_transpose(image)
            if upright.mode.startswith("I"):  # 16 bits: PIL would clip, not scale
                upright = Image.fromarray((np.asarray(upright).astype(np.uint32).clip(0, 0xFFFF) >> 8).astype(np.uint8))
            pixels = np.asarray(upright.convert("RGB" if channels == 3 else "L"))
        except (OSError, ValueError, SyntaxError, EOFError) as error:
            raise InputError(f"{path} is damaged ({error}); copy it again.") from error
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


def _opened(path: Path, max_pixels: int) -> Image.Image:
    """The PIL image with its header checked and no pixel read."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the cap below is stricter
            image = Image.open(path, formats=("PNG", "JPEG"))
    except UnidentifiedImageError as error:
        raise InputError(f"{path} is no PNG or JPEG picture, or damaged; convert it to PNG.") from error
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f"{path} cannot be opened as a picture ({error}); copy it again.") from error
    width, height = image.size
    if width * height > max_pixels:
        image.close()
        raise InputError(f"{path} declares {width} x {height} pixels, over the limit of {max_pixels}; make it smaller.")
    return image
