"""DICOM images and others like them: values, geometry, and no patient."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from helpers.dicoms import dicom

from medrestore.errors import InputError
from medrestore.io.images.dicom import encode_dicom, open_dicom

PIXELS = np.random.default_rng(0).integers(0, 4000, (6, 8)).astype(np.uint16)


@pytest.mark.parametrize("kind", ["MONOCHROME1", "MONOCHROME2"])
def test_values_there_and_back(tmp_path: Path, kind: str) -> None:
    path = dicom(
        tmp_path / "a.dcm", PIXELS, RescaleSlope=2.0, RescaleIntercept=-1000.0, PhotometricInterpretation=kind
    )
    images = open_dicom(path, max_gb=1.0)
    assert images.step == 2 and images.limits == (-1000, 2 * 65535 - 1000) and images.dtype == np.uint16
    data, outside = encode_dicom(images.values[0], images, key="k")
    (tmp_path / "b.dcm").write_bytes(data)
    assert outside == 0 and (pydicom.dcmread(tmp_path / "b.dcm").pixel_array == PIXELS).all()
    assert encode_dicom(images.values[0], images, key="k")[0] == data
    np.testing.assert_array_equal(open_dicom(tmp_path / "b.dcm", max_gb=1.0).values, images.values)


def test_signed_and_short_values(tmp_path: Path) -> None:
    path = dicom(tmp_path / "a.dcm", PIXELS.astype(np.int16) - 2000, BitsStored=12, HighBit=11)
    images = open_dicom(path, max_gb=1.0)
    assert images.limits == (-2048, 2047)
    data, outside = encode_dicom(images.values[0] + 3000, images)
    (tmp_path / "b.dcm").write_bytes(data)
    assert outside > 0 and pydicom.dcmread(tmp_path / "b.dcm").pixel_array.max() == 2047


def test_the_patient_is_left_out_unless_asked_for(tmp_path: Path) -> None:
    path = dicom(
        tmp_path / "a.dcm",
        PIXELS,
        StudyInstanceUID="1.2.3",
        StudyDescription="of Jane Doe",
        SeriesDescription="Doe T1",
    )
    images = open_dicom(path, max_gb=1.0)
    (tmp_path / "b.dcm").write_bytes(encode_dicom(images.values[0], images)[0])
    made = pydicom.dcmread(tmp_path / "b.dcm")
    assert all(word not in (tmp_path / "b.dcm").read_bytes() for word in (b"Doe", b"MRN", b"1.2.3\0"))
    assert made.StudyInstanceUID != "1.2.3"
    (tmp_path / "c.dcm").write_bytes(encode_dicom(images.values[0], images, patient=True)[0])
    made = pydicom.dcmread(tmp_path / "c.dcm")
    assert str(made.PatientName) == "Doe^Jane" and made.StudyInstanceUID == "1.2.3" and made.SOPInstanceUID


def test_the_geometry_of_a_coarser_image(tmp_path: Path) -> None:
    turned = [0.0, 1.0, 0, 0, 0, -1.0]  # rows run along y, columns along -z
    path = dicom(
        tmp_path / "a.dcm",
        PIXELS,
        PixelSpacing=[3.0, 2.0],
        ImagePositionPatient=[1.0, 2.0, 3.0],
        ImageOrientationPatient=turned,
    )
    images = open_dicom(path, max_gb=1.0)
    (tmp_path / "b.dcm").write_bytes(encode_dicom(images.values[0], images, factor=2.0)[0])
    made = pydicom.dcmread(tmp_path / "b.dcm")
    assert [float(v) for v in made.PixelSpacing] == [6, 4]
    np.testing.assert_allclose([float(v) for v in made.ImagePositionPatient], [1, 3, 1.5])
    images.header["ImagePositionPatient"] = [1.0, 2.0]
    with pytest.raises(InputError, match="geometry of the DICOM image"):
        encode_dicom(images.values[0], images, factor=2.0)
