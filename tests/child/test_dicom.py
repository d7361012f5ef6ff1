"""Questions about DICOM images, asked without a process between."""

import numpy as np
import pydicom
import pytest
from helpers.dicoms import dicom
from pydicom.valuerep import IS, DSfloat, PersonName

from medrestore.child.dicom import Dicoms, plain_element


def ask(path, question, **arguments):
    return Dicoms().answer({"file": 0, "path": str(path), "locking": True, "question": question, "arguments": arguments})


def test_fields_as_plain_values(tmp_path):
    path = dicom(tmp_path / "a.dcm", np.ones((3, 4), np.uint16), RescaleSlope="2.50", PixelSpacing=["1.0", "0.5"])
    about, _ = ask(path, "fields", names=["Rows", "PatientName", "PixelSpacing", "PixelData", "EchoTime"],
                   rescale=["RescaleSlope", "RescaleIntercept"])
    assert about == {"fields": {"Rows": 3, "PatientName": "Doe^Jane", "PixelSpacing": ["1.0", "0.5"], "PixelData": None,
                                "EchoTime": None},
                     "rescale": {"RescaleSlope": ["2.50"], "RescaleIntercept": [None]}}


def test_pixels(tmp_path):
    values = np.arange(12, dtype=np.int16).reshape(3, 4) - 6
    about, (pixels,) = ask(dicom(tmp_path / "a.dcm", values), "pixels")
    assert about == {"shape": (3, 4), "type": "int16"} and (pixels == values).all()


@pytest.mark.parametrize(("value", "expected"), [
    (DSfloat("0.50"), "0.50"), (IS("7"), 7), (PersonName("A^B"), "A^B"), (b"data", None), (None, None), ("", ""), (3, 3),
    (pydicom.Sequence([]), None), ("a" * 5000, "a" * 1024)])  # fmt: skip
def test_values_as_json_has_them(value, expected):
    assert plain_element(value) == expected and type(plain_element(value)) is type(expected)
