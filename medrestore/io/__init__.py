"""Files in and out: k-space of every common format, frames and scenes, volumes, reconstructions; every input is checked."""

from .kspace.open import KSpaceFile, inspect_file, read_kspace
from .kspace.scan import Scan
from .reconstruction import (
    RESEARCH_USE,
    ReconstructionFile,
    ReconstructionWriter,
    read_provenance,
    read_reconstruction,
    write_reconstruction,
)
from .volumes.nifti import write_nifti

__all__ = [
    "RESEARCH_USE",
    "KSpaceFile",
    "ReconstructionFile",
    "ReconstructionWriter",
    "Scan",
    "inspect_file",
    "read_kspace",
    "read_provenance",
    "read_reconstruction",
    "write_nifti",
    "write_reconstruction",
]
