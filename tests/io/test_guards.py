"""Hostile and broken files: each ends in one sentence that names the file, before anything large is read."""

import os
import pickle

import h5py
import numpy as np
import pytest
from helpers.arrays import refused

from medrestore.errors import InputError
from medrestore.io import read_kspace
from medrestore.io.guards import checked_dataset, existing, finite, open_hdf5, scan_files

KSPACE = np.ones((1, 2, 6, 5), np.complex64)


def hdf5(path, fill):
    with h5py.File(path, "w") as file:
        fill(file)
    return path


def test_missing_folder_and_unknown(tmp_path):
    refused(tmp_path / "none.h5", "does not exist")
    refused(tmp_path, "is a folder")
    (tmp_path / "x.h5").write_bytes(b"hello" * 1000)
    refused(tmp_path / "x.h5", "no known k-space format")
    (tmp_path / "empty.dat").write_bytes(b"")
    refused(tmp_path / "empty.dat", "is empty, it has no bytes at all")


def test_truncated_hdf5(tmp_path):
    path = hdf5(tmp_path / "t.h5", lambda file: file.create_dataset("kspace", data=np.ones((4, 4, 32, 32), np.complex64)))
    path.write_bytes(path.read_bytes()[:4000])
    refused(path, "not a complete HDF5 file")
    path.write_bytes(b"\x89HDF\r\n\x1a\n")
    refused(path, "copy it again")


def test_damaged_chunk(tmp_path):
    data = np.random.default_rng(0).standard_normal((1, 2, 64, 64)).astype(np.complex64)
    path = hdf5(tmp_path / "c.h5", lambda file: file.create_dataset("kspace", data=data, compression="gzip", chunks=data.shape))
    with h5py.File(path) as file:
        at = file["kspace"].id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[at : at + 64] = b"\xff" * 64
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"c\.h5 cannot be read"):
        read_kspace(path)[0]


def test_external_storage(tmp_path):
    (tmp_path / "secret").write_bytes(b"s" * 480)
    external = [(str(tmp_path / "secret"), 0, 480)]
    path = hdf5(tmp_path / "e.h5", lambda file: file.create_dataset("kspace", (1, 2, 6, 5), np.complex64, external=external))
    refused(path, "in other files")


def test_virtual_dataset(tmp_path):
    hdf5(tmp_path / "source.h5", lambda file: file.create_dataset("kspace", data=KSPACE))
    layout = h5py.VirtualLayout(KSPACE.shape, np.complex64)
    layout[:] = h5py.VirtualSource(tmp_path / "source.h5", "kspace", KSPACE.shape)
    refused(hdf5(tmp_path / "v.h5", lambda file: file.create_virtual_dataset("kspace", layout)), "in other files")


@pytest.mark.parametrize("link", [h5py.ExternalLink("source.h5", "kspace"), h5py.SoftLink("/inner")])
@pytest.mark.parametrize("name", ["kspace", "mask", "ismrmrd_header"])
def test_links(tmp_path, link, name):
    hdf5(tmp_path / "source.h5", lambda file: file.create_dataset("kspace", data=KSPACE))

    def fill(file):
        file["inner"] = KSPACE
        if name != "kspace":
            file["kspace"] = KSPACE
        file[name] = link

    refused(hdf5(tmp_path / "l.h5", fill), f"'{name}' is a link")


def test_link_on_the_way(tmp_path):
    hdf5(tmp_path / "source.h5", lambda file: file.create_dataset("group/raw", data=KSPACE))
    path = hdf5(tmp_path / "l.h5", lambda file: file.__setitem__("there", h5py.ExternalLink("source.h5", "/group")))
    refused(path, "is a link", dataset="there/raw", axes=("slice", "coil", "row", "col"))


def test_declared_40_gb(tmp_path):
    shape = (100, 16, 1790, 1790)
    path = hdf5(tmp_path / "big.h5", lambda file: file.create_dataset("kspace", shape, np.complex64))
    assert path.stat().st_size < 10_000
    refused(path, r"41\.0 GB, over the limit of 16 GB")
    refused(path, "the file stores 0", max_gb=100)
    chunked = hdf5(tmp_path / "chunked.h5", lambda file: file.create_dataset("kspace", shape, np.complex64, compression="gzip"))
    refused(chunked, "the file stores 0", max_gb=100)
    refused(hdf5(tmp_path / "none.h5", lambda file: file.create_dataset("kspace", (0, 2, 6, 5), np.complex64)), "is empty")


