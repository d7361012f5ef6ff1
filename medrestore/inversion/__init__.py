"""Restoration by inverting the sampler: the initial noise whose trajectory ends at an image that explains the data."""

from .blind import Blind, BlindRestoration, restore_blind
from .descent import BestSoFar, descend
from .em import DiffusionEM
from .kernels import KernelNetwork, kernel_correlation
from .trajectory import Trajectory, on_sphere

__all__ = [
           "BestSoFar",
           "Blind",
           "BlindRestoration",
           "DiffusionEM",
           "KernelNetwork",
           "Trajectory",
           "descend",
           "kernel_correlation",
           "on_sphere",
           "restore_blind",
]
