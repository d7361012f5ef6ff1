"""Arrays that are slow to compute, stored on disk."""

import hashlib
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..files import write_file
from ..io.guards import open_npy

ADVICE = "make room or choose another cache folder"


def cache_key(path: Path, settings: object) -> str:
    """A name for what `settings` make of a file as it is now: of the file's path, size, time of change and
    the settings.

    The folder counts: files of two subjects often share a name, and unpacked from one archive also size and
    time.
    """
    state = path.stat()
    text = repr((str(path.resolve()), state.st_size, state.st_mtime_ns, settings))
    return f"{path.name.split('.')[0][:64]}-{hashlib.sha256(text.encode()).hexdigest()[:24]}"


def write_array(path: Path, array: np.ndarray) -> None:
    """An array as .npy, published when complete.

    Raises:
        InputError: the disk is full, or nothing may be written there; an older file stays.
    """
    write_file(path, lambda file: np.save(file, array, allow_pickle=False), advice=ADVICE)


def write_text(path: Path, text: str) -> None:
    """A text; the rest as for `write_array`."""
    write_file(path, text, advice=ADVICE)


def read_cached(path: Path) -> np.ndarray | None:
    """A cached array as a read-only memory map, or None where it is missing or damaged."""
    try:
        return open_npy(path)
    except InputError:
        return None
