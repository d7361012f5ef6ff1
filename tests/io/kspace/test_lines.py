"""Line-by-line formats: ISMRMRD, written by its own package, and Siemens twix."""

import numpy as np
import pytest
import torch
from helpers.arrays import complex_normal
from helpers.mrd import COILS, COLUMNS, ROWS, SAMPLES, image_of, write

from medrestore.errors import InputError
from medrestore.fft import fft2c, ifft2c
from medrestore.io import read_kspace


@pytest.fixture
def kspace():
    return complex_normal(0, 2, COILS, SAMPLES, COLUMNS)


def test_two_slices_in_any_order(tmp_path, kspace):
    def fill(writer):
        for step in (3, 1, 9, 0, 2, 4, 8, 6, 5, 7):
            for slice in (1, 0):
                writer.line(kspace[slice, :, :, step], step, slice=slice)

    with read_kspace(write(tmp_path / "a.mrd", fill)) as file:
        assert file.kind == "ISMRMRD" and file.shape == (2, COILS, ROWS, COLUMNS) and not file.has_noise
        for index, scan in enumerate(file):
            torch.testing.assert_close(ifft2c(scan.kspace)[0], image_of(kspace[index]), rtol=0, atol=1e-5)
            assert torch.equal(scan.mask, torch.ones(1, COLUMNS)) and scan.crop == (8, 8)
            assert scan.pixel_mm == pytest.approx((2.0, 3.0, 7.0)) and scan.acs is None and scan.noise is None


def test_undersampled_lines_land_around_the_centre(tmp_path, kspace):
    steps = (1, 3, 4, 6)  # the header says that step 4 is the centre of k-space, which is column 5
    file = read_kspace(write(tmp_path / "a.h5", lambda w: w.image(kspace[0], steps), center=4))
    scan = file[0]
    assert torch.nonzero(scan.mask[0]).flatten().tolist() == [2, 4, 5, 7]
    assert not scan.kspace[..., scan.mask[0] == 0].any()
    shifted = np.zeros_like(kspace[0])
    shifted[:, :, [2, 4, 5, 7]] = kspace[0][:, :, steps]
    torch.testing.assert_close(ifft2c(scan.kspace)[0], image_of(shifted), rtol=0, atol=1e-5)
    outside = write(tmp_path / "b.h5", lambda w: w.image(kspace[0], (9,)), center=4 - 5)
    with pytest.raises(InputError, match=r"b\.h5 has lines that fall outside its grid"):
        read_kspace(outside)


def test_averages_and_their_noise(tmp_path, kspace):
    noise = complex_normal(1, COILS, 5000)

    def fill(writer):
        writer.line(noise[:, :3000], flags=(19,), time_us=8.0)
        writer.line(noise[:, 3000:], flags=(19,), time_us=8.0)
        writer.image(kspace[0], average=0)
        writer.image(kspace[1], average=1)

    file = read_kspace(write(tmp_path / "a.h5", fill, bandwidth=0.8))
    scan = file[0]
    assert file.has_noise and file.shape[0] == 1
    torch.testing.assert_close(ifft2c(scan.kspace)[0], image_of(kspace.mean(0)), rtol=0, atol=1e-5)
    expected = noise * np.sqrt(8.0 / 2.0 / 0.8 / 2)  # dwell time ratio, receiver bandwidth, two averages
    torch.testing.assert_close(scan.noise, torch.from_numpy(expected.astype(np.complex64)), rtol=1e-5, atol=1e-6)


def test_asymmetric_echo(tmp_path, kspace):
    full = kspace[0].copy()
    full[:, :6] = 0

    def fill(writer):
        for step in range(COLUMNS):  # two invalid samples before, one after
            line = np.concatenate([np.full((COILS, 2), 9), full[:, 6:, step], np.full((COILS, 1), 9)], 1).astype(np.complex64)
            writer.line(line, step, center=8 - 6 + 2, pre=2, post=1)

    scan = read_kspace(write(tmp_path / "a.h5", fill))[0]
    assert scan.mask.shape == (ROWS, COLUMNS) and scan.mask[:, 0].tolist() == [0, 0, 0, 1, 1, 1, 1, 1]
    torch.testing.assert_close(scan.kspace[0], fft2c(image_of(full)) * scan.mask, rtol=0, atol=1e-5)


def test_a_scan_that_was_broken_off_is_noticed(tmp_path, kspace):
    import h5py

    def fill(writer):
        writer.image(kspace[0], slice=0)
        writer.image(kspace[1], range(4), slice=1)

    path = write(tmp_path / "a.h5", fill)
    said = ("The slices have different numbers of lines, 4 to 10: the scan may have been broken off.",)
    assert read_kspace(path).notes == said
    with h5py.File(path, "r+") as file:
        slices = "<slice><maximum>4</maximum></slice></encodingLimits>"
        file["dataset/xml"][0] = file["dataset/xml"][0].decode().replace("</encodingLimits>", slices)
    assert read_kspace(path).notes == ("The header announces 5 slices and the file holds 2.", *said)
