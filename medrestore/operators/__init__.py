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
from .blur import CircularBlur, ReflectingBlur, Separable, bicubic_downsample, gaussian_blur, gaussian_kernel, motion_kernel
from .compose import Composed
from .compressed import BlockWalsh, WalshHadamard
from .image import AveragePool, Chroma, Crop, Grayscale, Mask, sample_pixels
from .laws import check
from .local import Identity, Isometry, LocalOperator
from .nonlinear import Decoded
from .sense import Sense, SingleCoil
from .sense_exact import ResolvedSense, SpectralSense
from .stack import Stack, stack

__all__ = [
    "AveragePool", "BlockWalsh", "Chroma", "CircularBlur", "CoIsometry", "Composed", "Crop", "Decoded",
    "Encoding", "FromSpectrum", "Grayscale", "Identity", "Isometry", "LinearOperator", "LocalOperator",
    "Mask", "Operator", "PseudoInvertible", "ReflectingBlur", "ResolvedSense", "ResolventOperator",
    "Sense", "Separable", "SingleCoil", "SpectralOperator", "SpectralSense", "Spectrum", "Stack",
    "WalshHadamard", "Window", "bicubic_downsample", "check", "gaussian_blur", "gaussian_kernel",
    "motion_kernel", "sample_pixels", "stack",
]
