"""Scans, images and frames that are cut or damaged: refused, copied or saved again as the sentence says, and read right."""

import io
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any
from unittest import mock

import h5py
import nibabel
import numpy as np
import pytest
import scipy.io
import tifffile
from helpers.advice import damage, followed
from helpers.arrays import complex_normal
from helpers.mrd import COILS, COLUMNS, SAMPLES
from helpers.pictures import picture, save

from medrestore.evaluation.tables import read_rows, write_rows
from medrestore.io import guards, open_volume, read_kspace
from medrestore.io.frames.mha import MhaFrames, MhaWriter
from medrestore.io.frames.pictures import read_picture
from medrestore.io.frames.video import VideoFrames, VideoWriter
from medrestore.io.guards import checked_dataset, guarded, open_cfl, open_hdf5, open_npy
from medrestore.io.images.open import open_images
from medrestore.io.kspace.matlab import list_variables, load_variable
from medrestore.io.kspace.twix import _measurements
from medrestore.io.npz import read_npz
from medrestore.io.scenes.grand_challenge import read_predictions

DATA = complex_normal(0, 1, 3, 12, 10)
LINES = complex_normal(0, COILS, SAMPLES, COLUMNS)
FRAMES = np.stack([picture(index) for index in range(3)])
VOLUME = np.random.default_rng(0).random((6, 7, 5)).astype(np.float32)


def cut(to: int | float) -> Callable[[Path], None]:
    """The beginning alone: so many bytes, or such a share."""

    def spoil(path: Path) -> None:
        data = path.read_bytes()
        path.write_bytes(data[: to if isinstance(to, int) else int(to * len(data))])

    return spoil


def flip(share: float, bit: int = 0x10, count: int = 1) -> Callable[[Path], None]:
    """Bits at a place of the file."""

    def spoil(path: Path) -> None:
        data = bytearray(path.read_bytes())
        for at in range(count):
            data[int(share * len(data)) + at] ^= bit
        path.write_bytes(data)

    return spoil


def replaced(old: bytes, new: bytes) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        data = path.read_bytes()
        assert old in data
        path.write_bytes(data.replace(old, new, 1))

    return spoil


def put(at: int, value: bytes) -> Callable[[Path], None]:
    def spoil(path: Path) -> None:
        data = bytearray(path.read_bytes())
        data[at : at + len(value)] = value
        path.write_bytes(data)

    return spoil


# --------------------------------------------------------------------------------------------- frames and pictures
def png(folder: Path) -> Path:
    return save(folder / "a.png", FRAMES[0])


def tiff(folder: Path) -> Path:
    tifffile.imwrite(folder / "a.tif", FRAMES[0])
    return folder / "a.tif"


def pixels(path: Path) -> np.ndarray:
    return open_images(path).values[0].transpose(1, 2, 0)


def mha(folder: Path) -> Path:
    with MhaWriter(folder / "a.mha", size=FRAMES.shape[1:3], count=3, channels=3) as writer:
        for frame in FRAMES:
            writer.put(frame)
    return folder / "a.mha"


def plain_mha(folder: Path) -> Path:
    height, width = FRAMES.shape[1:3]
    header = (
        f"ObjectType = Image\nNDims = 3\nDimSize = {width} {height} 3\nElementNumberOfChannels = 3\n"
        "ElementType = MET_UCHAR\nElementDataFile = LOCAL\n"
    )
    (folder / "a.mha").write_bytes(header.encode() + FRAMES.tobytes())
    return folder / "a.mha"


def stack(path: Path) -> np.ndarray:
    with MhaFrames(path) as frames:
        return np.stack(list(frames))


def video(folder: Path) -> Path:
    with VideoWriter(folder / "a.mkv", size=FRAMES.shape[1:3], fps=Fraction(25)) as writer:
        for frame in FRAMES:
            writer.put(frame)
    return folder / "a.mkv"


def film(path: Path) -> np.ndarray:
    with VideoFrames(path) as frames:
        return np.stack(list(frames))


def cut_while_read(path: Path) -> np.ndarray:
    """A stack, cut after it is opened where it is called `cut`."""
    frames = MhaFrames(path)
    if (path.parent / "cut").exists():
        cut(0.9)(path)
    with frames:
        return np.stack(list(frames))


def short_film(path: Path) -> np.ndarray:
    """A video that has fewer frames than it had when it was opened, where there is a file `cut`."""
    frames = VideoFrames(path)
    if (path.parent / "cut").exists():
        frames._count += 1
    with frames:
        return np.stack([frames[index] for index in range(len(frames))])


