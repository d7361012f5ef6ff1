"""Restoration by inverting the sampler: the initial noise whose trajectory ends at an image that explains the data."""

from .blind import Blind, BlindRestoration, restore_blind
from .descent import Found, descend
from .em import DiffusionEM
from .kernels import KernelNetwork, kernel_correlation
from .trajectory import Trajectory, on_sphere

__all__ = ["Blind", "BlindRestoration", "DiffusionEM", "Found", "KernelNetwork", "Trajectory", "descend", "kernel_correlation",
           "on_sphere", "restore_blind"]
