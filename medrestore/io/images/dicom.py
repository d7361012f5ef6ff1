"""Grey DICOM images, and others like them: values and geometry kept, the patient only where that is asked for."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np

from ...errors import InputError
from ..dicom import read_dicom, read_fields
from ..guards import PathLike
from ..reconstruction import RESEARCH_USE
from .base import FileImages, Place, as_whole_numbers

COPIED = (
    "SOPClassUID",
    "Modality",
    "SliceThickness",
    "SpacingBetweenSlices",
    "PixelSpacing",
    "ImageOrientationPatient",
    "ImagePositionPatient",
    "SliceLocation",
    "PatientPosition",
    "PhotometricInterpretation",
    "BitsAllocated",
    "BitsStored",
    "PixelRepresentation",
    "RescaleSlope",
    "RescaleIntercept",
    "RescaleType",
    "WindowCenter",
    "WindowWidth",
    "MagneticFieldStrength",
    "EchoTime",
    "RepetitionTime",
    "FlipAngle",
    "BodyPartExamined",
    "InstanceNumber",
)
PATIENT = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "PatientAge",
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "StudyDescription",
    "AccessionNumber",
    "ReferringPhysicianName",
    "FrameOfReferenceUID",
    "SeriesDescription",
    "SeriesNumber",
)
SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


def open_dicom(path: PathLike, *, max_gb: float) -> FileImages:
    """One grey image.

    Raises:
        InputError: as `read_dicom`.
    """
    values = read_dicom(path, max_gb=max_gb)
    fields = read_fields(path, (*COPIED, *PATIENT))
    header, patient = (
        {name: fields[name] for name in names if name in fields} for names in (COPIED, PATIENT)
    )
    slope, intercept = float(header.get("RescaleSlope", 1.0)), float(header.get("RescaleIntercept", 0.0))
    dtype = np.dtype(np.int16 if header.get("PixelRepresentation") == 1 else np.uint16)
    bits, signed = int(header.get("BitsStored", 16)), header.get("PixelRepresentation") == 1
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    ends = slope * low + intercept, slope * high + intercept
    return FileImages(
        str(path),
        "dicom",
        values[None, None],
        dtype,
        step=abs(slope),
        limits=(min(ends), max(ends)),
        place=Place(),
        header=header,
        patient=patient,
    )


def encode_dicom(
    values: np.ndarray, like: FileImages, *, factor: float = 1.0, patient: bool = False, key: str = ""
) -> tuple[bytes, int]:
    """An image (1, height, width) as DICOM with values and geometry like another's, and how many values lay outside its range.

    Args:
        factor: by how much its pixels are larger than those of `like`.
        patient: copy the patient, the study and the series of `like`; without, the image belongs to nobody and to a new study.
        key: what decides the image; its unique identifiers are made of it, so that a rerun gives the same.
    """
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    header = like.header
    slope, intercept = (
        float(str(header.get("RescaleSlope", 1.0))),
        float(str(header.get("RescaleIntercept", 0.0))),
    )
    dataset = Dataset()
    for name, value in {**header, **(like.patient if patient else {})}.items():
        setattr(dataset, name, value)
    for name in (
        "PatientName",
        "PatientID",
        "PatientBirthDate",
        "PatientSex",
        "StudyDate",
        "StudyTime",
        "StudyID",
        "AccessionNumber",
        "ReferringPhysicianName",
    ):
        if name not in dataset:
            setattr(dataset, name, "")
    stored = np.rint((values[0].astype(np.float64) - intercept) / slope)
    if header.get("PhotometricInterpretation") == "MONOCHROME1":  # which reading has turned over
        top, bottom = like.values.max(), like.values.min()
        stored = np.rint((top + bottom - values[0].astype(np.float64) - intercept) / slope)
    pixels, outside = as_whole_numbers(
        stored, np.dtype(np.int16 if header.get("PixelRepresentation") == 1 else np.uint16)
    )
    bits = int(str(header.get("BitsStored", 16)))
    if bits < 16:
        low, high = (
            (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if pixels.dtype == np.int16 else (0, 2**bits - 1)
        )
        outside += int(((pixels < low) | (pixels > high)).sum())
        pixels = pixels.clip(low, high)
    dataset.SOPClassUID = header.get("SOPClassUID", SECONDARY_CAPTURE)
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=["image", key])
    if not patient:
        dataset.StudyInstanceUID = generate_uid(entropy_srcs=["study", key])
    dataset.SeriesInstanceUID = generate_uid(entropy_srcs=["series", key])
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    dataset.ImageComments = f"medrestore. {RESEARCH_USE}"
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = *pixels.shape, 1
    dataset.PhotometricInterpretation = header.get("PhotometricInterpretation", "MONOCHROME2")
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, bits, bits - 1
    dataset.PixelRepresentation = 1 if pixels.dtype == np.int16 else 0
    _put_geometry(dataset, factor)
    dataset.PixelData = pixels.astype("<i2" if pixels.dtype == np.int16 else "<u2").tobytes()
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta = meta
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of values of the input that break the standard
        dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue(), outside


def _put_geometry(dataset: Any, factor: float) -> None:
    """Spacing and position for pixels `factor` times as large, both grids covering the same field."""
    if factor == 1.0 or "PixelSpacing" not in dataset:
        return
    try:
        down, along = (float(one) for one in dataset.PixelSpacing)
        dataset.PixelSpacing = [f"{down * factor:.8g}", f"{along * factor:.8g}"]
        if "ImagePositionPatient" in dataset and "ImageOrientationPatient" in dataset:
            position, turn = (
                np.array([float(one) for one in value])
                for value in (dataset.ImagePositionPatient, dataset.ImageOrientationPatient)
            )
            moved = position + (factor - 1) / 2 * (along * turn[:3] + down * turn[3:])
            dataset.ImagePositionPatient = [f"{one:.8g}" for one in moved]
    except (TypeError, ValueError) as error:
        raise InputError(
            f"the geometry of the DICOM image cannot be read ({error}); name the output .npy or .tif"
        ) from error
