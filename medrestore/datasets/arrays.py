"""Images that are already one array: .npz archives."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..codecs import CalibratedComplex, Interval
from ..errors import InputError
from ..io.npz import npz_names, read_npz
from ..settings import check
from .base import Images


@dataclass(eq=False)
class Arrays(Images):
    """The images of an .npz, (n, height, width) or (n, height, width, channels); read once and held in memory
    as stored.

    Complex arrays become (real, imaginary), scaled so that the 99 % quantile of each image's magnitude is 1.
    Bytes are pictures from 0 to 255. Other numbers need `interval`, or are magnitudes if they have one
    channel, scaled in the same way.

    Args:
        path: the .npz.
        key: name of the array; null where there is one only.
        group: name of an array of n texts or numbers that tell patients or scenes apart; null takes the file
            as one.
        interval: [low, high] of the values, which becomes [-1, 1].
        labels: name of an array of n texts or numbers that are the classes of the images; null where they have none.
    """

    path: Path
    key: str | None = None
    group: str | None = None
    interval: tuple[float, float] | None = None
    labels: str | None = None

    def __post_init__(self) -> None:
        check(self)
        path, key, group, interval = self.path, self.key, self.group, self.interval
        names = npz_names(path)
        if key is None and len(names) != 1:
            raise InputError(f"{path} holds {', '.join(names) or 'nothing'}; name one, as key=NAME.")
        images = read_npz(path, key if key is not None else names[0])
        if images.dtype == bool:
            raise InputError(f"{path}: its array is true or false, which is a mask and no images; give another.")
        self._images = images[..., None] if images.ndim == 3 else images
        if images.ndim not in (3, 4) or self._images.shape[-1] not in (1, 2, 3):
            raise InputError(f"{path}: its array has the shape {images.shape}; (n, height, width[, 1 to 3 channels]) is needed.")
        self._complex = images.dtype.kind == "c"
        if self._complex and (self._images.shape[-1] != 1 or interval is not None):
            raise InputError(f"{path}: complex images have one channel and no interval; leave it out.")
        bounds = (0.0, 255.0) if interval is None and images.dtype == np.uint8 else interval
        if bounds is not None and not bounds[0] < bounds[1]:
            raise InputError(f"{path}: interval must rise, got {list(bounds)}.")
        if bounds is None and not self._complex and self._images.shape[-1] != 1:
            raise InputError(f"{path}: which values are dark and bright is not known; give interval: [low, high].")
        self._bounds = bounds
        self.channels = 2 if self._complex else self._images.shape[-1]
        self.recipe = CalibratedComplex() if bounds is None else Interval() if interval is None else Interval(*interval)
        self._groups = _texts(read_npz(path, group, text=True), len(images), f"{path}: {group!r}") if group is not None else None
        named = None if self.labels is None else read_npz(path, self.labels, text=True)
        self._labels = None if named is None else _texts(named, len(images), f"{path}: {self.labels!r}")

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> Tensor:
        image = self._images[index]
        if self._bounds is not None:
            low, high = self._bounds
            scaled = (image.astype(np.float32) - low) * (2 / (high - low)) - 1
        else:
            magnitude = np.abs(image[..., 0])
            scaled = image / max(float(np.quantile(magnitude, CalibratedComplex().quantile)), 1e-12)
            scaled = np.concatenate([scaled.real, scaled.imag], -1) if self._complex else scaled.clip(0)
        if not np.isfinite(scaled).all():
            raise InputError(f"{self.path}: image {index} holds NaN or infinite values; leave it out.")
        return torch.from_numpy(np.ascontiguousarray(scaled.transpose(2, 0, 1), dtype=np.float32))

    def label_of(self, index: int) -> str | None:
        return None if self._labels is None else self._labels[index]

    def group_of(self, index: int) -> str:
        return self.path.stem if self._groups is None else self._groups[index]


def _texts(values: np.ndarray, count: int, where: str) -> list[str]:
    if values.shape != (count,):
        raise InputError(f"{where} has the shape {values.shape}, but one entry for each of the {count} images is needed.")
    return [value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for value in values.tolist()]
