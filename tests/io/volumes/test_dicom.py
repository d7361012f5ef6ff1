"""DICOM images: rescaled, anonymous, and refused when hostile."""

import hashlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
from helpers.dicoms import dicom

from medrestore.errors import InputError
from medrestore.io.volumes.dicom import read_dicom, read_dicom_header

RNG = np.random.default_rng(0)


def test_dicom_is_rescaled_and_nothing_of_the_patient_is_kept(tmp_path: Path) -> None:
    pixels = RNG.integers(-500, 500, (6, 8), dtype=np.int16)
    path = dicom(tmp_path / "a.dcm", pixels, RescaleSlope="2", RescaleIntercept="-1024")
    assert np.array_equal(read_dicom(path), pixels.astype(np.float32) * 2 - 1024)
    header = read_dicom_header(path)
    assert header.shape == (6, 8) and header.patient == hashlib.sha256(b"MRN-4711").hexdigest()[:16]
    assert "Doe" not in repr(header) and "4711" not in repr(header)
    low_is_bright = dicom(tmp_path / "b.dcm", pixels, PhotometricInterpretation="MONOCHROME1")
    assert np.array_equal(read_dicom(low_is_bright), pixels.max() + pixels.min() - pixels.astype(np.float32))


@pytest.mark.parametrize(("elements", "message"), [
    ({"Rows": 60_000, "Columns": 60_000}, "over the limit"),
    ({"NumberOfFrames": "3"}, "3 frames"),
    ({"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3}, "no grey image"),
    ({"PixelData": b"\0\0"}, "cannot be read"),
])  # fmt: skip
def test_hostile_dicom_is_refused(tmp_path: Path, elements: dict[str, object], message: str) -> None:
    path = dicom(tmp_path / "a.dcm", np.zeros((6, 8), np.uint16), **elements)
    with pytest.raises(InputError, match=message):
        read_dicom(path)


def test_what_is_no_dicom_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(b"not dicom" * 40)
    with pytest.raises(InputError, match="no DICOM file"):
        read_dicom_header(tmp_path / "a.dcm")


def test_deflated_files(tmp_path, monkeypatch):
    pixels = np.arange(12, dtype=np.uint16).reshape(3, 4)
    data = pydicom.dcmread(dicom(tmp_path / "a.dcm", pixels))
    data.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    data.save_as(tmp_path / "small.dcm")
    assert np.array_equal(read_dicom(tmp_path / "small.dcm"), pixels)
    data.add_new((0x0009, 0x0010), "LO", "x")
    data.add_new((0x0009, 0x1001), "OB", bytes(3 << 20))
    data.save_as(tmp_path / "bomb.dcm")
    assert (tmp_path / "bomb.dcm").stat().st_size < 10_000
    assert np.array_equal(read_dicom(tmp_path / "bomb.dcm"), pixels)
    monkeypatch.setattr("medrestore.io.volumes.dicom.LARGEST_DEFLATED", 2 << 20)
    with pytest.raises(InputError, match=r"bomb\.dcm unpacks to more than 2 MiB; convert it to uncompressed DICOM"):
        read_dicom(tmp_path / "bomb.dcm")


def test_damaged_elements_are_named(tmp_path):
    path = dicom(tmp_path / "a.dcm", np.zeros((3, 4), np.uint16))
    path.write_bytes(path.read_bytes().replace(b"\x28\0\x10\0US", b"\x28\0\x10\0U?"))
    with pytest.raises(InputError, match=r"a\.dcm has a damaged Rows"):
        read_dicom(path)
