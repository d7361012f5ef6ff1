"""What a measurement does to an image."""

from .base import (
    CoIsometry,
    Composed,
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
from .compressed import WalshHadamard
from .exact import ResolvedSense, SpectralSense
from .fourier import Sense, SingleCoil
from .image import AveragePool, Crop, Grayscale, Mask, sample_pixels

__all__ = [
    "AveragePool", "CircularBlur", "CoIsometry", "Composed", "Crop", "FromSpectrum", "Grayscale", "Identity", "Isometry",
    "LinearOperator", "Mask", "Operator", "ResolvedSense", "ResolventOperator", "Sense", "Separable", "SingleCoil",
    "SpectralOperator", "SpectralSense", "Spectrum", "WalshHadamard", "bicubic_downsample", "gaussian_blur",
    "gaussian_kernel", "motion_kernel", "sample_pixels",
]
