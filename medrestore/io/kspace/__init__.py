"""k-space files of every common format, read slice by slice."""

from .base import KSpaceFile
from .open import inspect_file, read_kspace
from .scan import Scan

__all__ = ["KSpaceFile", "Scan", "inspect_file", "read_kspace"]
