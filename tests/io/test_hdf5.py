"""HDF5 files through the child: what h5py says of them, and what becomes of hostile ones."""

import gc

import h5py
import numpy as np
import pytest

from medrestore.child import shared
from medrestore.errors import InputError
from medrestore.io.guards import checked_dataset, is_complex, open_hdf5, own_dataset
from medrestore.io.hdf5 import Dataset, File, Hdf5Group

VALUES = np.arange(2 * 5 * 6, dtype="f4").reshape(2, 5, 6)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["g/x"] = VALUES
        file["g"].create_dataset("packed", data=VALUES, chunks=(1, 4, 4), compression="gzip")
        file["empty"] = h5py.Empty("f4")
        file["text"] = "ü"
        file.attrs["name"] = "Ü"
    return path


def test_what_is_in_a_file(path):
    with File(path) as file:
        group, array = file.entry("g"), file.entry("/g/x")
        assert isinstance(group, Hdf5Group) and group.names() == ["packed", "x"]
        assert isinstance(array, Dataset) and group.entry("x").shape == array.shape
        assert (array.shape, array.ndim, array.size, len(array), array.dtype) == ((2, 5, 6), 3, 60, 2, "f4")
        assert (array.chunks, array.filters, array.stored, array.elsewhere) == (None, 0, 240, False)
        assert (file.entry("empty").shape, file.entry("empty").ndim, file.entry("empty").size) == (None, 0, 0)
        assert file.entry("text").is_text and file.entry("text").text(99) == "ü".encode()
        assert file.entry("none") == "missing"
        assert file.attrs.get("name") == "Ü" and file.attrs.get("none") is None


@pytest.mark.parametrize("name", ["g/x", "g/packed"])
@pytest.mark.parametrize("key", [(), 1, -1, (slice(None), 2), (slice(0, 2), slice(1, 4, 2), 5), (0, np.array([1, 3]))])
def test_selections(path, name, key):
    with File(path) as file:
        assert np.array_equal(file.entry(name)[key], VALUES[key])


def test_selections_that_are_none(path):
    with File(path) as file, pytest.raises(IndexError):
        file.entry("g/x")[2]
    with File(path) as file, pytest.raises(TypeError, match="cannot be indexed"):
        file.entry("g/x")[VALUES > 0]


def test_a_closed_file_can_be_written_and_is_not_read(path):
    file = File(path)
    file.entry("g/x")[0]
    file.close()
    file.close()
    with h5py.File(path, "a") as other:
        other["y"] = 1
    with pytest.raises(ValueError, match="is closed"):
        file.attrs.get("name")


def test_a_forgotten_file_is_closed(path):
    file = File(path)
    file.entry("g/x")[0]
    del file
    with h5py.File(path, "a") as other:  # which it would lock
        other["y"] = 1
    file = File(path)
    file.itself = file  # freed when memory is collected alone
    del file
    gc.collect()
    assert not shared()._seen


def test_the_child_goes_on_where_one_died(path):
    with File(path) as file:
        array = file.entry("g/x")
        shared().end()
        assert np.array_equal(array[1], VALUES[1])


def test_chunks_far_larger_than_their_array(tmp_path):
    with h5py.File(tmp_path / "c.h5", "w") as file:
        for name, side in (("small", 10), ("large", 4200)):
            file.create_dataset(name, data=np.ones((4, 4), "f4"), maxshape=(None, None), chunks=(side, side), compression="gzip")
    with open_hdf5(tmp_path / "c.h5") as file:
        assert checked_dataset(file, "small")[()].sum() == 16
        with pytest.raises(InputError, match=r"c\.h5: 'large' declares chunks of 70560000 bytes, and it has 64 bytes in all"):
            checked_dataset(file, "large")


def test_complex_numbers_whose_parts_overlap_are_none():
    def pair(second, at, size=16):
        return np.dtype({"names": ["r", "i"], "formats": ["f4", second], "offsets": [0, at], "itemsize": size})

    assert is_complex(pair("f4", 4)) and is_complex(pair("f4", 8))
    assert not is_complex(pair("f4", 2)) and not is_complex(pair("f8", 4)) and not is_complex(pair("f8", 8))


def test_types_that_hold_no_numbers_are_not_read(path):
    with open_hdf5(path) as file, pytest.raises(TypeError, match="not numbers"):
        own_dataset(file, "text")[()]
