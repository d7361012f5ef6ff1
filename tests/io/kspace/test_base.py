"""What all k-space files share."""

import h5py
import numpy as np
import pytest
import torch
from helpers.arrays import complex_normal

from medrestore.errors import InputError
from medrestore.io import read_kspace
from medrestore.io.kspace.base import flagged_width


def test_calibration_width():
    assert flagged_width(np.arange(3, 7), 10) == 4  # an even block: 5 - 2 to 5 + 1
    assert flagged_width(np.arange(4, 7), 10) == 3
    assert flagged_width(np.array([4, 5, 8]), 10) == 2
    assert flagged_width(np.arange(9), 9) == 9
    assert flagged_width(np.array([0, 1]), 10) is None


def test_masks_from_the_data(tmp_path):
    array = complex_normal(8, 3, 7, 5)
    columns = array * np.array([1, 0, 1, 1, 0])
    both = array * (np.random.default_rng(0).random((7, 5)) < 0.5)
    echo = columns.copy()
    echo[:, :2] = 0  # rows that were never acquired are not measurements of zero
    one_coil_dead = columns.copy()
    one_coil_dead[0] = 0
    expected = {
        "columns": torch.tensor([[1.0, 0, 1, 1, 0]]),
        "both": torch.from_numpy(np.abs(both).sum(0) > 0).float(),
        "echo": torch.from_numpy(np.abs(echo).sum(0) > 0).float(),
        "dead": torch.tensor([[1.0, 0, 1, 1, 0]]),
        "none": torch.zeros(1, 5),
    }
    arrays = {"columns": columns, "both": both, "echo": echo, "dead": one_coil_dead, "none": array * 0}
    for name, kspace in arrays.items():
        np.save(tmp_path / f"{name}.npy", kspace.astype(np.complex64))
        assert torch.equal(read_kspace(tmp_path / f"{name}.npy")[0].mask, expected[name]), name


def test_samples_that_single_precision_cannot_hold(tmp_path):
    array = np.ones((1, 2, 8, 8), np.complex64)
    for name, value, rows in (("huge", 3e38, 8), ("transformed", 3e38, 4), ("energy", 1e20, 8)):
        array[0, 0, :, 3] = value
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["kspace"] = array
            file["reconstruction_rss"] = np.ones((1, rows, 8), "f4")  # with half of the rows, oversampling is removed
        with pytest.raises(InputError, match=rf"{name}\.h5: slice 0 holds values too large for single precision"):
            read_kspace(tmp_path / f"{name}.h5")[0]
