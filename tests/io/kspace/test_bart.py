"""BART .cfl/.hdr pairs."""

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.arrays import DATA, complex_normal, real, same

from medrestore.errors import InputError
from medrestore.fft import ifft2c
from medrestore.io import read_kspace


def write_cfl(base, array):
    dims = array.shape + (1,) * (16 - array.ndim)
    Path(f"{base}.hdr").write_text(f"# Dimensions\n{' '.join(map(str, dims))} \n# Command\nx\n")
    Path(f"{base}.cfl").write_bytes(array.astype(np.complex64).tobytes(order="F"))


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


def test_three_dimensions_are_a_3d_scan_unless_declared(tmp_path):
    array = complex_normal(3, 4, 5, 6, 3)
    write_cfl(tmp_path / "v", array)
    file = read_kspace(tmp_path / "v", implausible=True)
    assert file.is_volume and file.shape == (4, 3, 6, 5)  # positions of the readout x, coils, z, y
    image = ifft2c(torch.from_numpy(array), axes=(0,))
    assert torch.allclose(file[1].kspace[0], image[1].permute(2, 1, 0), atol=1e-6)
    write_cfl(tmp_path / "slabs", complex_normal(3, 4, 5, 6, 3, *(1,) * 9, 2))
    with pytest.raises(InputError, match=r"a stack of 2-D slices .* or one 3-D scan"):
        read_kspace(tmp_path / "slabs")
    file = read_kspace(tmp_path / "v", axes=("slice", "row", "col", "coil"))
    assert file.shape == (4, 3, 5, 6) and same(file[1].kspace, array[1].transpose(2, 0, 1))
    write_cfl(tmp_path / "maps", complex_normal(3, 4, 5, 1, 3, 2))
    with pytest.raises(InputError, match="stack of 2-D slices"):
        read_kspace(tmp_path / "maps")


@real
def test_real_cfl():
    file = read_kspace(DATA / "brain_8ch_pics" / "ksp")
    assert file.shape == (1, 8, 230, 180) and file.name == "ksp"
    assert 1 / float(file[0].mask.mean()) == pytest.approx(7.9, abs=0.1)


def test_echoes_and_averages(tmp_path):
    array = complex_normal(5, 6, 8, 1, 3, 1, 2, 1, 1, 1, 1, 1, 1, 1, 1, 2)  # x, y, -, coil, -, echo, ..., average
    (tmp_path / "a.hdr").write_text("# Dimensions\n" + " ".join(map(str, array.shape)) + "\n")
    array.ravel(order="F").tofile(tmp_path / "a.cfl")
    file = read_kspace(tmp_path / "a.cfl", select={"contrast": 1})
    expected = array[:, :, 0, :, 0, 1].reshape(6, 8, 3, 2).mean(-1).transpose(2, 0, 1)
    assert torch.allclose(file[0].kspace[0], torch.from_numpy(expected), atol=1e-6)
    assert "2 averages are averaged; set `select.average` to read one, or `separate` to read each." in file.notes
    (tmp_path / "a.cfl").rename(tmp_path / "B.CFL")
    (tmp_path / "a.hdr").rename(tmp_path / "B.HDR")
    assert read_kspace(tmp_path / "B.CFL").shape == (1, 3, 6, 8)
