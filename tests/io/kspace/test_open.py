"""The format of a k-space file is recognised by its content; `inspect_file` describes it."""

import h5py
import numpy as np
import pytest
from helpers.arrays import complex_normal
from helpers.mrd import COILS, COLUMNS, SAMPLES, write

from medrestore.errors import InputError
from medrestore.io import inspect_file, read_kspace
from medrestore.io.kspace import KSpaceFile


def test_each_format_whatever_its_name(tmp_path):
    array = complex_normal(0, 2, 3, 8, 6)
    np.save(tmp_path / "a.npy", array)
    (tmp_path / "a.npy").rename(tmp_path / "array.h5")
    with h5py.File(tmp_path / "knee.dat", "w") as file:
        file["kspace"] = array
    write(tmp_path / "mrd.bin", lambda writer: writer.image(complex_normal(1, COILS, SAMPLES, COLUMNS)))
    kinds = {name: read_kspace(tmp_path / name).kind for name in ("array.h5", "knee.dat", "mrd.bin")}
    assert kinds == {"array.h5": "NumPy array", "knee.dat": "fastMRI multi-coil", "mrd.bin": "ISMRMRD"}


def test_stated_axes_make_a_plain_array_of_any_hdf5(tmp_path):
    array = complex_normal(0, 8, 6, 3)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["kspace"] = array
    with read_kspace(tmp_path / "a.h5", dataset="kspace", axes=("row", "col", "coil")) as file:
        assert file.kind == "HDF5 array" and file.shape == (1, 3, 8, 6)
        np.testing.assert_array_equal(file[0].kspace[0].numpy(), array.transpose(2, 0, 1))


def test_slices_are_counted_from_both_ends_and_the_rest_refused(tmp_path):
    np.save(tmp_path / "a.npy", complex_normal(0, 3, 2, 4, 4))
    file = read_kspace(tmp_path / "a.npy")
    assert len(file) == 3 and file[-1].index == 2 and [scan.index for scan in file] == [0, 1, 2]
    with pytest.raises(IndexError, match="there is no slice 3"):
        file[3]


def test_reprs_are_one_line_without_numbers_of_the_data(tmp_path):
    np.save(tmp_path / "a.npy", complex_normal(0, 3, 2, 4, 5))
    file = read_kspace(tmp_path / "a.npy")
    assert isinstance(file, KSpaceFile) and repr(file).endswith("a.npy': 3 slices, 2 coils, 4 x 5)")
    assert repr(file[1]) == "Scan('a', index=1, kspace (1, 2, 4, 5), mask (1, 5), crop=(4, 5))"


def test_unknown_and_missing_files_are_refused(tmp_path):
    (tmp_path / "a.dat").write_bytes(b"no k-space" * 100)
    with pytest.raises(InputError, match=r"a\.dat is of no known k-space format.*known are BART .cfl/.hdr, ISMRMRD, fastMRI"):
        read_kspace(tmp_path / "a.dat")
    with pytest.raises(InputError, match="does not exist"):
        read_kspace(tmp_path / "none.h5")


def test_inspection(tmp_path):
    array = complex_normal(0, 2, 3, 8, 6)
    array[..., ::2] = 0
    np.save(tmp_path / "a.npy", array)
    facts = inspect_file(tmp_path / "a.npy")
    assert facts["shape"] == "2 slices, 3 coils, 8 rows, 6 columns" and facts["kind"] == "NumPy array"
    assert facts["sampling"] == "50.0 % (2.00x) along the phase-encode axis" and facts["noise scan"] == "no"
    assert facts["magnitude"].startswith(f"up to {np.abs(array[1]).max():.3g}, rms")


def test_a_new_format_is_one_row_of_the_table(tmp_path, monkeypatch):
    from medrestore.io.kspace import open as opening
    from medrestore.io.kspace.arrays import AXES, ArrayFile

    def read(path, request):
        array = np.frombuffer(path.read_bytes()[4:], np.complex64).reshape(1, 2, 8, 6)
        return ArrayFile(path, array, AXES, kind="mine", request=request)

    row = opening.Format("mine", (".mine",), lambda path, begin, request: begin.startswith(b"MINE"), read)
    monkeypatch.setattr(opening, "FORMATS", (*opening.FORMATS, row))
    array = complex_normal(0, 1, 2, 8, 6)
    (tmp_path / "a.mine").write_bytes(b"MINE" + array.tobytes())
    with read_kspace(tmp_path / "a.mine") as file:
        assert file.kind == "mine" and file.shape == (1, 2, 8, 6)


def test_inspection_names_doubts_and_dead_coils(tmp_path):
    array = np.zeros((3, 32, 32), np.complex64)
    array[:2, 0, 0], array[:2, 16, 16] = 100j, 1
    np.save(tmp_path / "a.npy", array)
    facts = inspect_file(tmp_path / "a.npy")
    assert facts["plausible"].startswith("NO: its peak lies at (0, 0)") and facts["dead coils"] == "2"
    assert inspect_file(tmp_path / "a.npy", uncentred=True)["plausible"] == "yes"


def test_an_empty_file_is_called_empty(tmp_path):
    for name in ("a.h5", "a.dat"):
        (tmp_path / name).touch()
        with pytest.raises(InputError, match=rf"{name} is empty, it has no bytes at all; copy it again"):
            read_kspace(tmp_path / name)
