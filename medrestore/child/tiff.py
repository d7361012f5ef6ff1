"""Questions about TIFF files, answered in the child: tifffile parses them there, and its codecs unpack them, in one thread."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tifffile

from .opened import OpenFiles, Reply


class Tiffs(OpenFiles[tifffile.TiffFile]):
    """Open TIFF files."""

    def __init__(self) -> None:
        super().__init__()
        logging.getLogger("tifffile").setLevel(logging.CRITICAL + 1)  # a line for every damaged entry of thousands

    def _open(self, path: str, *, locking: bool) -> tifffile.TiffFile:
        return tifffile.TiffFile(path)

    def _close(self, file: tifffile.TiffFile) -> None:
        file.close()

    def _questions(self) -> Mapping[str, Callable[..., Reply]]:
        return {"opened": self._opened, "pixels": self._pixels}

    def _opened(self, number: int) -> Reply:
        """What the first series of images says of itself."""
        pages = self._files[number].series[0]
        first: Any = self._files[number].pages[0]
        return {"axes": pages.axes, "shape": [int(length) for length in pages.shape], "kind": first.photometric.name,
                "type": None if pages.dtype is None else pages.dtype.name}, []

    def _pixels(self, number: int) -> Reply:
        """The values of the first series, in the byte order of this machine."""
        pixels = self._files[number].series[0].asarray(maxworkers=1)
        return None, [np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("="))]