def test_overflowing_shape(tmp_path):
    shape = (2**31, 2**31, 4, 4)
    path = hdf5(tmp_path / "o.h5", lambda file: file.create_dataset("kspace", shape, np.complex64, chunks=(1, 1, 4, 4)))
    refused(path, "over the limit")


def test_kinds_that_are_not_numbers(tmp_path):
    text = hdf5(tmp_path / "s.h5", lambda file: file.create_dataset("kspace", (1, 1, 2, 2), h5py.string_dtype()))
    refused(text, "not numbers")
    pair = np.zeros((1, 1, 2, 2), [("a", "f4"), ("b", "f4")])
    refused(hdf5(tmp_path / "c.h5", lambda file: file.create_dataset("kspace", data=pair)), "not numbers")
    refused(hdf5(tmp_path / "g.h5", lambda file: file.create_group("kspace")), "group", dataset="kspace", axes=("row", "col"))


def test_checked_dataset_and_finite(tmp_path):
    path = hdf5(tmp_path / "d.h5", lambda file: file.create_dataset("flags", data=np.ones((3, 4), bool)))
    with open_hdf5(path) as file:
        assert checked_dataset(file, "flags", ndim=2).shape == (3, 4)
        with pytest.raises(InputError, match=r"d\.h5: 'flags' has the shape \(3, 4\), but 3 axes"):
            checked_dataset(file, "flags", ndim=3)
        with pytest.raises(InputError, match=r"holds no 'kspace'; it holds flags"):
            checked_dataset(file, "kspace")
    with pytest.raises(InputError, match="holds NaN or infinite"):
        finite(np.array([1, np.inf]), path)


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("exploded",)


def test_pickles_are_never_loaded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("object.npy", np.array([Bomb()], dtype=object), allow_pickle=True)
    refused(tmp_path / "object.npy", "holds objects")
    (tmp_path / "plain.npy").write_bytes(pickle.dumps(Bomb()))
    refused(tmp_path / "plain.npy", "no known k-space format")
    assert not (tmp_path / "exploded").exists()


def test_npy_guards(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.ones((2, 6, 5), np.complex64))
    refused(path, "over the limit", max_gb=1e-9)
    refused(path, "2 axes are named", axes=("row", "col"))
    refused(path, "unknown axes 'x'; the names are slice, coil, row, col", axes=("x", "row", "col"))
    refused(path, "name one twice", axes=("row", "row", "col"))
    refused(path, "lack row or col", axes=("coil", "slice", "col"))
    path.write_bytes(path.read_bytes()[:-8])
    refused(path, "no complete numeric .npy")
    np.save(path, np.array(["a"]))
    refused(path, "not numbers")


def test_cfl_guards(tmp_path):
    (tmp_path / "a.cfl").write_bytes(bytes(8 * 4 * 5 * 2 - 8))
    header = tmp_path / "a.hdr"
    header.write_text("# Dimensions\n4 5 1 2\n")
    refused(tmp_path / "a.cfl", "has 312 bytes but its .hdr declares .* = 320")
    header.write_text("# Dimensions\n99999 99999 99999 2\n")
    refused(header, "over the limit")
    for text in ("# Dimensions\n4 -5\n", "# Dimensions\n4 x\n", "", "# Dimensions\n" + "1 " * 40):
        header.write_text(text)
        refused(header, "dimensions as whole numbers")
    header.unlink()
    with pytest.raises(InputError, match=r"a\.hdr does not exist"):
        read_kspace(tmp_path / "a.cfl")


def test_the_files_of_a_pair_are_both_whichever_name_it_is_given_by(tmp_path):
    pair = (tmp_path / "a.hdr", tmp_path / "a.cfl")
    for path in (*pair, tmp_path / "b.h5"):
        path.write_bytes(b"1")
    assert {scan_files(tmp_path / name) for name in ("a", "a.hdr", "a.cfl")} == {pair}
    assert scan_files(tmp_path / "b.h5") == (tmp_path / "b.h5",) and scan_files(tmp_path / "c") == (tmp_path / "c",)
    (tmp_path / "a.cfl").unlink()
    with pytest.raises(InputError, match=r"a\.cfl does not exist"):
        scan_files(tmp_path / "a.hdr")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with names")
def test_a_pipe_is_no_file_and_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.h5")
    with pytest.raises(InputError, match=r"a\.h5 is a pipe or a device; give the path of one file"):
        existing(tmp_path / "a.h5")
