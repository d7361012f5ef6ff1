"""Volumes of medical images: NIfTI and DICOM."""