def corrupt(path: Path) -> np.ndarray:
    """A video whose decoder calls its frames corrupt, where there is a file `cut`."""
    if not (path.parent / "cut").exists():
        return film(path)
    from medrestore.io.frames import video as module

    whole = module._Video.frame

    def said(self: Any, *args: Any, **options: Any) -> Any:
        found = whole(self, *args, **options)
        return None if found is None else ({**found[0], "corrupt": True}, found[1])

    with mock.patch.object(module._Video, "frame", said):
        return film(path)


def mark(path: Path) -> None:
    (path.parent / "cut").touch()


def predictions(folder: Path) -> Path:
    (folder / "predictions.json").write_text("[]")
    return folder / "predictions.json"


FRAMED = [
    damage("{} is cut off; copy it again.", png, cut(-12), read_picture, FRAMES[0]),
    damage(
        "{} is damaged: the checksum of one of its parts is wrong; copy it again.",
        png,
        flip(0.5),
        read_picture,
        FRAMES[0],
    ),
    damage(
        "{} declares more than it holds; copy it again.",
        tiff,
        lambda path: vast_tiff(path),
        pixels,
        FRAMES[0],
    ),
    damage(
        "{} holds {} bytes of pixels where its header needs {}; it was cut, copy it again.",
        plain_mha,
        cut(0.8),
        stack,
        FRAMES,
    ),
    damage(
        "{} has a second header (HeaderSize); save it again without one.",
        plain_mha,
        replaced(b"NDims", b"HeaderSize = 8\nNDims"),
        stack,
        FRAMES,
    ),
    damage(
        "{} ends in frame {} of {}; it was cut, copy it again.",
        mha,
        lambda path: cut_mha(path, 300),
        stack,
        FRAMES,
    ),
    damage(
        "{} lacks its checksum; it was cut, copy it again.", mha, lambda path: cut_mha(path, 2), stack, FRAMES
    ),
    damage("{} is damaged ({}); copy it again.", mha, flip(0.6), stack, FRAMES),
    damage("{} was cut while it was read; copy it again.", plain_mha, mark, cut_while_read, FRAMES),
    damage(
        "{} is no video that can be read (damaged, cut or another format); copy it again.",
        video,
        cut(20),
        film,
        FRAMES,
    ),
    damage(
        "{}: frame {} cannot be decoded, the video is damaged or cut; copy it again.",
        video,
        flip(0.7),
        film,
        FRAMES,
    ),
    damage("{}: frame {} is damaged; copy the video again.", video, mark, corrupt, FRAMES),
    damage("{} ends after {} of {} frames; copy it again.", video, mark, short_film, FRAMES),
    damage(
        "{} is no predictions.json of DREAMING ({}); copy it again.",
        predictions,
        cut(1),
        read_predictions,
        [],
    ),
]


def cut_mha(path: Path, count: int) -> None:
    """A compressed stack whose header says what is left of it."""
    data = path.read_bytes()
    with MhaFrames(path) as frames:
        offset = frames.header.offset
    head, packed = data[:offset], data[offset:-count]
    lines = [line for line in head.split(b"\n") if not line.startswith(b"CompressedDataSize")]
    path.write_bytes(b"\n".join(lines) + packed)


def vast_tiff(path: Path) -> None:
    """A picture of 24 x 16 pixels that says that it has more."""
    tifffile.imwrite(path, np.zeros((16, 24), np.uint8), compression="zlib")
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as file:
        for name in ("ImageWidth", "ImageLength", "RowsPerStrip"):
            tag = file.pages[0].tags[name]
            data[tag.valueoffset : tag.valueoffset + 2] = (30_000).to_bytes(2, "little")
    path.write_bytes(data)


# --------------------------------------------------------------------------------------------------------- arrays
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


@pytest.mark.parametrize(("sentence", "wrong", "right"), [*FRAMED, *STORED])
def test_a_file_is_copied_or_saved_again(sentence: str, wrong: Any, right: Any, tmp_path: Path) -> None:
    followed(sentence, wrong, right, tmp_path)


# ---------------------------------------------------------------------------------------------------------- twix
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


@pytest.mark.parametrize(("sentence", "wrong", "right"), TWIX)
def test_a_twix_file_is_copied_again(sentence: str, wrong: Any, right: Any, tmp_path: Path) -> None:
    pytest.importorskip("twixtools")
    followed(sentence, wrong, right, tmp_path)
