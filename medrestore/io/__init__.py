"""Files in and out: k-space of every common format, frames and scenes, volumes, reconstructions; every input is checked."""

from .dicom import read_dicom
from .frames import Frames, Masks, grow_hole, read_picture, to_known
from .kspace import KSpaceFile, Scan, inspect_file, read_cartesian, read_kspace
from .npz import npz_names, read_npz
from .reconstruction import (
    RESEARCH_USE,
    ReconstructionFile,
    ReconstructionWriter,
    read_provenance,
    read_reconstruction,
)
from .scenes import Scene, SceneSet, SceneWriter, open_frames, open_scenes
from .volumes import open_volume, write_nifti

__all__ = [
    "RESEARCH_USE",
    "Frames",
    "KSpaceFile",
    "Masks",
    "ReconstructionFile",
    "ReconstructionWriter",
    "Scan",
    "Scene",
    "SceneSet",
    "SceneWriter",
    "grow_hole",
    "inspect_file",
    "npz_names",
    "open_frames",
    "open_scenes",
    "open_volume",
    "read_cartesian",
    "read_dicom",
    "read_kspace",
    "read_npz",
    "read_picture",
    "read_provenance",
    "read_reconstruction",
    "to_known",
    "write_nifti",
]
