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
    assert file.notes == ("2 repetitions are averaged; set `select.repetition` to read one, or `separate` to read each.",)
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
        "spiral scan": ({"trajectory": "spiral"}, lambda w: w.image(kspace[0])),
        "outside its grid": ({}, lambda w: w.image(kspace[0], kspace_encode_step_2=2)),
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


def test_interleaved_slices_lie_where_they_belong(tmp_path, kspace):
    """Counters run in the order of acquisition; images, affine and spacing follow the positions."""
    def fill(writer):
        for counter, place in enumerate((0, 2, 1)):
            writer.origin = MRDWriter.origin + 7.0 * (place - counter) * MRDWriter.normal
            writer.image(kspace[0] * (1 + place), slice=counter)

    file = read_kspace(write(tmp_path / "a.h5", fill))
    assert [round(float(scan.kspace.abs().sum() / file[0].kspace.abs().sum())) for scan in file] == [1, 2, 3]
    assert file.notes == ("The slices are in the order of their positions, not of their counters, which then run 0, 2, 1.",)
    assert file[0].pixel_mm == pytest.approx((2, 3, 7))
    centre = (MRDWriter.origin + 14 * MRDWriter.normal) * [-1, -1, 1]
    np.testing.assert_allclose((file[2].affine @ [4, 4, 0, 1])[:3], centre, atol=1e-4)


@pytest.mark.parametrize("counter", ["contrast", "phase", "set", "repetition", "average", "segment"])
def test_a_counter_is_selected(tmp_path, kspace, counter):
    def fill(writer):
        writer.image(kspace[0], **{counter: 0})
        writer.image(kspace[1], **{counter: 1})

    path = write(tmp_path / "a.h5", fill)
    file = read_kspace(path, select={counter: 1})
    assert file.notes == (f"Of 2 {counter}s only {counter} 1 is read, as selected.",)
    torch.testing.assert_close(ifft2c(file[0].kspace)[0], image_of(kspace[1]), rtol=0, atol=1e-5)
    with pytest.raises(InputError, match=rf"holds no {counter} 2; `select.{counter}` may be 0, 1"):
        read_kspace(path, select={counter: 2})


def test_separate_calibration_lines_are_kept_apart(tmp_path, kspace):
    def fill(writer):
        writer.image(kspace[0], (2, 5, 8))
        writer.image(kspace[1], (3, 4, 5, 6), flags=(20,), contrast=1)  # of another contrast, as they often are

    file = read_kspace(write(tmp_path / "a.h5", fill, calibration="separate"))
    scan = file[0]
    assert torch.nonzero(scan.mask[0]).flatten().tolist() == [2, 5, 8]
    expected = np.zeros_like(kspace[1])
    expected[..., 3:7] = kspace[1][..., 3:7]
    torch.testing.assert_close(ifft2c(scan.calibration)[0], image_of(expected), rtol=0, atol=1e-5)
    assert file.notes == ("4 separate calibration lines give the coil maps and are no part of the image.",)


def test_readout_oversampling_that_was_removed_before(tmp_path, kspace):
    """The header says 16 samples and the lines have the 8 of the image."""
    short = kspace[0][:, 4:12]
    file = read_kspace(write(tmp_path / "a.h5", lambda w: w.image(short, center=4)))
    assert file.shape[-2:] == (8, COLUMNS) and "readout oversampling is taken as removed" in file.notes[0]
    torch.testing.assert_close(file[0].kspace[0], torch.from_numpy(short), rtol=0, atol=1e-6)
    part = read_kspace(write(tmp_path / "b.h5", lambda w: w.image(kspace[0][:, 2:14], center=6)))  # neither one nor the other
    assert "the others are taken as not acquired" in part.notes[0]
    echo = read_kspace(write(tmp_path / "c.h5", lambda w: w.image(kspace[0][:, 6:], center=2)))  # an asymmetric echo
    assert echo.notes == () and echo.shape[-2:] == (8, COLUMNS)


def test_a_header_with_another_centre_than_the_data_is_refused(tmp_path):
    y, x = np.mgrid[:SAMPLES, :COLUMNS]
    peaked = np.exp(-((y - 8) ** 2 + (x - 1) ** 2) / 2).astype(np.complex64)[None].repeat(COILS, 0) * (1 + 1j)
    path = write(tmp_path / "a.h5", lambda w: w.image(peaked))
    with pytest.raises(InputError, match=r"slice 0 does not look like k-space, its peak lies .* header and its data disagree"):
        read_kspace(path)[0]
    assert read_kspace(path, implausible=True)[0].kspace.any()
    assert read_kspace(write(tmp_path / "b.h5", lambda w: w.image(peaked, range(5)), center=1))[0].kspace.any()  # exported again


def test_lines_of_another_encoding_space_are_named(tmp_path, kspace):
    import h5py

    path = write(tmp_path / "a.h5", lambda w: (w.image(kspace[0]), w.image(kspace[1], (0, 1))))
    with h5py.File(path, "r+") as file:
        for record in (COLUMNS, COLUMNS + 1):
            line = file["dataset/data"][record]
            line["head"]["encoding_space_ref"] = 1
            file["dataset/data"][record] = line
    assert read_kspace(path).notes == ("2 lines belong to another encoding space and are left out.",)


def test_a_noise_scan_that_does_not_fit_can_be_left_out(tmp_path, kspace):
    def fill(writer):
        writer.line(complex_normal(5, COILS + 1, 64), flags=(19,))
        writer.image(kspace[0])

    path = write(tmp_path / "a.h5", fill)
    with pytest.raises(InputError, match=r"noise scan has 4 coils, not 3; leave it out by `noise_scan` false"):
        read_kspace(path)[0]
    assert read_kspace(path, noise_scan=False)[0].noise is None
