"""Messages between parent and child: what is sent is received, what is none is refused."""

import io

import h5py
import numpy as np
import pytest

from medrestore.child.messages import LENGTH, Broken, plain_dtype, receive_message, send_message, type_of


def test_arrays_come_back():
    arrays = [np.arange(5.0), np.zeros((0, 3)), np.array([(1, 2.5)], [("a", "i4"), ("b", "f8")]), np.array(7)]
    stream = io.BytesIO()
    send_message(stream, {"name": "ü\udcff"}, arrays)
    stream.seek(0)
    message, data = receive_message(stream, most=1000)
    assert message == {"name": "ü\udcff"}
    assert [one.tobytes() for one in data] == [one.tobytes() for one in arrays]


@pytest.mark.parametrize("data", [b"", b"12", LENGTH.pack(4) + b"nul", LENGTH.pack(4) + b"null", LENGTH.pack(2) + b"{}",
                                  LENGTH.pack(1 << 40), LENGTH.pack(13) + b'{"sizes":[9]}', LENGTH.pack(12) + b'{"sizes":-1}',
                                  LENGTH.pack(100_000) + b"[" * 100_000])
def test_what_is_no_message(data):
    with pytest.raises(Broken):
        receive_message(io.BytesIO(data), most=8)


@pytest.mark.parametrize("dtype", [
    np.dtype("<f4"), np.dtype(">c16"), np.dtype("?"), np.dtype([("r", "f4"), ("i", "f4")]), np.dtype("S5"),
    np.dtype({"names": ["x", "y"], "formats": ["u1", ("i2", (3,))], "offsets": [4, 8], "itemsize": 32}),
])
def test_types_come_back(dtype):
    assert type_of(plain_dtype(dtype)) == dtype


def test_types_of_hdf5_come_back():
    assert h5py.check_vlen_dtype(type_of(plain_dtype(h5py.vlen_dtype(np.float32)))) == np.float32
    assert h5py.check_string_dtype(type_of(plain_dtype(h5py.string_dtype()))) is not None
    assert type_of(plain_dtype(h5py.ref_dtype)) == np.dtype("O")


def test_endless_types_are_refused():
    nested = "<f4"
    for _ in range(20):
        nested = {"vlen": nested}
    with pytest.raises(ValueError, match="too deep"):
        type_of(nested)
