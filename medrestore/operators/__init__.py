"""What a measurement does to an image."""

from .base import (
    CoIsometry,
    FromSpectrum,
    LinearOperator,
    Operator,
    PseudoInvertible,
    ResolventOperator,
    RoundingOperator,
    SpectralOperator,
    Spectrum,
    Window,
)
from .blur import CircularBlur, ReflectingBlur, Separable, bicubic_downsample, gaussian_blur, gaussian_kernel, motion_kernel
from .coil_maps import EncodedMaps, SmoothMaps
from .coils import CoilEncoding, CoilOperator, Coils, Encoding, SingleCoil
from .compose import Composed
from .compressed import BlockWalsh, WalshHadamard
from .functions import Functions
from .image import AveragePool, Chroma, Crop, Grayscale, Mask, sample_pixels
from .jpeg import JPEG, jpeg_quality
from .laws import check
from .local import Identity, Isometry, LocalOperator
from .non_cartesian import NonCartesian
from .non_cartesian_sense import NonCartesianSense
from .non_cartesian_soft_sense import AnySense, NonCartesianSoftSense, along_trajectory
from .nonlinear import Decoded, Learned, Magnitude, OfCodes, PhaseRetrieval, Saturation
from .nonuniform import VaryingBlur, varying_blur
from .sense import Sense
from .sense_exact import ResolvedSense, SpectralSense
from .smooth_phase import SmoothPhase
from .soft_sense import SoftSense, encoding
from .stack import Stack, stack
from .toeplitz import Toeplitz

__all__ = [
    "JPEG", "AnySense", "AveragePool", "BlockWalsh", "Chroma", "CircularBlur", "CoIsometry", "CoilEncoding",
    "CoilOperator", "Coils", "Composed", "Crop", "Decoded", "EncodedMaps", "Encoding", "FromSpectrum",
    "Functions", "Grayscale", "Identity", "Isometry", "Learned", "LinearOperator", "LocalOperator", "Magnitude",
    "Mask", "NonCartesian", "NonCartesianSense", "NonCartesianSoftSense", "OfCodes", "Operator",
    "PhaseRetrieval", "PseudoInvertible", "ReflectingBlur", "ResolvedSense", "ResolventOperator", "RoundingOperator",
    "Saturation",
    "Sense", "Separable", "SingleCoil", "SmoothMaps", "SmoothPhase", "SoftSense", "SpectralOperator",
    "SpectralSense", "Spectrum", "Stack", "Toeplitz", "VaryingBlur", "WalshHadamard", "Window",
    "along_trajectory", "bicubic_downsample", "check", "encoding", "gaussian_blur", "gaussian_kernel",
    "jpeg_quality", "motion_kernel", "sample_pixels", "stack", "varying_blur",
]
