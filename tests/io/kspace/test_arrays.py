"""Plain arrays with stated axes: BART .cfl, NumPy, MATLAB, HDF5."""

import h5py
import numpy as np
import pytest
from helpers.arrays import DATA, complex_normal, real, same

from medrestore.errors import InputError
from medrestore.io import read_kspace


def test_npy(tmp_path):
    array = complex_normal(4, 2, 3, 7, 5)
    np.save(tmp_path / "four.npy", array)
    np.save(tmp_path / "three.npy", array[0])
    np.save(tmp_path / "two.npy", array[0, 0].astype(np.complex128))
    four, three = read_kspace(tmp_path / "four.npy"), read_kspace(tmp_path / "three.npy")
    assert four.shape == (2, 3, 7, 5) and same(four[1].kspace, array[1])
    assert three.shape == (1, 3, 7, 5) and same(three[0].kspace, array[0])
    with pytest.raises(InputError, match=r"axes=\('row', 'col'\)"):
        read_kspace(tmp_path / "two.npy")
    two = read_kspace(tmp_path / "two.npy", axes=("col", "row"))
    assert two.shape == (1, 1, 5, 7) and same(two[0].kspace, array[0, 0].T[None])


def test_generic_hdf5(tmp_path):
    array = complex_normal(7, 7, 5, 3)
    path = tmp_path / "g.h5"
    with h5py.File(path, "w") as file:
        file["scan/raw"], file["scan/real"] = array, array.real
    with pytest.raises(InputError, match=r"no complex arrays; name the one"):
        read_kspace(path)
    file = read_kspace(path, dataset="scan/raw", axes=("row", "col", "coil"))
    assert file.kind == "HDF5 array" and same(file[0].kspace, array.transpose(2, 0, 1))
    with pytest.raises(InputError, match=r"holds float32, and k-space is complex"):
        read_kspace(path, dataset="scan/real", axes=("row", "col", "coil"))
    real_only = read_kspace(path, dataset="scan/real", axes=("row", "col", "coil"), implausible=True)[0].kspace
    assert same(real_only, array.real.transpose(2, 0, 1).astype(np.complex64))
    with pytest.raises(InputError, match="is a group"):
        read_kspace(path, dataset="scan", axes=("row", "col"))


def test_nan_names_file_and_slice(tmp_path):
    array = complex_normal(9, 2, 3, 7, 5)
    array[1, 0, 0, 0] = np.inf
    np.save(tmp_path / "n.npy", array)
    with read_kspace(tmp_path / "n.npy") as file:
        assert file[0].index == 0
        with pytest.raises(InputError, match=r"n\.npy: slice 1 holds NaN"):
            file[1]


@real
def test_real_cartesian_npy():
    scan = read_kspace(DATA / "brain_8ch_poisson" / "cartesian_ksp.npy")[0]
    assert scan.kspace.shape == (1, 8, 230, 180) and scan.mask.shape == (230, 180)
    assert 1 / float(scan.mask.mean()) == pytest.approx(8.0, abs=0.1)
    assert scan.mask[115 - 12 : 115 + 12, 90 - 12 : 90 + 12].all()  # the calibration is centred


def test_real_and_imaginary_parts_as_channels(tmp_path):
    array = complex_normal(3, 2, 8, 6, 3)  # slice, row, col, coil
    turns = np.stack([array.real, array.imag], -1)
    np.save(tmp_path / "two.npy", turns)
    np.save(tmp_path / "turns.npy", turns.reshape(2, 8, 6, 6))
    with pytest.raises(InputError, match=r"turns\.npy: the array \(2, 8, 6, 6\) holds float32, and k-space is complex.*`axes`"):
        read_kspace(tmp_path / "turns.npy")
    for name, axes in (("two", ("slice", "row", "col", "coil", "complex")), ("turns", ("slice", "row", "col", "channel"))):
        file = read_kspace(tmp_path / f"{name}.npy", axes=axes)
        assert file.shape == (2, 3, 8, 6) and same(file[1].kspace, array[1].transpose(2, 0, 1))
    for axes, match in ((("slice", "row", "col", "complex"), "6 entries"),
                        (("channel", "row", "coil", "col"), "an axis channel")):
        with pytest.raises(InputError, match=match):
            read_kspace(tmp_path / "turns.npy", axes=axes)
    np.save(tmp_path / "c.npy", array)
    with pytest.raises(InputError, match="is complex already"):
        read_kspace(tmp_path / "c.npy", axes=("slice", "row", "channel", "col"))


def test_axes_that_are_counters(tmp_path):
    array = complex_normal(4, 2, 3, 4, 8, 6)  # contrast, repetition, coil, row, col
    array[:, 1, :, :, 2] = 0  # a column that was measured twice out of three times
    np.save(tmp_path / "a.npy", array)
    axes = ("contrast", "repetition", "coil", "row", "col")
    mean = array.sum(1) / np.array([3, 3, 2, 3, 3, 3], np.float32)
    file = read_kspace(tmp_path / "a.npy", axes=axes)
    assert file.notes == ("3 repetitions are averaged; set `select.repetition` to read one, or `separate` to read each.",
                          "Of 2 contrasts only contrast 0 is read; set `select.contrast` to 1 for another, "
                     "or `separate` to read each.")
    assert same(file[0].kspace, mean[0])
    assert same(read_kspace(tmp_path / "a.npy", axes=axes, select={"contrast": 1})[0].kspace, mean[1])
    one = read_kspace(tmp_path / "a.npy", axes=axes, select={"contrast": 1, "repetition": 2})
    assert same(one[0].kspace, array[1, 2]) and one.notes[0] == "Of 3 repetitions only repetition 2 is read, as selected."
    for select, match in (({"contrast": 2}, "holds no contrast 2; `select.contrast` may be 0 to 1"),
                          ({"echo": 0}, "no counter 'echo'; it has repetition, contrast")):
        with pytest.raises(InputError, match=match):
            read_kspace(tmp_path / "a.npy", axes=axes, select=select)
    np.save(tmp_path / "b.npy", array[0, 0])
    with pytest.raises(InputError, match="no counter 'contrast'; its format has none; leave `select` out"):
        read_kspace(tmp_path / "b.npy", select={"contrast": 0})


@pytest.mark.parametrize("kind", ["i2", "i4", "u2", "f2", "f8"])
def test_complex_numbers_as_two_fields_of_any_numbers(tmp_path, kind):
    numbers = np.arange(3 * 8 * 6).reshape(3, 8, 6) % 50
    array = np.zeros(numbers.shape, [("r", kind), ("i", kind)])
    array["r"], array["i"] = numbers, numbers[::-1]
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["raw"] = array
    file = read_kspace(tmp_path / "a.h5", axes=("coil", "row", "col"), implausible=True)
    assert same(file[0].kspace, (numbers + 1j * numbers[::-1]).astype(np.complex64))


def test_stated_axes_leave_the_rest_of_a_file_aside_and_say_so(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["kspace"], file["mask"] = complex_normal(0, 8, 6, 3), np.ones(6)
    file = read_kspace(tmp_path / "a.h5", axes=("row", "col", "coil"))
    assert file.notes == ("As `axes` are stated, mask beside the array are left aside.",)
