"""One slice of a scan, as acquired: what every k-space reader hands out."""

from dataclasses import dataclass

import numpy as np
from torch import Tensor


@dataclass(frozen=True)
class Scan:
    """One slice as acquired, readout oversampling already removed.

    k-space is centred (origin at n // 2) with the readout along height and the phase encode along width;
    the transform that belongs to it is orthonormal.
    """

    name: str  # file stem
    index: int  # slice number in the file
    kspace: Tensor  # (1, coil, height, width) complex64, zeros where not sampled
    mask: Tensor  # (1, width) or (height, width) float32, 1 where sampled
    acs: int | tuple[int, int] | None  # calibration width as stored by the file, None = not stored
    noise: Tensor | None  # (coil, samples) complex64 noise-only samples, scaled like kspace; None without a noise scan
    reference: Tensor | None  # (h, w) float32 magnitude reference stored in the file
    crop: tuple[int, int]  # (h, w) of the reconstructed image, a centre crop that starts at (n - crop) // 2
    pixel_mm: tuple[float, float, float] | None  # (row, column, slice) spacing when the file says so
    affine: np.ndarray | None  # 4x4, (row, column, slice) of the cropped image to RAS mm, only if the file knows it
