"""Volumes of medical images: NIfTI."""

from .nifti import NiftiVolume, open_volume, write_nifti

__all__ = ["NiftiVolume", "open_volume", "write_nifti"]
