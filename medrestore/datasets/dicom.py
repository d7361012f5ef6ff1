"""Folders of DICOM images."""

import numpy as np
import torch
from torch import Tensor

from ..codecs import CalibratedComplex, Interval
from ..errors import InputError
from ..io.volumes.dicom import read_dicom, read_dicom_header
from .base import Images
from .files import find

QUANTILE = 0.995  # of an image, that becomes 1


class Dicom(Images):
    """Grey DICOM images of one frame each; one patient's share a group, which is a hash.

    Args:
        files: files, folders (to any depth, names that end in .dcm or .ima) or globs.
        interval: [low, high] in the units of the images (Hounsfield units for CT), which becomes [-1, 1] and is cut off there;
            null takes them for magnitudes and scales each so that its 99.5 % quantile is 1.
    """

    channels = 1

    def __init__(self, files: str | tuple[str, ...], *, interval: tuple[float, float] | None = None) -> None:
        if interval is not None and not interval[0] < interval[1]:
            raise InputError(f"dicom: interval must rise, got {list(interval)}.")
        self.interval = interval
        self.recipe = CalibratedComplex() if interval is None else Interval(*interval)
        self.headers = [read_dicom_header(path) for path in find(files, (".dcm", ".ima"), "dicom")]

    def __len__(self) -> int:
        return len(self.headers)

    def __getitem__(self, index: int) -> Tensor:
        image = read_dicom(self.headers[index].path)
        if self.interval is not None:
            low, high = self.interval
            return torch.from_numpy(((image - low) * (2 / (high - low)) - 1).clip(-1, 1))[None]
        return torch.from_numpy((image / max(float(np.quantile(image, QUANTILE)), 1e-12)).clip(0))[None]

    def group(self, index: int) -> str:
        return f"patient {self.headers[index].patient}"
