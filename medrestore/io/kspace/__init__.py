"""k-space files of every common format, read slice by slice."""

from .base import KSpaceFile, Scan
from .open import inspect_file, read_cartesian, read_kspace

__all__ = ["KSpaceFile", "Scan", "inspect_file", "read_cartesian", "read_kspace"]
