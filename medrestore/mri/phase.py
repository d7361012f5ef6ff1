"""The phase of an image, from the centre of its k-space."""

import torch
from torch import Tensor

from ..errors import InputError
from ..fft import ifft2c
from .sampling import calibration_region

DEVIATION = 0.1  # of the local brightness, that an image is out of its low-resolution phase (docs/mri.md)
FLOOR = 0.1  # of the brightest, that is added to it: where the image is dark its phase is not known


def centre_image(kspace: Tensor, mask: Tensor, maps: Tensor) -> Tensor:
    """The image (1, 1, h, w) complex64 of the part of the fully sampled centre that is symmetric, Hamming-apodised.

    A centre that reaches further on one side has the phase of a shifted window.

    Args:
        kspace: (1, coil, h, w).
        mask: (1, w) or (h, w).
        maps: (1, coil, h, w).

    Raises:
        InputError: the centre of k-space is not sampled.
    """
    regions = calibration_region(mask)
    window = torch.ones(1, 1, device=kspace.device)
    for axis, (region, size) in enumerate(zip(regions, kspace.shape[-2:], strict=True)):
        if axis == 0 and mask.shape[0] == 1:
            region = slice(0, size)
        centre = size // 2
        half = min(centre - region.start, region.stop - 1 - centre)
        if half < 1:
            raise InputError("The centre of k-space is not sampled, so the phase of the image is not known; leave the "
                             "constraint of its phase out by `phase` free.")
        along = torch.zeros(size, device=kspace.device)
        along[centre - half : centre + half + 1] = torch.hamming_window(2 * half + 1, periodic=False, device=kspace.device)
        window = window * (along[:, None] if axis == 0 else along)
    return (maps.conj() * ifft2c(kspace * window)).sum(1, keepdim=True)


def phase_and_deviation(image: Tensor) -> tuple[Tensor, Tensor]:
    """The phase of an image, complex of magnitude 1, and the std of the part of the true image that is out of it."""
    magnitude = image.abs()
    peak = magnitude.flatten().quantile(0.99)
    phase = torch.where(magnitude > 0, image / magnitude.where(magnitude > 0, 1.0), 1.0)
    return phase, DEVIATION * (magnitude + FLOOR * peak)
