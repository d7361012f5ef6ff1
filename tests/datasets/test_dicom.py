"""DICOM images to train on: magnitudes by their quantile, or an interval of units, grouped by patient."""

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.dicoms import dicom

from medrestore.codecs import CalibratedComplex, Interval
from medrestore.datasets import Dicom, images
from medrestore.errors import InputError


def test_magnitudes_and_units_of_an_interval(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 1000, (6, 8), dtype=np.uint16)
    dicom(tmp_path / "a.dcm", pixels, RescaleSlope="1", RescaleIntercept="-100")
    dicom(tmp_path / "b.IMA", pixels, PatientID="other")
    plain = Dicom(str(tmp_path))
    assert len(plain) == 2 and plain.channels == 1 and plain.recipe == CalibratedComplex()
    values = pixels.astype(np.float32) - 100
    torch.testing.assert_close(plain[0], torch.from_numpy((values / np.quantile(values, 0.995)).clip(0)).float()[None])
    window = Dicom(str(tmp_path / "a.dcm"), interval=(-100.0, 300.0))
    assert window.recipe == Interval(-100.0, 300.0)
    torch.testing.assert_close(window[0][0], torch.from_numpy(((values + 100) / 200 - 1).clip(-1, 1)))


def test_images_of_one_patient_share_a_group_that_does_not_name_it(tmp_path: Path) -> None:
    for name, patient in (("a", "Doe"), ("b", "Doe"), ("c", "Roe")):
        dicom(tmp_path / f"{name}.dcm", np.ones((4, 4), np.uint16), PatientID=patient)
    source = images({"kind": "dicom", "files": str(tmp_path)})
    assert source.group_of(0) == source.group_of(1) != source.group_of(2) and "Doe" not in source.group_of(0)


def test_an_interval_must_rise(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="interval must rise"):
        Dicom(str(dicom(tmp_path / "a.dcm", np.ones((4, 4), np.uint16))), interval=(5.0, 5.0))
