"""What a measurement does to an image."""

from .base import (
    CoIsometry,
    Encoding,
    FromSpectrum,
    LinearOperator,
    Operator,
    PseudoInvertible,
    ResolventOperator,
    SpectralOperator,
    Spectrum,
    Window,
)
from .blur import CircularBlur, Separable, bicubic_downsample, gaussian_blur, gaussian_kernel, motion_kernel
from .compose import Composed
from .compressed import WalshHadamard
from .functions import Functions
from .image import AveragePool, Crop, Grayscale, Mask, sample_pixels
from .laws import check
from .local import Identity, Isometry, LocalOperator
from .nonlinear import Decoded
from .sense import Sense, SingleCoil
from .sense_exact import ResolvedSense, SpectralSense
from .stack import Stack, stack

__all__ = [
    "AveragePool", "CircularBlur", "CoIsometry", "Composed", "Crop", "Decoded", "Encoding", "FromSpectrum", "Functions",
    "Grayscale",
    "Identity", "Isometry", "LinearOperator", "LocalOperator", "Mask", "Operator", "PseudoInvertible", "ResolvedSense",
    "ResolventOperator", "Sense", "Separable", "SingleCoil", "SpectralOperator", "SpectralSense", "Spectrum", "Stack",
    "WalshHadamard", "Window", "bicubic_downsample", "check", "gaussian_blur", "gaussian_kernel", "motion_kernel",
    "sample_pixels", "stack",
]
