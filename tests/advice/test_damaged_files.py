"""Scans, arrays, volumes and tables that are damaged: each is refused, and read once it is copied or saved again."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import h5py
import nibabel
import numpy as np
import pytest
import scipy.io
from helpers.advice import damage, followed
from helpers.arrays import complex_normal
from helpers.spoiled import cut, flip

from medrestore.evaluation.tables import read_rows, write_rows
from medrestore.io import guards, open_volume, read_kspace
from medrestore.io.guards import checked_dataset, guarded, open_cfl, open_hdf5, open_npy
from medrestore.io.kspace.matlab import list_variables, load_variable
from medrestore.io.kspace.twix import _measurements
from medrestore.io.npz import read_npz

DATA = complex_normal(0, 1, 3, 12, 10)
VOLUME = np.random.default_rng(0).random((6, 7, 5)).astype(np.float32)


def put(at: int, value: bytes) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        data = bytearray(path.read_bytes())
        data[at : at + len(value)] = value
        path.write_bytes(data)

    return spoil


def npy(folder: Path) -> Path:
    np.save(folder / "a.npy", DATA)
    return folder / "a.npy"


def npz(folder: Path) -> Path:
    np.savez(folder / "a.npz", x=DATA)
    return folder / "a.npz"


def x_of(path: Path) -> np.ndarray:
    return read_npz(path, "x")


def cfl(folder: Path) -> Path:
    (folder / "a.hdr").write_text("# Dimensions\n" + " ".join(map(str, DATA.shape)) + "\n")
    DATA.ravel(order="F").tofile(folder / "a.cfl")
    return folder / "a.cfl"


def header(text: str) -> Callable[[Path], object]:
    return lambda path: path.with_suffix(".hdr").write_text(text)


def hdf5(folder: Path) -> Path:
    with h5py.File(folder / "a.h5", "w") as file:
        file.create_dataset("kspace", data=DATA, chunks=DATA.shape, compression="gzip")
    return folder / "a.h5"


def kspace_of(path: Path) -> np.ndarray:
    with open_hdf5(path) as file:
        return guarded(path, lambda: checked_dataset(file, "kspace")[()])


def other_hdf5(**how: Any) -> Callable[[Path], None]:
    """The array in a file that declares it otherwise."""

    def spoil(path: Path) -> None:
        with h5py.File(path, "w") as file:
            file.create_dataset("kspace", **how)

    return spoil


def mat(folder: Path, compressed: bool = False) -> Path:
    scipy.io.savemat(folder / "a.mat", {"raw": DATA}, do_compression=compressed)
    return folder / "a.mat"


def packed_mat(folder: Path) -> Path:
    return mat(folder, compressed=True)


def raw_of(path: Path) -> np.ndarray:
    (variable,) = list_variables(path)
    return load_variable(path, variable, max_gb=1)


def one_part(path: Path) -> None:
    """A complex array without its imaginary part."""
    scipy.io.savemat(path, {"raw": DATA.real.astype(np.float32)})
    data = bytearray(path.read_bytes())
    data[128 + 8 + 8 + 1] |= 0x08  # says that it is complex
    path.write_bytes(data)


def nifti(folder: Path) -> Path:
    nibabel.save(nibabel.Nifti1Image(VOLUME, np.eye(4)), folder / "a.nii")
    return folder / "a.nii"


def values(path: Path) -> np.ndarray:
    return open_volume(path).read()


def kspace_npy(path: Path) -> np.ndarray:
    with read_kspace(path) as file:
        return file[0].kspace.numpy()[0]


def emptied(path: Path) -> None:
    """A file of no bytes, whose name does not say what it was."""
    path.rename(path.with_suffix(".dat")).write_bytes(b"")


def whole_or_empty(path: Path) -> np.ndarray:
    return kspace_npy(path if path.exists() else path.with_suffix(".dat"))


def table(folder: Path) -> Path:
    write_rows(folder / "t.parquet", [{"case": "a", "psnr": 30.0}])
    return folder / "t.parquet"


def scores(path: Path) -> list[float]:
    return [float(row["psnr"]) for row in read_rows(path)]


def vast_chunks(path: Path) -> None:
    """Chunks larger than the array and than the test allows."""
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "kspace", data=DATA, maxshape=(None, 3, 12, 10), chunks=(64, 3, 12, 10), compression="gzip"
        )


def in_small_chunks(path: Path) -> np.ndarray:
    with mock.patch.object(guards, "LARGEST_CHUNK", 1000):
        return kspace_of(path)


STORED = [
    damage(
        "{} is no complete numeric .npy file, or holds objects; save it again by numpy.save.",
        npy,
        cut(40),
        open_npy,
        DATA,
    ),
    damage(
        "{} is no .npz archive, or damaged ({}); save it again by numpy.savez.", npz, cut(0.9), x_of, DATA
    ),
    damage(
        "{}: {} cannot be read, it is damaged ({}); save it again by numpy.savez.", npz, flip(0.5), x_of, DATA
    ),
    damage(
        "{} is longer than {} bytes, which no .hdr is; write it again by BART.",
        cfl,
        header(" " * (1 << 25)),
        open_cfl,
        DATA,
    ),
    damage(
        "{} does not list its dimensions as whole numbers; write it again by BART.",
        cfl,
        header("# Dimensions\n3 x\n"),
        open_cfl,
        DATA,
    ),
    damage("{} has {} bytes but its .hdr declares {} = {}; copy both again.", cfl, cut(0.5), open_cfl, DATA),
    damage(
        "is not a complete HDF5 file, it is shorter than its header says; copy it again",
        hdf5,
        cut(0.9),
        kspace_of,
        DATA,
    ),
    damage(
        "is no HDF5 file (another format, or its beginning is damaged); copy it again",
        hdf5,
        put(0, b"x" * 8),
        kspace_of,
        DATA,
    ),
    damage(
        "{} cannot be read, it is damaged inside ({}); copy it again.",
        hdf5,
        flip(0.95, count=40),
        kspace_of,
        DATA,
    ),
    damage(
        "{} declares {} bytes but the file stores {}; it is not complete, copy it again.",
        hdf5,
        other_hdf5(shape=(1, 3, 5000, 50), dtype="c8", chunks=(1, 3, 10, 10)),
        kspace_of,
        DATA,
    ),
    damage(
        "{} declares chunks of {} bytes, and it has {} bytes in all; write it again with smaller chunks.",
        hdf5,
        vast_chunks,
        in_small_chunks,
        DATA,
    ),
    damage("{} is cut or damaged; save it again, best with -v7.3.", mat, cut(0.7), raw_of, DATA),
    damage(
        "{} has a damaged MATLAB header; save it again, best with -v7.3.", mat, put(126, b"xx"), raw_of, DATA
    ),
    damage(
        "{}: {} is cut or damaged; save it again, best with -v7.3.",
        mat,
        lambda path: other_length(path),
        raw_of,
        DATA,
    ),
    damage("{}: {} is cut or damaged; save it again.", mat, one_part, raw_of, DATA),
    damage(
        "{} holds an array of the shape {}; it is damaged, save it again.",
        mat,
        lambda path: negative(path),
        raw_of,
        DATA,
    ),
    damage(
        "{} holds a damaged compressed array; save it again, best with -v7.3.",
        packed_mat,
        flip(0.5, count=60),
        raw_of,
        DATA,
    ),
    damage("{} is empty, it has no bytes at all; copy it again.", npy, emptied, whole_or_empty, DATA[0]),
    damage(
        "{} declares {} bytes and holds {}; it is not complete, copy it again.",
        nifti,
        cut(0.5),
        values,
        VOLUME,
    ),
    damage(
        "{} cannot be read as NIfTI, it is damaged or truncated ({}); copy it again.",
        nifti,
        cut(100),
        values,
        VOLUME,
    ),
    damage(
        "{} is not a whole Parquet file (damaged or another format); write it again.",
        table,
        cut(0.8),
        scores,
        [30.0],
    ),
]


def other_length(path: Path) -> None:
    """An array whose numbers are fewer than its shape says."""
    data = bytearray(path.read_bytes())
    at = data.index(struct.pack("<4i", *DATA.shape))
    data[at : at + 4] = struct.pack("<i", 2)
    path.write_bytes(data)


def negative(path: Path) -> None:
    data = bytearray(path.read_bytes())
    at = data.index(struct.pack("<4i", *DATA.shape))
    data[at : at + 4] = struct.pack("<i", -1)
    path.write_bytes(data)


def twix(folder: Path, *, entries: int = 1, header_bytes: int = 64, block: bytes = b"") -> Path:
    """The frame of a twix file of version VE: a directory, a header, a block of data."""
    start = 16 + 152 * entries
    body = struct.pack("<I", header_bytes) + b"\0" * (header_bytes - 4) + block
    table = b"".join(struct.pack("<QQ", start, len(body)).ljust(152 - 0, b"\0") for _ in range(entries))
    (folder / "a.dat").write_bytes(struct.pack("<II", 0, entries) + b"\0" * 8 + table + body)
    return folder / "a.dat"


def measurements(path: Path) -> int:
    with path.open("rb") as stream:
        return len(list(_measurements(stream, path)))


TWIX = [
    damage("{} is too short for a twix file; copy it again.", twix, cut(6), measurements, 1),
    damage("{} ends inside its directory; copy it again.", twix, cut(60), measurements, 1),
    damage("{} is shorter than its directory says; copy it again.", twix, cut(-20), measurements, 1),
    damage(
        "{} has a damaged header; copy it again.", twix, put(168, struct.pack("<I", 1 << 30)), measurements, 1
    ),
]


@pytest.mark.parametrize(("sentence", "wrong", "right"), STORED)
def test_a_file_is_copied_or_saved_again(sentence: str, wrong: Any, right: Any, tmp_path: Path) -> None:
    followed(sentence, wrong, right, tmp_path)


@pytest.mark.parametrize(("sentence", "wrong", "right"), TWIX)
def test_a_twix_file_is_copied_again(sentence: str, wrong: Any, right: Any, tmp_path: Path) -> None:
    pytest.importorskip("twixtools")
    followed(sentence, wrong, right, tmp_path)
