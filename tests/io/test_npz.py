"""Arrays of .npz archives: read as stored, checked before they are unpacked."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from medrestore.errors import InputError
from medrestore.io.npz import npz_names, read_npz

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_names_and_arrays(tmp_path, save):
    a, b = np.arange(6, dtype=np.float32).reshape(2, 3), np.array(["x", "yy"])
    save(tmp_path / "a.npz", a=a, b=b)
    assert npz_names(tmp_path / "a.npz") == ["a", "b"]
    np.testing.assert_array_equal(read_npz(tmp_path / "a.npz", "a"), a)
    np.testing.assert_array_equal(read_npz(tmp_path / "a.npz", "b", text=True), b)


def test_text_objects_and_unknown_names_are_refused(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, text=np.array(["x"]), things=np.array([{}], dtype=object))
    for name, match in (("text", "not numbers"), ("things", "not numbers"), ("none", "holds no array 'none'; it holds text")):
        with pytest.raises(InputError, match=match):
            read_npz(path, name)


def test_damage_is_refused(tmp_path):
    (tmp_path / "text.npz").write_text("no archive")
    np.savez(tmp_path / "a.npz", a=np.random.default_rng(0).random(1000))
    content = bytearray((tmp_path / "a.npz").read_bytes())
    content[400:500] = bytes(100)
    (tmp_path / "damaged.npz").write_bytes(content)
    for name, match in (("text.npz", "no .npz archive"), ("damaged.npz", "damaged"), ("none.npz", "does not exist")):
        with pytest.raises(InputError, match=match):
            read_npz(tmp_path / name, "a")


def test_npz_arrays_are_checked_before_they_are_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, big=np.zeros((1000, 1000)), text=np.array(["a"]), thing=np.array([{}], dtype=object))
    assert sorted(npz_names(path)) == ["big", "text", "thing"] and read_npz(path, "text", text=True).tolist() == ["a"]
    wrong = {"big": "over the limit", "text": "not numbers", "thing": "not numbers", "none": "holds no array"}
    for name, message in wrong.items():
        with pytest.raises(InputError, match=message):
            read_npz(path, name, max_gb=0.001)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", b"\x93NUMPY\1\0\x10\0{'descr': '<f8',")
    with pytest.raises(InputError, match="damaged"):
        read_npz(path, "a")
    path.write_bytes(b"PK")
    with pytest.raises(InputError, match=r"no \.npz"):
        npz_names(path)


def test_what_a_header_of_an_archive_declares(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", vol=np.zeros(100_000, np.uint8))
    data = bytearray((tmp_path / "a.npz").read_bytes())
    at = data.index(b"PK\1\2")
    data[at + 6 : at + 8] = b"\xff\0"  # a version that zipfile does not know
    (tmp_path / "b.npz").write_bytes(data)
    with pytest.raises(InputError, match=r"b\.npz is no \.npz archive, or damaged"):
        npz_names(tmp_path / "b.npz")


def test_a_header_that_unpacks_to_gigabytes(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("vol.npy", b"\x93NUMPY\2\0" + (3_000_000).to_bytes(4, "little") + b" " * 3_000_000)
    with pytest.raises(InputError, match=r"declares 0\.0 GB, over the limit of 1e-06 GB"):
        read_npz(tmp_path / "a.npz", "vol", max_gb=1e-6)
