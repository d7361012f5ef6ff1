"""DICOM images: rescaled, anonymous, and refused when hostile."""

import hashlib
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pydicom
import pytest
from helpers.dicoms import dicom
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import DeflatedExplicitVRLittleEndian

from medrestore.child.dicom import Dicoms
from medrestore.errors import InputError
from medrestore.io.dicom import read_dicom, read_dicom_header, read_fields

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


def transformation(slope: object, intercept: object) -> Sequence:
    inner, group = Dataset(), Dataset()
    inner.RescaleSlope, inner.RescaleIntercept = slope, intercept
    group.PixelValueTransformationSequence = Sequence([inner])
    return Sequence([group])


@pytest.mark.parametrize(("elements", "slope", "intercept"), [
    ({}, 1, 0),
    ({"RescaleSlope": "", "RescaleIntercept": ""}, 1, 0),
    ({"RescaleSlope": "2", "RescaleIntercept": ""}, 2, 0),
    ({"SamplesPerPixel": None, "NumberOfFrames": ""}, 1, 0),
    ({"SharedFunctionalGroupsSequence": transformation("3", "-7")}, 3, -7),
    ({"PerFrameFunctionalGroupsSequence": transformation("4", ""),
      "SharedFunctionalGroupsSequence": transformation("3", "-7")}, 4, -7),
    ({"RescaleSlope": "", "SharedFunctionalGroupsSequence": transformation("3", "")}, 3, 0),
    ({"PerFrameFunctionalGroupsSequence": Sequence([])}, 1, 0),
])  # fmt: skip
def test_rescaling_is_read_wherever_it_stands(tmp_path: Path, elements: dict[str, object], slope: int, intercept: int) -> None:
    pixels = RNG.integers(-500, 500, (6, 8), dtype=np.int16)
    found = read_dicom(dicom(tmp_path / "a.dcm", pixels, **elements))
    assert np.array_equal(found, pixels.astype(np.float32) * slope + intercept)


@pytest.mark.parametrize("slope", ["0", "1e400"])
def test_a_rescaling_that_is_none_is_named(tmp_path: Path, slope: str) -> None:
    path = dicom(tmp_path / "a.dcm", np.ones((6, 8), np.uint16), RescaleSlope=slope)
    with pytest.raises(InputError, match="as its RescaleSlope"):
        read_dicom(path)


def deflated(path: Path, pixels: np.ndarray, **elements: object) -> Path:
    data = pydicom.dcmread(dicom(path, pixels, **elements))
    data.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    data.save_as(path)
    return path


def test_a_deflated_image(tmp_path: Path) -> None:
    pixels = RNG.integers(-500, 500, (6, 8), dtype=np.int16)
    path = deflated(tmp_path / "a.dcm", pixels, RescaleSlope="2")
    assert np.array_equal(read_dicom(path), pixels.astype(np.float32) * 2)
    assert read_dicom_header(path).shape == (6, 8)


def test_a_deflated_image_unpacks_to_what_it_declares_and_no_more(tmp_path: Path) -> None:
    path = deflated(tmp_path / "a.dcm", np.zeros((6, 8), np.uint16), PixelData=bytes(100 << 20))
    assert path.stat().st_size < 1 << 20
    with pytest.raises(InputError, match="unpacks to more than the 96 bytes"):
        read_dicom(path)
    with pytest.raises(InputError):
        read_dicom(deflated(tmp_path / "b.dcm", np.zeros((6, 8), np.uint16), EncapsulatedDocument=bytes(40 << 20)))
    files = Dicoms()
    tracemalloc.start()
    with pytest.raises(ValueError, match="96 bytes"):
        files.answer({"file": 0, "path": str(path), "locking": True, "question": "pixels", "arguments": {}})
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 64 << 20


@pytest.mark.skipif(sys.platform != "linux", reason="address space is not limited there")
def test_a_header_that_takes_more_memory_than_headers_do(tmp_path: Path) -> None:
    path = dicom(tmp_path / "a.dcm", np.zeros((6, 8), np.uint16), EncapsulatedDocument=bytes(300 << 20))
    with pytest.raises(InputError, match=r"a\.dcm is no DICOM file, or damaged"):
        read_dicom(path)


def test_fields_of_the_header(tmp_path: Path) -> None:
    path = dicom(tmp_path / "a.dcm", np.zeros((6, 8), np.uint16), PixelSpacing=["1.0", "0.5"], RescaleSlope="")
    names = ("Rows", "PixelSpacing", "RescaleSlope", "EchoTime")
    assert read_fields(path, names) == {"Rows": 6, "PixelSpacing": ["1.0", "0.5"]}


def test_an_element_that_pydicom_cannot_parse(tmp_path: Path) -> None:
    path = dicom(tmp_path / "a.dcm", np.zeros((3, 4), np.uint16))
    path.write_bytes(path.read_bytes().replace(b"\x28\0\x10\0US", b"\x28\0\x10\0U?"))
    with pytest.raises(InputError, match=r"a\.dcm is no DICOM file, or damaged"):
        read_dicom(path)
