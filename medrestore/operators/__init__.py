"""What a measurement does to an image."""

from .base import (
    CoIsometry,
    FromSpectrum,
    Identity,
    Isometry,
    LinearOperator,
    Operator,
    ResolventOperator,
    SpectralOperator,
    Spectrum,
)
from .blur import CircularBlur, Separable, bicubic_downsample, gaussian_blur, gaussian_kernel, motion_kernel
from .compose import Composed
from .compressed import WalshHadamard
from .image import AveragePool, Crop, Grayscale, Mask, sample_pixels
from .sense import Sense, SingleCoil
from .sense_exact import ResolvedSense, SpectralSense

__all__ = [
    "AveragePool", "CircularBlur", "CoIsometry", "Composed", "Crop", "FromSpectrum", "Grayscale", "Identity", "Isometry",
    "LinearOperator", "Mask", "Operator", "ResolvedSense", "ResolventOperator", "Sense", "Separable", "SingleCoil",
    "SpectralOperator", "SpectralSense", "Spectrum", "WalshHadamard", "bicubic_downsample", "gaussian_blur",
    "gaussian_kernel", "motion_kernel", "sample_pixels",
]
