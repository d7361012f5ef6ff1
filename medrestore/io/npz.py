"""Arrays of .npz archives: the size that each declares is checked before a byte of it is unpacked."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from ..errors import InputError
from ..files import write_file
from .guards import GB, MAX_TEXT, PathLike, check_size, existing, is_numeric


def write_npz(path: Path, **arrays: np.ndarray | Tensor | None) -> None:
    """Writes arrays by name, in full or not at all; those that are None are left out.

    Raises:
        InputError: it cannot be written.
    """
    buffer = io.BytesIO()
    given: dict[str, Any] = {name: array.resolve_conj().numpy() if isinstance(array, Tensor) else array
                             for name, array in arrays.items() if array is not None}
    np.savez(buffer, **given)
    write_file(path, buffer.getvalue())


def npz_names(path: PathLike) -> list[str]:
    """The names of the arrays of an .npz.

    Raises:
        InputError: no such file, or no .npz.
    """
    path = existing(path)
    try:
        with zipfile.ZipFile(path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise InputError(f"{path} is no .npz archive, or damaged ({error}); save it again by numpy.savez.") from error


def read_npz(path: PathLike, name: str, *, text: bool = False, max_gb: float = 4.0) -> np.ndarray:
    """One array of an .npz; pickled objects are refused, never loaded.

    Args:
        text: whether an array of text is welcome too.
        max_gb: the most gigabytes (1e9 bytes) that the array may declare.

    Raises:
        InputError: no such file or array, damaged, objects, or too large.
    """
    path, stored = Path(path), npz_names(path)
    if name not in stored:
        raise InputError(f"{path} holds no array {name!r}; it holds {', '.join(stored[:20]) or 'nothing'}.")
    try:
        with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as member:
            if (declared := archive.getinfo(f"{name}.npy").file_size) > max_gb * GB + MAX_TEXT:
                raise InputError(f"{path}: {name!r} declares {declared / GB:.1f} GB, over the limit of {max_gb:g} GB; "
                                 "raise `max_gb` if that is real.")
            version = np.lib.format.read_magic(member)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(member)
        if not is_numeric(dtype) and not (text and dtype.kind in "SU"):
            raise InputError(f"{path}: {name!r} holds {dtype}, not numbers; save a numeric array.")
        check_size(f"{path}: {name!r}", shape, dtype.itemsize, max_gb=max_gb)
        with np.load(path, allow_pickle=False) as file:
            return file[name]
    except InputError:
        raise
    except Exception as error:  # numpy parses the header as Python text, so tokenizer and type errors escape as well
        raise InputError(f"{path}: {name!r} cannot be read, it is damaged ({error}); save it again by numpy.savez.") from error
