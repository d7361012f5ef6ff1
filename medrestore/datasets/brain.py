"""Magnitude slices of brain volumes stored in one .npz, by subject."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..codecs import CalibratedComplex
from ..errors import InputError
from ..io.npz import read_npz
from ..settings import check
from .base import Images

EMPTY = 0.02  # mean of a slice in [0, 1] below which it shows next to nothing


def load_volumes(path: Path | str) -> Tensor:
    """Axial slices as (subject, slice, height, width) in [0, 1], anterior up; empty slices stay empty.

    Args:
        path: an .npz with key `vol`, uint8 (subject, x, y, slice).
    """
    return torch.from_numpy(np.ascontiguousarray(_stored(Path(path)).transpose(0, 3, 2, 1)[:, :, ::-1])).float() / 255


def _stored(path: Path) -> np.ndarray:
    volumes = read_npz(path, "vol", max_gb=4.0)
    if volumes.dtype != np.uint8 or volumes.ndim != 4:
        raise InputError(f"{path}: 'vol' is {volumes.dtype} of {volumes.ndim} axes; uint8 (subject, x, y, slice) is needed.")
    return volumes


@dataclass(eq=False)
class Volumes(Images):
    """Axial magnitude slices of an .npz of volumes, as `load_volumes` turns them; empty slices are skipped.

    The bytes are read once and stay in memory (they are compressed in the file), shared with forked workers.

    Args:
        path: an .npz with key `vol`, uint8 (subject, x, y, slice).
        subjects: [first, last) of those to use, counted from 0; null for all.
    """

    path: Path
    subjects: tuple[int, int] | None = None
    channels, recipe = 1, CalibratedComplex()

    def __post_init__(self) -> None:
        check(self)
        path, stored = self.path, _stored(self.path)
        first, last = self.subjects if self.subjects is not None else (0, len(stored))
        if not 0 <= first < last <= len(stored):
            raise InputError(f"{path} holds the subjects 0 to {len(stored) - 1}; [{first}, {last}] is no range of them.")
        self.first = first
        self._slices = np.ascontiguousarray(stored[first:last].transpose(0, 3, 2, 1)[:, :, ::-1])
        self._kept = np.argwhere(self._slices.mean((2, 3)) > EMPTY * 255)
        if not len(self._kept):
            raise InputError(f"{path}: all slices of the subjects {first} to {last - 1} are empty; give others.")

    def __len__(self) -> int:
        return len(self._kept)

    def __getitem__(self, index: int) -> Tensor:
        subject, at = self._kept[index]
        return torch.from_numpy(self._slices[subject, at])[None].float() / 255

    def group_of(self, index: int) -> str:
        return f"{self.path.stem}: subject {self.first + int(self._kept[index, 0])}"

