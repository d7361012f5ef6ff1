"""Volumes of medical images: NIfTI."""

from .nifti import Volume, open_volume, write_nifti

__all__ = ["Volume", "open_volume", "write_nifti"]
