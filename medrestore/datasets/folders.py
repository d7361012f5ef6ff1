"""Folders of pictures, and the photographs that scikit-image bundles."""

from dataclasses import dataclass
from importlib.resources import files as package_files
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..codecs import CalibratedComplex, Interval
from ..errors import InputError
from ..files import files_in
from ..io.frames import pictures
from ..settings import check, refused
from .base import Images
from .files import find_files, name_group
from .labels import labels_of

# Colour, and no two of the same thing; the second of the stereo pair would be.
PHOTOGRAPHS = ("astronaut.png", "chelsea.png", "coffee.png", "hubble_deep_field.jpg", "ihc.png",
               "motorcycle_left.png",
               "retina.jpg", "rocket.jpg")  # fmt: skip


def as_picture(pixels: np.ndarray) -> Tensor:
    """(h, w, c) uint8 as (c, h, w) in [-1, 1]."""
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 127.5 - 1


@dataclass(eq=False)
class Pictures(Images):
    """PNG and JPEG pictures, in [-1, 1].

    Args:
        files: files, folders (to any depth) or globs; afterwards the pictures that were found, in natural order.
        channels: 3 for RGB, 1 for luminance.
        group: what the pictures of one patient or scene share: `folder`, `file` (the name without suffix), or
            a regular expression that is searched in the path.
        magnitude: whether they are magnitudes of MR images, to be left in [0, 1]; needs one channel.
        interval: [low, high] of the grey values as they are stored, which becomes [-1, 1] (for magnitudes [0, 1]) and is cut
            off there; needed for pictures of 16 bits, whose range no header tells. Needs one channel.
        labels: the class of each picture: `folder` (the name of the folder that it is in), the path of a .csv with the columns
            file and label, or a regular expression that is searched in the path; null where they have none.
    """

    files: str | Path | tuple[str | Path, ...]
    channels: int = 3
    group: str = "folder"
    magnitude: bool = False
    interval: tuple[float, float] | None = None
    labels: str | None = None

    def __post_init__(self) -> None:
        check(self)
        if self.channels not in (1, 3) or (self.magnitude and self.channels != 1):
            raise refused(self, f"channels must be 3 (RGB) or 1 (grey), and 1 for magnitudes, got {self.channels}")
        if self.interval is not None and not (self.channels == 1 and self.interval[0] < self.interval[1]):
            raise refused(self, f"interval must rise and needs channels: 1, got {list(self.interval)} and "
                                f"{self.channels} channels")
        self.files = self._paths = tuple(find_files(self.files, pictures.SUFFIXES, "Pictures"))
        self.recipe = CalibratedComplex() if self.magnitude else Interval(*(self.interval or (0.0, 1.0)))
        deep = [] if self.interval is not None else [path for path in self._paths if pictures.has_16_bits(path)]
        if deep:
            raise InputError(f"{deep[0]} has 16 bits a channel, and no header tells the range of its values; "
                             "state it, as interval: [0, 4095] for 12 bits, with channels: 1, or save it with 8 bits")
        self._groups = [name_group(path, self.group, "Pictures") for path in self._paths]
        self._labels = None if self.labels is None else labels_of(self._paths, self.labels, "Pictures")

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> Tensor:
        if self.interval is None:
            picture = as_picture(pictures.read_picture(self._paths[index], channels=self.channels))
        else:
            low, high = self.interval
            values = pictures.read_values(self._paths[index])
            picture = torch.from_numpy(((values - low) * (2 / (high - low)) - 1).clip(-1, 1))[None]
        return (picture + 1) / 2 if self.magnitude else picture

    def label_of(self, index: int) -> str | None:
        return None if self._labels is None else self._labels[index]

    def group_of(self, index: int) -> str:
        return self._groups[index]


@dataclass(eq=False)
class Photographs(Images):
    """The open photographs that scikit-image bundles, RGB in [-1, 1]; unpacked once, some 20 MB.

    Args:
        names: without suffix; null for eight colour photographs. Others of the bundle may be named, grey ones
            too.
    """

    names: tuple[str, ...] | None = None
    channels, recipe = 3, Interval()

    def __post_init__(self) -> None:
        check(self)
        folder = Path(str(package_files("skimage"))) / "data"
        bundled = {path.stem: path for path in files_in(folder, pictures.SUFFIXES)}
        chosen = self.names if self.names is not None else tuple(Path(name).stem for name in PHOTOGRAPHS)
        unknown = [name for name in chosen if name not in bundled]
        if unknown or not chosen:
            missing = ", ".join(unknown) or "no names"
            raise refused(self, f"names: {missing} given, but the bundle holds {', '.join(bundled)}; choose of these")
        self.files = [bundled[name] for name in chosen]
        self._read: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Tensor:
        if index not in self._read:
            self._read[index] = pictures.read_picture(self.files[index])
        return as_picture(self._read[index])

    def group_of(self, index: int) -> str:
        return self.files[index].stem.removesuffix("_left").removesuffix("_right")
