"""MATLAB files."""


import h5py
import numpy as np
import pytest
import scipy.io
import torch
from helpers.arrays import DATA, complex_normal, real, refused, same

from medrestore.errors import InputError
from medrestore.fft import ifft2c
from medrestore.io import inspect_file, read_kspace


def test_mat_v5(tmp_path):
    array = complex_normal(5, 3, 2, 7, 5)
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"raw": array, "n": 3.0, "name": "x", "info": {"a": [1, 2]}}, do_compression=True)
    with pytest.raises(InputError, match=r"shape \(3, 2, 7, 5\).*dataset='raw', axes=\('coil', 'slice', 'col', 'row'\)"):
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
    file = read_kspace(tmp_path / "a.mat", dataset="x", axes=("row", "col", "slice"), implausible=True)
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


@real
def test_real_mat_is_an_image_of_a_head():
    path = DATA / "brain_16ch_full" / "raw_data.mat"
    scan = read_kspace(path, dataset="raw", axes=("coil", "slice", "col", "row"))[0]
    assert scan.kspace.shape == (1, 16, 96, 96) and torch.equal(scan.mask, torch.ones(1, 96))
    image = ifft2c(scan.kspace)[0].abs().square().sum(0).sqrt()
    assert float(image[24:72, 24:72].mean()) > 5 * float(image[:8, :8].mean())
    assert inspect_file(path, axes=("coil", "slice", "col", "row"))["sampling"] == "full"


def test_mat_guards(tmp_path):
    import scipy.io

    path = tmp_path / "m.mat"
    scipy.io.savemat(path, {"raw": np.ones((2, 6, 5), np.complex64), "label": "x", "info": {"a": 1}})
    axes = ("coil", "row", "col")
    refused(path, "over the limit", max_gb=1e-9, axes=axes)
    refused(path, "no numeric array 'label'", dataset="label", axes=axes)
    refused(path, "no numeric array 'info'", dataset="info", axes=axes)
    path.write_bytes(path.read_bytes()[:300])
    refused(path, "cut or damaged", axes=axes)


def test_mat_with_a_wrong_tag(tmp_path):
    import scipy.io

    path = tmp_path / "m.mat"
    scipy.io.savemat(path, {"raw": np.ones((2, 6, 5), np.complex64)})
    content = bytearray(path.read_bytes())
    at = content.index(b"raw") + 4  # the tag of the real part, behind the name packed into its own tag
    content[at : at + 8] = b"\x05\x00\x00\x00\xff\xff\xff\x01"
    path.write_bytes(content)
    refused(path, "'raw' is cut or damaged", axes=("coil", "row", "col"))
