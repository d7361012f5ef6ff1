"""Exclusive locks that the system frees with the process: none is ever stale."""

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import InputError
from .system import NO_LINK, short_name

_CONTENT = b"lock of medrestore\n"  # of lock files that may be removed


class Busy(InputError):
    """Another run is writing this output."""


@contextmanager
def exclusive(path: Path, *, lock: Path | None = None) -> Iterator[None]:
    """Keeps every other run from writing `path` in the meantime.

    Args:
        path: the output.
        lock: the lock file, `.NAME.lock` beside the output if not given: created if missing, removed at the end.
            A file of other content serves as well, and stays.

    Raises:
        Busy: another run has the lock.
        OSError: the lock file cannot be created, or is a link.
    """
    place = lock or path.with_name(f".{short_name(path)}.lock")
    handle = _locked(place)
    if handle is None:
        raise Busy(f"{path} is being written by another run; wait for it, or choose another output")
    try:
        yield
    finally:
        removable = _is_own(handle)
        if sys.platform == "win32":  # where an open file cannot be removed
            os.close(handle)
        if removable:
            with suppress(OSError):
                place.unlink()
        if sys.platform != "win32":
            os.close(handle)


def _locked(place: Path) -> int | None:
    """The descriptor of a lock file that this process has locked; None if another one has."""
    while True:
        handle = _open_lock(place)
        try:
            _lock(handle)
            if os.path.samestat(os.fstat(handle), os.stat(place, follow_symlinks=False)):
                return handle
        except BlockingIOError:
            os.close(handle)
            return None
        except FileNotFoundError:
            pass
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # the run that had the lock until now has removed the file


def _open_lock(place: Path) -> int:
    while True:
        try:
            handle = os.open(place, os.O_RDWR | os.O_CREAT | os.O_EXCL | NO_LINK, 0o666)
        except FileExistsError:
            with suppress(FileNotFoundError):  # removed in the meantime
                return os.open(place, os.O_RDWR | NO_LINK)
            continue
        try:
            os.write(handle, _CONTENT)
        except BaseException:
            os.close(handle)
            place.unlink(missing_ok=True)
            raise
        return handle


def _lock(handle: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        os.lseek(handle, 0, os.SEEK_SET)
        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise BlockingIOError from error
    else:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _is_own(handle: int) -> bool:
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        return False
    os.lseek(handle, 0, os.SEEK_SET)
    return os.read(handle, len(_CONTENT) + 1) == _CONTENT
