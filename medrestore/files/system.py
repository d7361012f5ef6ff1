"""Temporary names, folders created on the way, data forced to the disk, the system's refusals in a sentence."""

import errno
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..errors import InputError

ADVICE = "make room or choose another output"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
LONGEST_NAME = 200  # bytes of an output's name that its temporary names repeat
NO_LINK = getattr(os, "O_NOFOLLOW", 0)


def no_room(error: BaseException | None) -> str | None:
    """The system's words, in lower case, where the disk or a quota is full; libraries wrap them in many ways."""
    while error is not None:
        for code in FULL:
            if getattr(error, "errno", None) == code or os.strerror(code) in str(error):
                return os.strerror(code).lower()
        error = error.__cause__ or error.__context__
    return None


@contextmanager
def explained(path: Path, advice: str = ADVICE, *, full_only: bool = False) -> Iterator[None]:
    """Turns the system's refusal to write into one sentence that names `path`.

    Args:
        path: the output.
        advice: the end of the sentence.
        full_only: leave errors other than those of a full disk as they are.

    Raises:
        InputError: the sentence.
    """
    try:
        yield
    except Exception as error:
        why = no_room(error)
        if why is None and not full_only and isinstance(error, OSError):
            why = error.strerror or str(error)
        if why is None or (
            isinstance(error, InputError) and str(error).startswith(f"{path} cannot be written")
        ):
            raise
        raise InputError(f"{path} cannot be written ({why}); {advice}") from error


@contextmanager
def final_names(place: Path, path: Path) -> Iterator[None]:
    """Has messages name a file by the path that it would have had, not by its temporary place."""
    try:
        yield
    except InputError as error:
        if str(place) not in str(error):
            raise
        raise InputError(str(error).replace(str(place), str(path))) from error


def exists_already(path: Path) -> InputError:
    """The error of an output that may not be replaced."""
    return InputError(f"{path} exists already; allow overwriting or give another name")


def temporary(path: Path) -> Path:
    """A random hidden name beside `path`."""
    return path.with_name(f".{short_name(path)}.{secrets.token_hex(8)}.part")


def short_name(path: Path) -> str:
    """The name of a file, or its sha256 where temporary names could not repeat it."""
    name = os.fsencode(path.name)
    return path.name if len(name) <= LONGEST_NAME else hashlib.sha256(name).hexdigest()


def make_folders(folder: Path) -> list[Path]:
    """Creates a folder and those above it; returns the new ones, the innermost first."""
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except BaseException:
        remove_empty(missing)
        raise
    return missing


def remove_empty(folders: list[Path]) -> None:
    """Removes those of the folders, the innermost first, that are empty."""
    for folder in folders:
        with suppress(OSError):
            folder.rmdir()


def remove(path: Path) -> None:
    """Removes a file, a link or a folder as far as the system lets it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Has the system write a file to the disk."""
    handle = os.open(path, (os.O_RDONLY if os.name == "posix" else os.O_RDWR) | NO_LINK)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_names(folder: Path) -> None:
    """Has the system write the names in a folder to the disk, where it can."""
    if os.name == "posix":
        with suppress(OSError):
            sync(folder)


def sync_tree(folder: Path) -> None:
    """`sync` for all files of a folder, and the names in it."""
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            if not path.is_symlink():
                sync(path)
        sync_names(Path(parent))


def is_running(process: int) -> bool:
    """Whether a process of this machine is there; of others' one cannot tell, so they are."""
    if os.name == "nt":  # where a signal would end it
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        return True
    return True
