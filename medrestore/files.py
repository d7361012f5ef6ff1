"""Outputs that become whole out of sight: one run at a time on each, and nothing left by a run that fails."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from .errors import InputError

LOCK = "lock"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Busy(InputError):
    """Another run is writing this output."""


@contextmanager
def staged(out: Path) -> Iterator[Path]:
    """A folder beside `out`, `<out>.part`, whose files take their places next to `out` when all of them are whole.

    What a killed run has left in it is removed. When anything fails nothing new is left, and old outputs are as they were.

    Raises:
        Busy: another run holds the folder.
        InputError: nothing can be written there, or the disk is full.
    """
    folder = out.with_name(out.name + ".part")
    created = [parent for parent in out.parents if not parent.exists()]
    try:
        lock = _claim(folder, out)
        try:
            yield folder
            _publish(folder, out)
        finally:
            if os.name == "nt":  # where an open file cannot be removed
                lock.close()
            shutil.rmtree(folder, ignore_errors=True)
            lock.close()
    except Busy:
        raise
    except Exception as error:
        _remove_empty(created)
        why = no_room(error)
        if why is not None:
            raise InputError(f"{out} cannot be written: {why}; make room or give another -o") from error
        if isinstance(error, InputError):
            raise InputError(str(error).replace(f"{folder}{os.sep}", f"{out.parent}{os.sep}")) from error
        raise
    except BaseException:
        _remove_empty(created)
        raise


def _claim(folder: Path, out: Path) -> IO[str]:
    """The open lock of the folder, emptied of what a killed run has left; the system frees it with the process."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK).open("w")
    except OSError as error:
        raise InputError(f"{out} cannot be written ({error.strerror}); give another -o") from error
    try:
        _lock(lock)
        if not os.path.samestat(os.fstat(lock.fileno()), os.stat(folder / LOCK)):
            raise BlockingIOError
        for left in folder.iterdir():
            if left.name != LOCK:
                left.unlink()
    except OSError as error:
        lock.close()
        raise Busy(f"{out} is being written by another run; wait for it, or give another -o") from error
    return lock


def _lock(file: IO[str]) -> None:
    try:
        import fcntl
    except ImportError:  # Windows; there the unlinking of another run's open files fails instead
        return
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _publish(folder: Path, out: Path) -> None:
    """Old side files go, then `out` takes its place, then its side files: no mix of two runs is ever complete."""
    made = [path.name for path in folder.iterdir() if path.name not in (LOCK, out.name)]
    for name in made:
        out.with_name(name).unlink(missing_ok=True)
    for name in (out.name, *sorted(made)):
        os.replace(folder / name, out.with_name(name))


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def no_room(error: BaseException | None) -> str | None:
    """What the system said where the disk or a quota is full: libraries wrap it in many ways."""
    while error is not None:
        for code in FULL:
            if getattr(error, "errno", None) == code or os.strerror(code) in str(error):
                return os.strerror(code).lower()
        error = error.__cause__ or error.__context__
    return None


def write_file(path: Path, data: bytes, *, overwrite: bool = True) -> None:
    """Publishes `data` as the file `path`: whole or not at all; folders are made.

    Raises:
        InputError: the file exists and may not be replaced, or it cannot be written.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder; name the file to write.")
    if path.exists() and not overwrite:
        raise InputError(f"{path} exists already; allow overwriting or give another name.")
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        os.replace(part, path)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}); give another place") from error
    finally:
        part.unlink(missing_ok=True)
