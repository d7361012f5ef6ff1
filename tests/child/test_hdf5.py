"""Questions about HDF5 files, asked without a process between."""

import zlib

import h5py
import numpy as np
import pytest

from medrestore.child.hdf5 import HDF5, check_apart, selection, touched, unpacked_size


def request(number, path, question, **arguments):
    return {"locking": True, "file": number, "path": str(path), "question": question, "arguments": arguments}


def ask(path, question, **arguments):
    return HDF5().answer(request(0, path, question, **arguments))


def stored_short(path, *, compression=None, shuffle=False, bytes_left=40):
    """A dataset of (4, 8) float32 in one chunk that holds fewer bytes than that."""
    with h5py.File(path, "w") as file:
        array = file.create_dataset("x", (4, 8), "f4", chunks=(4, 8), compression=compression, shuffle=shuffle)
        data = np.ones(32, "f4").tobytes()[:bytes_left]
        array.id.write_direct_chunk((0, 0), zlib.compress(data) if compression else data)
    return path


@pytest.mark.parametrize("compression", [None, "gzip"])
@pytest.mark.parametrize("size", [0, 40, 124])
def test_a_chunk_that_is_shorter_than_its_shape(tmp_path, compression, size):
    if size == 0 and compression is None:
        pytest.skip("HDF5 does not write one")
    path = stored_short(tmp_path / "short.h5", compression=compression, bytes_left=size)
    with pytest.raises((ValueError, OSError), match="chunk"):
        ask(path, "array", name="/x", field=None, key=None)


def test_a_chunk_that_is_longer(tmp_path):
    with h5py.File(tmp_path / "long.h5", "w") as file:
        array = file.create_dataset("x", (4, 8), "f4", chunks=(4, 8), compression="gzip")
        array.id.write_direct_chunk((0, 0), zlib.compress(bytes(1000)))
    with pytest.raises(ValueError, match="more than its 128 bytes"):
        ask(tmp_path / "long.h5", "array", name="/x", field=None, key=None)


@pytest.mark.parametrize("options", [
    {}, {"compression": "gzip"}, {"compression": "gzip", "shuffle": True, "fletcher32": True}, {"fletcher32": True},
    {"compression": "lzf"}, {"scaleoffset": 0},
])
def test_whole_chunks_are_read(tmp_path, options):
    values = np.arange(7 * 10, dtype="i4").reshape(7, 10)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("x", data=values, chunks=(3, 4), **options)
        file.create_dataset("never", (7, 10), "i4", chunks=(3, 4), **options)
    for key, chosen in (None, ()), ([5], 5), ([[1, 6, 2], {"at": [0, 9]}], (slice(1, 6, 2), [0, 9])):
        assert np.array_equal(ask(tmp_path / "a.h5", "array", name="/x", field=None, key=key)[1][0], values[chosen])
    assert not ask(tmp_path / "a.h5", "array", name="/never", field=None, key=None)[1][0].any()


def test_a_cut_stream_is_no_chunk():
    packed = zlib.compress(np.random.default_rng(0).bytes(1000))
    with pytest.raises(ValueError, match="cut"):
        unpacked_size(packed[:-10], [1], 0, 1000)
    assert unpacked_size(packed, [2, 1], 0, 1000) == 1000
    assert unpacked_size(packed, [1], 1, 1000) == len(packed)  # the filter was skipped
    assert unpacked_size(zlib.compress(bytes(10**8)), [1], 0, 1000) <= 1008


def test_touched_chunks():
    assert list(touched((5, 4), (2, 4), (3,))) == [(2, 0)]
    assert list(touched((5, 4), (2, 3), selection([[1, 5, 1], {"at": [3, 0]}]))) == [
        (0, 0), (0, 3), (2, 0), (2, 3), (4, 0), (4, 3)]
    assert list(touched((5,), (2,), ())) == [(0,), (2,), (4,)]


@pytest.mark.parametrize(("formats", "offsets", "apart"), [
    (["f4", "f4"], [0, 4], True), (["f4", "f4"], [4, 0], True), (["f4", "f4"], [0, 2], False), (["f8", "f4"], [0, 4], False),
    (["f4", ("u1", (4,))], [0, 4], True), ([("u1", (8,)), "f4"], [0, 4], False),
])
def test_fields_that_overlap(formats, offsets, apart):
    dtype = np.dtype({"names": ["r", "i"], "formats": formats, "offsets": offsets, "itemsize": 16})
    for one in (dtype, np.dtype([("head", dtype)]), np.dtype((dtype, (2,)))):
        if apart:
            check_apart(one)
        else:
            with pytest.raises(ValueError, match="overlap"):
                check_apart(one)


def test_a_type_that_numpy_lacks_inside_of_a_record(tmp_path):
    path = tmp_path / "o.h5"
    with h5py.File(path, "w") as file:
        file["x"] = np.ones((4, 4), "c8")
    data = path.read_bytes()
    at = data.index(b"\x17\x7f\0\0\0", data.index(b"r" + bytes(7))) + 2  # of the bias, behind the size of the fraction
    path.write_bytes(data[:at] + b"\1" + data[at + 1 :])  # exponents that only float64 has, in four bytes
    with pytest.raises(ValueError, match="overlap"):
        ask(path, "entry", name="x")


def test_attributes(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs.update({"text": "ü", "bytes": np.bytes_(b"abc"), "number": 3, "float": np.float32(0.5), "list": [1, 2],
                           "array": np.zeros(1), "reference": file.ref, "texts": ["a", "b"]})
    found = {name: ask(tmp_path / "a.h5", "attribute", name=name)[0]
             for name in ("text", "bytes", "number", "float", "list", "array", "reference", "texts", "none")}
    assert found == {"text": "ü", "bytes": "abc", "number": 3, "float": 0.5, "list": None, "array": 0.0, "reference": None,
                     "texts": None, "none": None}


def test_only_hard_links_are_followed(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["g/x"] = 1.0
        file["soft"], file["out"] = h5py.SoftLink("/g"), h5py.ExternalLink("b.h5", "/")
        file["kind"] = np.dtype("f4")
    kinds = {name: ask(tmp_path / "a.h5", "entry", name=name)[0]["kind"]
             for name in ("g", "g/x", "soft/x", "out", "none", "kind")}
    assert kinds == {"g": "group", "g/x": "dataset", "soft/x": "link", "out": "link", "none": "missing", "kind": "other"}


def test_records_of_different_lengths(tmp_path):
    dtype = np.dtype([("n", "i4"), ("data", h5py.vlen_dtype(np.float32))])
    rows = np.empty(3, dtype)
    rows["n"] = [1, 2, 3]
    for at in range(3):
        rows["data"][at] = np.full(at, at, "f4")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"] = rows
    count, (numbers, lengths, values) = ask(tmp_path / "a.h5", "records", name="/x", key=[{"at": [1, 2]}])
    assert (count, numbers.tolist(), lengths.tolist(), values.tolist()) == (2, [2, 3], [1, 2], [1, 2, 2])


def test_closed_files(tmp_path):
    for name in "ab":
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["x"] = 1
    files = HDF5()
    for number, name in enumerate("ab"):
        files.answer(request(number, tmp_path / f"{name}.h5", "opened"))
    for number in (0, 7):
        files.close(number)
    assert list(files._files) == [1] and files.answer(request(1, "", "opened")) == (None, [])
