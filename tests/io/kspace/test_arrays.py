"""Plain arrays with stated axes: BART .cfl, NumPy, MATLAB, HDF5."""

from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import torch

from medrestore.errors import InputError
from medrestore.fft import ifft2c
from medrestore.io import inspect_file, read_kspace

DATA = Path(__file__).parents[3].parent / "shared" / "data" / "kspace"
real = pytest.mark.skipif(not DATA.is_dir(), reason="the scans are not here")


def complex_normal(seed, *shape):
    rng = np.random.default_rng(seed)
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)


def write_cfl(base, array):
    dims = array.shape + (1,) * (16 - array.ndim)
    Path(f"{base}.hdr").write_text(f"# Dimensions\n{' '.join(map(str, dims))} \n# Command\nx\n")
    Path(f"{base}.cfl").write_bytes(array.astype(np.complex64).tobytes(order="F"))


def same(kspace, array):
    return torch.equal(kspace[0], torch.from_numpy(np.ascontiguousarray(array)))


@pytest.mark.parametrize("suffix", ["", ".cfl", ".hdr"])
def test_cfl_readout_first(tmp_path, suffix):
    array = complex_normal(0, 7, 5, 1, 3)
    write_cfl(tmp_path / "k", array)
    file = read_kspace(f"{tmp_path}/k{suffix}")
    assert (file.name, file.kind, file.shape) == ("k", "BART cfl", (1, 3, 7, 5))
    assert same(file[0].kspace, array[:, :, 0].transpose(2, 0, 1)) and torch.equal(file[0].mask, torch.ones(1, 5))


def test_cfl_phase_planes_and_slices(tmp_path):
    array = complex_normal(1, 1, 5, 7, 3)
    write_cfl(tmp_path / "yz", array)
    assert same(read_kspace(tmp_path / "yz")[0].kspace, array[0].transpose(2, 1, 0))
    slices = complex_normal(2, 7, 5, 1, 3, *(1,) * 9, 4)
    write_cfl(tmp_path / "s", slices)
    file = read_kspace(tmp_path / "s")
    assert file.shape == (4, 3, 7, 5)
    assert same(file[2].kspace, slices[..., 2].reshape(7, 5, 3).transpose(2, 0, 1))


def test_cfl_third_dimension_has_to_be_declared(tmp_path):
    array = complex_normal(3, 4, 5, 6, 3)
    write_cfl(tmp_path / "v", array)
    with pytest.raises(InputError, match=r"\(4, 5, 6, 3, .*bart fft -iu"):
        read_kspace(tmp_path / "v")
    file = read_kspace(tmp_path / "v", axes=("slice", "row", "col", "coil"))
    assert file.shape == (4, 3, 5, 6) and same(file[1].kspace, array[1].transpose(2, 0, 1))
    write_cfl(tmp_path / "maps", complex_normal(3, 4, 5, 1, 3, 2))
    with pytest.raises(InputError, match="stack of 2-D slices"):
        read_kspace(tmp_path / "maps")


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


def test_mat_v5(tmp_path):
    array = complex_normal(5, 3, 2, 7, 5)
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"raw": array, "n": 3.0, "name": "x", "info": {"a": [1, 2]}}, do_compression=True)
    with pytest.raises(InputError, match=r"'raw' has the shape \(3, 2, 7, 5\).*dataset='raw', axes=\('coil', 'slice', 'col', 'row'\)"):
        read_kspace(path)
    file = read_kspace(path, axes=("coil", "slice", "col", "row"))
    assert file.kind == "MATLAB array" and file.shape == (2, 3, 5, 7)
    assert same(file[1].kspace, array[:, 1].transpose(0, 2, 1))
    scipy.io.savemat(path, {"raw": array, "other": array})
    with pytest.raises(InputError, match=r"holds 2 complex arrays; name the one to read"):
        read_kspace(path, axes=("coil", "slice", "col", "row"))
    assert read_kspace(path, dataset="other", axes=("coil", "slice", "col", "row")).shape == (2, 3, 5, 7)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("kind", ["f8", "f4", "i2", "u1", "c8", "c16"])
def test_mat_v5_numbers_as_scipy_reads_them(tmp_path, compressed, kind):
    array = (np.arange(42).reshape(3, 7, 2) * (1 - 2j if kind[0] == "c" else 1)).astype(kind)
    scipy.io.savemat(tmp_path / "a.mat", {"x": array, "cells": np.array([1, "a"], object)}, do_compression=compressed)
    expected = scipy.io.loadmat(tmp_path / "a.mat")["x"].astype(np.complex64)
    file = read_kspace(tmp_path / "a.mat", dataset="x", axes=("row", "col", "slice"))
    assert file.shape == (2, 1, 3, 7) and same(file[1].kspace, expected[None, ..., 1])


@pytest.mark.parametrize(("real_name", "imag_name"), [("real", "imag"), ("r", "i"), ("re", "im")])
def test_mat_v73(tmp_path, real_name, imag_name):
    array = complex_normal(6, 3, 2, 7, 5)
    compound = np.empty(array.shape, [(real_name, "f8"), (imag_name, "f8")])
    compound[real_name], compound[imag_name] = array.real, array.imag
    path = tmp_path / "a.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        file["raw"], file["te"] = compound, np.ones((1, 1))
    content = bytearray(path.read_bytes())
    content[:20] = b"MATLAB 7.3 MAT-file,"
    path.write_bytes(content)
    file = read_kspace(path, axes=("coil", "slice", "col", "row"))
    assert file.kind == "MATLAB v7.3 array" and same(file[1].kspace, array[:, 1].transpose(0, 2, 1))
    with pytest.raises(InputError, match="state them"):
        read_kspace(path)


def test_generic_hdf5(tmp_path):
    array = complex_normal(7, 7, 5, 3)
    path = tmp_path / "g.h5"
    with h5py.File(path, "w") as file:
        file["scan/raw"], file["scan/real"] = array, array.real
    with pytest.raises(InputError, match=r"no complex arrays; name the one"):
        read_kspace(path)
    file = read_kspace(path, dataset="scan/raw", axes=("row", "col", "coil"))
    assert file.kind == "HDF5 array" and same(file[0].kspace, array.transpose(2, 0, 1))
    real_only = read_kspace(path, dataset="scan/real", axes=("row", "col", "coil"))[0].kspace
    assert same(real_only, array.real.transpose(2, 0, 1).astype(np.complex64))
    with pytest.raises(InputError, match="is a group"):
        read_kspace(path, dataset="scan", axes=("row", "col"))


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


@real
def test_real_cfl():
    file = read_kspace(DATA / "brain_8ch_pics" / "ksp")
    assert file.shape == (1, 8, 230, 180) and file.name == "ksp"
    assert 1 / float(file[0].mask.mean()) == pytest.approx(7.9, abs=0.1)


@real
def test_real_mat_is_an_image_of_a_head():
    path = DATA / "brain_16ch_full" / "raw_data.mat"
    scan = read_kspace(path, dataset="raw", axes=("coil", "slice", "col", "row"))[0]
    assert scan.kspace.shape == (1, 16, 96, 96) and torch.equal(scan.mask, torch.ones(1, 96))
    image = ifft2c(scan.kspace)[0].abs().square().sum(0).sqrt()
    assert float(image[24:72, 24:72].mean()) > 5 * float(image[:8, :8].mean())
    assert inspect_file(path, axes=("coil", "slice", "col", "row"))["sampling"] == "full"
