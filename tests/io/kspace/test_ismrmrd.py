"""ISMRMRD files: repetitions, calibration, orientation, and what is refused."""

import numpy as np
import pytest
import torch
from helpers.arrays import complex_normal
from helpers.mrd import COILS, COLUMNS, SAMPLES, MRDWriter, image_of, write

from medrestore.errors import InputError
from medrestore.fft import ifft2c
from medrestore.io import inspect_file, read_kspace


@pytest.fixture
def kspace():
    return complex_normal(0, 2, COILS, SAMPLES, COLUMNS)


def test_repetitions_say_so(tmp_path, kspace):
    def fill(writer):
        writer.image(kspace[0], repetition=0)
        writer.image(kspace[1], repetition=1)

    path = write(tmp_path / "a.h5", fill)
    file = read_kspace(path)
    assert file.notes == ("2 repetitions are averaged; set `select.repetition` to read one.",)
    torch.testing.assert_close(ifft2c(file[0].kspace)[0], image_of(kspace.mean(0)), rtol=0, atol=1e-5)
    found = inspect_file(path)
    assert "2 repetitions are averaged" in found["notes"] and found["orientation"] == "yes" and "Doe" not in str(found)


@pytest.mark.parametrize(("mode", "columns"), [("embedded", [0, 3, 4, 5, 6]), ("separate", [0, 3, 6])])
def test_calibration_lines(tmp_path, kspace, mode, columns):
    def fill(writer):
        writer.image(kspace[0], (0,))
        writer.image(kspace[0], (4, 5), flags=(20,))
        writer.image(kspace[0], (3, 6), flags=(21,))

    scan = read_kspace(write(tmp_path / "a.h5", fill, calibration=mode))[0]
    assert torch.nonzero(scan.mask[0]).flatten().tolist() == columns
    assert scan.acs == (4 if mode == "embedded" else None)


def test_affine_is_ras_and_points_at_the_centre(tmp_path, kspace):
    def fill(writer):
        for slice in (0, 1):
            writer.image(kspace[slice], slice=slice)

    file = read_kspace(write(tmp_path / "a.h5", fill))
    affine = file[0].affine
    flip = np.array([-1, -1, 1])
    centre = MRDWriter.origin * flip
    np.testing.assert_allclose((affine @ [4, 4, 0, 1])[:3], centre, atol=1e-5)  # the origin of an 8 x 8 image
    np.testing.assert_allclose(affine[:3, 0], 2 * MRDWriter.read * flip, atol=1e-6)
    np.testing.assert_allclose(affine[:3, 1], 3 * MRDWriter.phase * flip, atol=1e-6)
    np.testing.assert_allclose(affine[:3, 2], 7 * MRDWriter.normal * flip, atol=1e-5)
    np.testing.assert_allclose(file[1].affine @ [3, 2, 0, 1], affine @ [3, 2, 1, 1], atol=1e-5)  # each slice is 0 of its own


def test_what_is_not_read(tmp_path, kspace):
    cases = {
        "spiral trajectory": ({"trajectory": "spiral"}, lambda w: w.image(kspace[0])),
        "3-D scan": ({}, lambda w: w.image(kspace[0], kspace_encode_step_2=2)),
        "in reverse": ({}, lambda w: w.image(kspace[0], flags=(22,))),
        "no lines of an image": ({}, lambda w: w.image(kspace[0], flags=(19,))),
    }
    for number, (match, (header, fill)) in enumerate(cases.items()):
        with pytest.raises(InputError, match=rf"{number}\.h5.*{match}"):
            read_kspace(write(tmp_path / f"{number}.h5", fill, **header))


def test_short_line_and_nan(tmp_path, kspace):
    import h5py

    path = write(tmp_path / "a.h5", lambda w: w.image(kspace[0]))
    with h5py.File(path, "r+") as file:
        record = file["dataset/data"][4]
        record["data"] = record["data"][:-4]
        file["dataset/data"][4] = record
    with pytest.raises(InputError, match=r"a\.h5: a line stores 92 numbers"):
        read_kspace(path)[0]
    broken = kspace[0].copy()
    broken[0, 0, 0] = np.nan
    with pytest.raises(InputError, match=r"b\.h5: slice 0 holds NaN"):
        read_kspace(write(tmp_path / "b.h5", lambda w: w.image(broken)))[0]
