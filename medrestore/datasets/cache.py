"""Arrays that are slow to make, kept on disk: written aside and renamed, so that a reader sees all of one or nothing."""

import hashlib
import os
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..io.guards import open_npy


def cache_key(path: Path, settings: object) -> str:
    """A name for what `settings` make of a file as it is now: of the file's path, size, time of change and the settings.

    The folder counts: files of two subjects often share a name, and unpacked from one archive also size and time.
    """
    state = path.stat()
    text = repr((str(path.resolve()), state.st_size, state.st_mtime_ns, settings))
    return f"{path.name.split('.')[0][:64]}-{hashlib.sha256(text.encode()).hexdigest()[:24]}"


def write_aside(path: Path, data: np.ndarray | str) -> None:
    """An array as .npy, or a text, under its final name when whole.

    Raises:
        InputError: the disk is full, or nothing may be written there; what was there before stays.
    """
    aside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("wb") as file:
            if isinstance(data, str):
                file.write(data.encode())
            else:
                np.save(file, data, allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError as error:
        why = error.strerror or error
        raise InputError(f"{path} cannot be written ({why}); make room or give another cache folder.") from error
    finally:
        aside.unlink(missing_ok=True)


def read_cached(path: Path) -> np.ndarray | None:
    """A cached array as a read-only memory map, or None where it is missing or damaged."""
    try:
        return open_npy(path)
    except InputError:
        return None
