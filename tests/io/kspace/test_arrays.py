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
