"""Guards against hostile and broken files: every size, type and link is checked before a byte is read.

A 1.4 kB HDF5 file can declare a 43 GB dataset, external storage and links can pull any local file in as "k-space",
and pickled arrays run code. All of that is refused with an `InputError` that names the file and the way out.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from ..errors import InputError
from .causes import cause, is_unlockable
from .hdf5 import Dataset, File, Hdf5Group

GB = 1e9
CFL_SUFFIXES = (".cfl", ".hdr")
MAX_TEXT = 1 << 20  # bytes of an XML or .hdr header; real ones hold some kilobytes
DEFLATE_LIMIT = 1100  # deflate cannot shrink by more than 1032 : 1 (zlib's technical notes), so more is not real data
LARGEST_CHUNK = 64 << 20  # bytes of a chunk that is larger than its array, which may be made to grow
COMPLEX_NAMES = {("real", "imag"), ("r", "i"), ("re", "im")}

PathLike = str | os.PathLike[str]
T = TypeVar("T")


def require(condition: bool, message: str) -> None:
    """Raises `InputError(message)` unless the condition holds."""
    if not condition:
        raise InputError(message)


def existing(path: PathLike) -> Path:
    """The path itself, refused unless it is a file."""
    path = Path(path)
    if not path.is_file():
        kind = "is a folder, not a file" if path.is_dir() else "is a pipe or a device" if path.exists() else "does not exist"
        raise InputError(f"{path} {kind}; give the path of one file.")
    return path


def open_hdf5(path: PathLike) -> File:
    """An HDF5 file opened to read, to be used as a context manager; anything else is an `InputError`."""
    path = existing(path)
    try:
        try:
            return File(path)
        except OSError as error:
            if not is_unlockable(error):
                raise
            return File(path, locking=False)
    except OSError as error:
        raise InputError(cause(path, error)) from error


def lookup(file: File, name: str) -> Dataset | Hdf5Group:
    """The object `name` of the file, reached through hard links alone: soft and external links are refused."""
    entry = guarded(file.filename, partial(file.entry, name))
    if entry == "link":
        raise InputError(
            f"{file.filename}: {name!r} is a link, which could point to any file of this computer; "
            "copy the data itself into the file."
        )
    if isinstance(entry, str):
        raise InputError(f"{file.filename} holds no {name!r}; it holds {', '.join(first_names(file)[:20]) or 'nothing'}.")
    return entry


def has(where: File | Hdf5Group, name: str) -> bool:
    """Whether there is an entry of that name. Unlike `name in group` it never follows a link into another file."""
    return guarded(_file(where).filename, partial(where.entry, name)) != "missing"


def is_own_dataset(where: File | Hdf5Group, name: str) -> bool:
    """Whether an entry is stored in the file itself: a hard link, not a soft, external or user-defined one."""
    return guarded(_file(where).filename, partial(where.entry, name)) not in ("missing", "link")


def first_names(where: File | Hdf5Group, limit: int = 20) -> list[str]:
    """The first names in a file or a group, for error messages."""
    group = lookup(where, "/") if isinstance(where, File) else where
    return guarded(_file(where).filename, partial(group.names, limit)) if isinstance(group, Hdf5Group) else []


def _file(where: File | Hdf5Group) -> File:
    return where.file if isinstance(where, Hdf5Group) else where


def checked_dataset(file: File, name: str, *, ndim: int | None = None, max_gb: float = 16.0) -> Dataset:
    """A numeric dataset of the file whose kind, axes and size were checked from its header, before it is read.

    Args:
        ndim: the number of axes it must have; None leaves that open.
        max_gb: the most gigabytes (1e9 bytes) that the dataset may declare.

    Raises:
        InputError: links, virtual or external storage, a kind that is not numeric, a wrong number of axes, more than
            `max_gb`, or a shape that the bytes stored cannot fill.
    """
    where = f"{file.filename}: {name!r}"
    dataset = own_dataset(file, name)
    if not is_numeric(dataset.dtype):
        raise InputError(f"{where} holds {dataset.dtype}, not numbers; name a numeric array.")
    if dataset.shape is None or (ndim is not None and dataset.ndim != ndim):
        raise InputError(f"{where} has the shape {dataset.shape}, but {ndim if ndim is not None else 'some'} axes are needed.")
    size = check_size(where, dataset.shape, dataset.dtype.itemsize, max_gb=max_gb)
    check_stored(where, dataset, size)
    return dataset


def own_dataset(file: File, name: str) -> Dataset:
    """A dataset whose bytes lie in the file itself and whose header can be read; its kind and size are not checked."""
    where = f"{file.filename}: {name!r}"
    dataset = lookup(file, name)
    if isinstance(dataset, Hdf5Group):
        raise InputError(f"{where} is a group, not an array; name one of {', '.join(first_names(dataset)) or 'its arrays'}.")
    if dataset.elsewhere:
        raise InputError(f"{where} keeps its data in other files, which is refused; copy the data itself into the file.")
    return dataset


def check_stored(where: str, dataset: Dataset, size: int) -> None:
    """Refuses a dataset that declares more bytes than what is stored of it can hold, and chunks far larger than itself."""
    if size > dataset.stored * (DEFLATE_LIMIT if dataset.filters > 0 else 1):
        raise InputError(
            f"{where} declares {size} bytes but the file stores {dataset.stored}; it is not complete, copy it again."
        )
    chunk = dataset.dtype.itemsize * math.prod(dataset.chunks or ())
    if chunk > max(size, LARGEST_CHUNK):
        raise InputError(f"{where} declares chunks of {chunk} bytes, and it has {size} bytes in all; "
                         "write it again with smaller chunks.")


def check_size(where: str, shape: tuple[int, ...], itemsize: int, *, max_gb: float) -> int:
    """The bytes of an array, refused if empty or over `max_gb`; the product is exact, it cannot overflow."""
    size = itemsize * math.prod(int(n) for n in shape)
    if size > max_gb * GB:
        raise InputError(
            f"{where} declares the shape {tuple(shape)} = {size / GB:.1f} GB, over the limit of {max_gb:g} GB; "
            "raise `max_gb` if that is real."
        )
    if any(n == 0 for n in shape):
        raise InputError(f"{where} is empty, its shape is {tuple(shape)}; give a file that holds data.")
    return size


def is_numeric(dtype: np.dtype) -> bool:
    """Numbers, booleans, or complex numbers stored as a real and an imaginary field."""
    return dtype.kind in "biufc" or is_complex(dtype)


def is_complex(dtype: np.dtype) -> bool:
    """Complex numbers, native or as a compound of two numbers of one type, apart: (real, imag), (re, im) or (r, i)."""
    if dtype.names is None:
        return dtype.kind == "c"
    if tuple(name.lower() for name in dtype.names) not in COMPLEX_NAMES or dtype.fields is None:
        return False
    (real, first, *_), (imag, second, *_) = (dtype.fields[name] for name in dtype.names)
    apart = abs(first - second) >= real.itemsize and max(first, second) + real.itemsize <= dtype.itemsize
    return real == imag and real.kind in "fiu" and apart


def to_complex64(array: np.ndarray) -> np.ndarray:
    """A complex64 copy of numbers of any kind that `is_numeric` accepts."""
    out = np.empty(array.shape, np.complex64)
    with np.errstate(over="ignore", invalid="ignore"):  # infinity is found by `finite`
        if array.dtype.names is None:
            out[...] = array
        else:
            out.real, out.imag = (array[name] for name in array.dtype.names)
    return out


def guarded(path: PathLike, read: Callable[[], T]) -> T:
    """The result of `read()`; errors that a damaged file causes become an `InputError`."""
    try:
        return read()
    except OSError as error:
        raise InputError(cause(path, error)) from error
    except MemoryError as error:
        raise InputError(f"{path} cannot be read, memory is short; close other programs or read on a larger computer.") from error
    except (ValueError, RuntimeError, KeyError, TypeError) as error:
        raise InputError(f"{path} cannot be read, it is damaged or uses a compression that is not installed: {error}.") from error


def finite(array: np.ndarray, path: PathLike, what: str = "the data") -> np.ndarray:
    """The array itself, refused when it holds NaN or infinity."""
    if not np.isfinite(array).all():
        raise InputError(f"{path}: {what} holds NaN or infinite values; export the file again.")
    return array


def read_text(file: File, name: str) -> str:
    """A short UTF-8 text (an XML header) stored as a scalar or a one-element string dataset."""
    where = f"{file.filename}: {name!r}"
    dataset = own_dataset(file, name)
    if not dataset.is_text or dataset.size != 1:
        raise InputError(f"{where} is not one text; export the file again.")
    too_long = f"{where} is longer than {MAX_TEXT} bytes, which no real header is; export the file again."
    if dataset.dtype.itemsize > MAX_TEXT:
        raise InputError(too_long)
    data = guarded(file.filename, partial(dataset.text, MAX_TEXT + 1))
    if len(data) > MAX_TEXT:
        raise InputError(too_long)
    try:
        return data.rstrip(b"\0").decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{where} is not UTF-8 text; export the file again.") from error


def open_npy(path: PathLike, *, max_gb: float = 16.0) -> np.memmap:
    """A numeric .npy file as a read-only memory map; pickled objects are refused, never loaded."""
    path = existing(path)
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # the header is parsed as Python text, so tokenizer and type errors escape as well
        raise InputError(f"{path} is no complete numeric .npy file, or holds objects; save it again by numpy.save.") from error
    if not is_numeric(array.dtype):
        raise InputError(f"{path} holds {array.dtype}, not numbers; save a complex64 array.")
    check_size(str(path), array.shape, array.dtype.itemsize, max_gb=max_gb)
    return array


def cfl_files(path: PathLike) -> tuple[Path, Path]:
    """The .hdr and the .cfl of a BART pair; `path` may end in .cfl, .hdr or neither."""
    base = Path(path)
    if base.suffix == base.suffix.upper() != "" and base.suffix.lower() in CFL_SUFFIXES:
        return existing(base.with_suffix(".HDR")), existing(base.with_suffix(".CFL"))
    base = base.with_suffix("") if base.suffix in CFL_SUFFIXES else base
    return existing(f"{base}.hdr"), existing(f"{base}.cfl")


def is_cfl(path: PathLike) -> bool:
    """Whether `path` names a BART pair: it ends in .cfl or .hdr, or is the name of a pair without either."""
    path = Path(path)
    return path.suffix.lower() in CFL_SUFFIXES or (not path.exists() and Path(f"{path}.hdr").is_file())


def scan_files(path: PathLike) -> tuple[Path, ...]:
    """The files that the data of one file name are in: header and data of a BART pair, else the file itself.

    Raises:
        InputError: a part of the pair is missing.
    """
    return cfl_files(path) if is_cfl(path) else (Path(path),)


def open_cfl(path: PathLike, *, max_gb: float = 16.0) -> np.memmap:
    """A BART .cfl/.hdr pair as a read-only complex64 memory map in the .hdr's order of dimensions.

    `path` may end in .cfl, .hdr or neither.
    """
    header, data = cfl_files(path)
    if header.stat().st_size > MAX_TEXT:
        raise InputError(f"{header} is longer than {MAX_TEXT} bytes, which no .hdr is; write it again by BART.")
    lines = [line for line in header.read_text("utf-8-sig", "replace").splitlines() if line.strip() and not line.startswith("#")]
    fields = lines[0].split() if lines else []
    if not 1 <= len(fields) <= 32 or not all(n.isascii() and n.isdigit() and 0 < len(n) < 12 for n in fields):
        raise InputError(f"{header} does not list its dimensions as whole numbers; write it again by BART.")
    dims = tuple(int(n) for n in fields)
    size = check_size(str(header), dims, 8, max_gb=max_gb)
    if data.stat().st_size != size:
        raise InputError(f"{data} has {data.stat().st_size} bytes but its .hdr declares {dims} = {size}; copy both again.")
    return np.memmap(data, np.complex64, "r", shape=dims, order="F")
