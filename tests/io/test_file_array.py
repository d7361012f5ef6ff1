"""Arrays that are read from their files piece by piece: the values of a memory map, and an error where that dies."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medrestore.errors import InputError
from medrestore.io import file_array, read_kspace
from medrestore.io.file_array import FileArray
from medrestore.io.guards import open_npy


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<c8", ">c8", "<f4", "u1"])
@pytest.mark.parametrize("whole_runs", [1, 4096])
def test_each_index_of_each_axis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: Any, dtype: str,
                                 whole_runs: int) -> None:
    monkeypatch.setattr(file_array, "WHOLE_RUNS", whole_runs)
    monkeypatch.setattr(file_array, "BLOCK", 100)
    values = np.asarray(np.arange(120).reshape(4, 3, 5, 2), dtype, order=order)
    np.save(tmp_path / "a.npy", values)
    array = FileArray(open_npy(tmp_path / "a.npy"))
    assert (array.shape, array.dtype, array.ndim) == (values.shape, values.dtype, 4)
    every: list[Any] = [slice(None)] * 4
    np.testing.assert_array_equal(array[tuple(every)], values)
    for axis in range(4):
        for index in range(values.shape[axis]):
            key = tuple([*every[:axis], index, *every[axis + 1 :]])
            np.testing.assert_array_equal(array[key], values[key])
    np.testing.assert_array_equal(array[1, 2, :, 1], values[1, 2, :, 1])
    with pytest.raises(IndexError, match="every axis"):
        array[0, 0, slice(None)]


@pytest.mark.parametrize("name", ["scan.npy", "scan.cfl"])
def test_a_scan_that_is_cut_short_while_it_is_open(tmp_path: Path, name: str) -> None:
    """A memory map would end the process by SIGBUS here."""
    data = np.ones((3, 4, 48, 40), np.complex64)
    if name == "scan.npy":
        np.save(tmp_path / name, data)
    else:
        data.transpose(2, 3, 1, 0).ravel("F").tofile(tmp_path / name)
        (tmp_path / "scan.hdr").write_text("# Dimensions\n48 40 1 4 1 1 1 1 1 1 1 1 1 3\n")
    with read_kspace(tmp_path / name, implausible=True) as scan:
        assert scan[0].kspace.shape == (1, 4, 48, 40)
        with (tmp_path / name).open("r+b") as file:
            file.truncate(70_000)
        with pytest.raises(InputError, match=r"was cut short while it was read"):
            scan[2]
        (tmp_path / name).unlink()
        with pytest.raises(InputError, match="does not exist"):
            scan[0]
