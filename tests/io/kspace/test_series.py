"""Repetitions and contrasts as frames: their order, what they are merged to, and what is refused."""

import numpy as np
import pytest
import torch
from helpers.arrays import complex_normal
from helpers.mrd import COILS, COLUMNS, SAMPLES, image_of, write

from medrestore.errors import InputError
from medrestore.fft import fft2c
from medrestore.io import inspect_file, read_kspace
from medrestore.io.kspace.series import merged

AXES = ("repetition", "slice", "coil", "row", "col")


@pytest.fixture
def dynamic(tmp_path):
    """(repetition, slice, coil, row, col): three repetitions of two slices, each with other columns sampled."""
    data = complex_normal(0, 3, 2, 4, 12, 10)
    for repetition in range(3):
        data[repetition, ..., np.arange(10) % 3 != repetition] = 0
    np.save(tmp_path / "d.npy", data)
    return tmp_path / "d.npy", torch.from_numpy(data)


def test_frames_of_a_slice_follow_each_other(dynamic):
    path, data = dynamic
    with read_kspace(path, axes=AXES, separate=["repetition"], implausible=True) as file:
        assert len(file) == 6 and file.frames == 3 and file.values == ({"repetition": 0}, {"repetition": 1}, {"repetition": 2})
        for slice_ in range(2):
            for frame in range(3):
                scan = file[3 * slice_ + frame]
                assert torch.equal(scan.kspace[0], data[frame, slice_]) and scan.index == 3 * slice_ + frame
        assert file.notes == ("Each slice is a series of 3 frames (repetition 0, 1, 2), with one set of coil maps.",)
        whole = merged([file[0], file[1], file[2]])
        assert torch.equal(whole.kspace[0], data[:, 0].sum(0)) and torch.equal(whole.mask, torch.ones(1, 10))
    with read_kspace(path, axes=AXES, implausible=True) as file:  # averaged, where nothing is separate
        assert len(file) == 2 and torch.allclose(file[0].kspace[0], data[:, 0].sum(0))


def test_inspect_counts_slices_and_frames(dynamic):
    found = inspect_file(dynamic[0], axes=AXES, separate=["repetition"])
    assert found["shape"] == "2 slices of 3 frames, 4 coils, 12 rows, 10 columns"
    assert "a series of 3 frames (repetition 0, 1, 2)" in found["notes"]


def test_samples_that_several_frames_have_are_averaged(tmp_path):
    data = complex_normal(1, 2, 1, 3, 8, 6)
    data[1, ..., 3:] = 0
    np.save(tmp_path / "d.npy", data)
    with read_kspace(tmp_path / "d.npy", axes=AXES, separate=["repetition"], implausible=True) as file:
        whole = merged(list(file)).kspace[0].numpy()
    np.testing.assert_allclose(whole[..., :3], data[:, 0, ..., :3].mean(0), rtol=1e-5)
    np.testing.assert_array_equal(whole[..., 3:], data[0, 0, ..., 3:])


def test_echoes_of_ismrmrd(tmp_path):
    first, second = complex_normal(2, 2, COILS, SAMPLES, COLUMNS)

    def fill(writer):
        for slice_ in (0, 1):
            writer.image(first * (1 + slice_), slice=slice_, contrast=0)
            writer.image(second * (1 + slice_), slice=slice_, contrast=2)

    path = write(tmp_path / "e.h5", fill)
    with read_kspace(path, separate=("contrast",), implausible=True) as file:
        assert file.counters["contrast"] == (0, 2) and file.values == ({"contrast": 0}, {"contrast": 2}) and len(file) == 4
        torch.testing.assert_close(file[3].kspace[0], fft2c(image_of(2 * second)), rtol=1e-4, atol=1e-5)
        assert np.array_equal(file[2].affine, file[3].affine) and not np.array_equal(file[1].affine, file[2].affine)


def test_readouts_of_all_frames_are_put_after_each_other(tmp_path):
    trajectory = np.stack(np.meshgrid(np.arange(-4.0, 4), np.arange(-3.0, 3), indexing="ij"), -1).astype(np.float32)
    np.save(tmp_path / "t.npy", trajectory)
    data = complex_normal(3, 2, 1, 2, 8, 6)
    np.save(tmp_path / "d.npy", data)
    with read_kspace(tmp_path / "d.npy", axes=AXES, separate=["repetition"], trajectory=tmp_path / "t.npy", implausible=True,
                     trajectory_units="cycles-per-fov", matrix=(8, 8)) as file:
        whole = merged([file[0], file[1]])
    assert whole.kspace.shape == (1, 2, 16, 6) and whole.trajectory.shape == (16, 6, 2) and whole.mask.shape == (16, 6)


@pytest.mark.parametrize(("options", "why"), [
    ({"separate": ["segment"]}, "segment cannot be read as frames; `separate` takes average, repetition, contrast, phase, set"),
    ({"separate": ["contrast"]}, "has no counter 'contrast'; it has repetition"),
    ({"separate": ["repetition"], "select": {"repetition": 1}}, "`select` and `separate` both name repetition"),
])
def test_what_cannot_be_frames(dynamic, options, why):
    with pytest.raises(InputError, match=why):
        read_kspace(dynamic[0], axes=AXES, implausible=True, **options)


def test_one_frame_is_no_series(tmp_path):
    np.save(tmp_path / "d.npy", complex_normal(1, 1, 2, 3, 8, 6))
    with read_kspace(tmp_path / "d.npy", axes=AXES, separate=["repetition"], implausible=True) as file:
        assert file.frames == 1 and len(file) == 2


def test_echoes_of_other_sizes_are_refused(tmp_path):
    def fill(writer):
        for slice_ in (0, 1):
            writer.image(complex_normal(2, COILS, SAMPLES, COLUMNS), slice=slice_, contrast=0)
        writer.image(complex_normal(3, COILS, SAMPLES, COLUMNS), contrast=1)

    with pytest.raises(InputError, match="its frames have different sizes"):
        read_kspace(write(tmp_path / "e.h5", fill), separate=("contrast",), implausible=True)
