"""The noise of images, estimated."""

import warnings

import numpy as np
from torch import Tensor

from .steps import Bicubic, Gaussian, Hide, Jpeg, Kernel, Modulus, Motion, Pixels, Step, Unknown, Walsh

ROUNDING = 12**-0.5  # std of rounding, in steps of the values


def estimated(y: Tensor) -> float:
    """Std of the white noise of each real number of an image: the largest over its channels.

    Donoho & Johnstone, Biometrika 81, 1994: the median of the finest diagonal wavelet coefficients, by scikit-image. Fine
    detail counts as noise, so for images without any it gives a little.

    Args:
        y: (1, channel, height, width), real or complex.
    """
    from skimage.restoration import estimate_sigma

    parts = (y.real, y.imag) if y.is_complex() else (y,)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of an image without any detail, which has no median
        found = [
            float(estimate_sigma(channel.cpu().double().numpy())) for part in parts for channel in part[0]
        ]
    return max((one for one in found if np.isfinite(one)), default=0.0)


def can_be_estimated(steps: tuple[Step, ...]) -> bool:
    """Whether what is left of an image is an image with neighbours, of which the noise can be told."""
    return not any(isinstance(step, Hide | Pixels | Walsh | Modulus) for step in steps)


def is_blurred(steps: tuple[Step, ...]) -> bool:
    """Whether data are so weakly measured in part that rounding matters."""
    return any(isinstance(step, Gaussian | Motion | Kernel | Unknown | Bicubic) for step in steps)


def is_compressed(steps: tuple[Step, ...]) -> bool:
    """Whether JPEG has rounded the coefficients of what is left."""
    return any(isinstance(step, Jpeg) for step in steps)


def is_phaseless(steps: tuple[Step, ...]) -> bool:
    """Whether moduli of a Fourier transform are what is left."""
    return any(isinstance(step, Modulus) for step in steps)


def rounding(step: float | None) -> float:
    """Std of the rounding to values that lie `step` apart."""
    return 0.0 if step is None else ROUNDING * step
