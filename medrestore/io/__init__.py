"""Files in and out: k-space of every common format, reconstructions, NIfTI. Hostile files end here."""

from medrestore.io.kspace import KSpaceFile, inspect_file, read_kspace
from medrestore.io.output import (
    RESEARCH_USE,
    ReconstructionFile,
    ReconstructionWriter,
    read_provenance,
    read_reconstruction,
    write_nifti,
    write_reconstruction,
)
from medrestore.io.scan import Scan

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
