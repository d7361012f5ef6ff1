"""Volumes of medical images: NIfTI and DICOM."""

from .dicom import DicomHeader, read_dicom, read_dicom_header
from .nifti import Volume, open_volume, write_nifti

__all__ = ["DicomHeader", "Volume", "open_volume", "read_dicom", "read_dicom_header", "write_nifti"]
