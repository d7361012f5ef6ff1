"""Folders of DICOM images."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..codecs import CalibratedComplex, Interval
from ..io.dicom import read_dicom, read_dicom_header
from ..settings import check, refused
from .base import Images
from .files import find_files

QUANTILE = 0.995  # of an image, that becomes 1


@dataclass(eq=False)
class Dicom(Images):
    """Grey DICOM images of one frame each; one patient's share a group, which is a hash.

    Args:
        files: files, folders (to any depth, names that end in .dcm or .ima) or globs.
        interval: [low, high] in the units of the images (Hounsfield units for CT), which becomes [-1, 1] and
            is cut off there; null takes them for magnitudes and scales each so that its 99.5 % quantile is 1.
    """

    files: str | tuple[str, ...]
    interval: tuple[float, float] | None = None
    channels = 1

    def __post_init__(self) -> None:
        check(self)
        if self.interval is not None and not self.interval[0] < self.interval[1]:
            raise refused(self, f"interval must rise, got {list(self.interval)}")
        self.recipe = CalibratedComplex() if self.interval is None else Interval(*self.interval)
        self.headers = [read_dicom_header(path) for path in find_files(self.files, (".dcm", ".ima"), "Dicom")]

    def __len__(self) -> int:
        return len(self.headers)

    def __getitem__(self, index: int) -> Tensor:
        image = read_dicom(self.headers[index].path)
        if self.interval is not None:
            low, high = self.interval
            return torch.from_numpy(((image - low) * (2 / (high - low)) - 1).clip(-1, 1))[None]
        return torch.from_numpy((image / max(float(np.quantile(image, QUANTILE)), 1e-12)).clip(0))[None]

    def group_of(self, index: int) -> str:
        return f"patient {self.headers[index].patient}"
