"""Questions about PNG and JPEG pictures, answered in the child: Pillow and its libraries parse them there."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageOps

from .opened import OpenFiles, Reply

FORMATS = ("PNG", "JPEG")
BIT_DEPTH = 24  # where the header of a png, which always comes first, has its bits a channel


class Pictures(OpenFiles[None]):
    """Pictures by their content, which comes with each question."""

    def __init__(self) -> None:
        super().__init__()
        warnings.simplefilter("ignore")  # of damaged EXIF
        Image.MAX_IMAGE_PIXELS = None  # the size is looked at below

    def _open(self, path: str, *, locking: bool) -> None:
        return None

    def _questions(self) -> Mapping[str, Callable[..., Reply]]:
        return {"size": self._size, "decoded": self._decoded}

    def _size(self, number: int, data: np.ndarray, largest: int) -> Reply:
        """(height, width) of the picture upright, from its header."""
        with Image.open(io.BytesIO(data.data), formats=FORMATS) as picture:
            if picture.width * picture.height > largest:
                return {"large": picture.size}, []
            turned = picture.getexif().get(ExifTags.Base.Orientation, 1) >= 5
            return {"size": picture.size if turned else picture.size[::-1]}, []

    def _decoded(self, number: int, data: np.ndarray, largest: int) -> Reply:
        """What the picture is, and its pixels, upright; a word in place of them where it is not decoded.

        Args:
            largest: pixels that the header may declare.
        """
        with Image.open(io.BytesIO(data.data), formats=FORMATS) as picture:
            if picture.width * picture.height > largest:
                return {"large": picture.size}, []
            about = {"lossless": picture.format == "PNG", "kind": picture.mode, "beside": beside(picture)}
            deep = about["lossless"] and data[BIT_DEPTH] == 16
            if deep and not picture.mode.startswith("I"):
                return {"deep": True}, []
            upright = ImageOps.exif_transpose(picture)
            pixels = np.asarray(upright).astype(np.uint16) if deep else np.array(as_stored(upright))
        return about | {"shape": pixels.shape, "type": pixels.dtype.name}, [np.ascontiguousarray(pixels)]


def beside(picture: Image.Image) -> list[str]:
    """What a picture comes with beside its pixels."""
    tags = set(picture.getexif()) - {ExifTags.Base.Orientation}
    parts: dict[str, Any] = {"EXIF": tags, "a colour profile": "icc_profile" in picture.info,
                             "a resolution": "dpi" in picture.info}
    return [name for name, there in parts.items() if there]


def as_stored(picture: Image.Image) -> Image.Image:
    """The picture in a mode whose array holds grey, grey and alpha, RGB or RGBA."""
    if picture.mode == "P" or "transparency" in picture.info:
        return picture.convert("RGBA")
    if picture.mode == "1":
        return picture.convert("L")
    return picture if picture.mode in ("L", "LA", "RGBA") else picture.convert("RGB")
