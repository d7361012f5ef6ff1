"""Single files that appear complete, and folders that several processes may publish at once."""

import errno
import os
import secrets
import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Self

from ..errors import InputError
from .system import (
    ADVICE,
    NO_LINK,
    exists_already,
    explained,
    final_names,
    make_folders,
    remove,
    remove_empty,
    sync,
    sync_names,
    temporary,
)

TRIES = 8  # of publishing a folder where other processes publish theirs


def write_file(
    path: str | os.PathLike[str],
    data: bytes | str | Callable[[BinaryIO], object],
    *,
    overwrite: bool = True,
    advice: str = ADVICE,
) -> None:
    """Publishes a file with the given content; missing folders are created.

    A new file has no name before it is complete, where the system has such files (Linux): a kill leaves nothing.

    Args:
        path: the file.
        data: its content, or what writes it to an open file; text is written as UTF-8, line ends as they are, bytes of
            file names that are no text as "?".
        overwrite: replace an existing file.
        advice: what the message of a failed write proposes.

    Raises:
        InputError: the file exists and `overwrite` is False, or it cannot be written; an old file stays.
    """
    content = data.encode("utf-8", "replace") if isinstance(data, str) else data
    if os.path.lexists(path) or not _write_unnamed(Path(path), content, advice):
        with new_file(path, overwrite=overwrite, advice=advice) as place, place.open("wb") as file:
            _pour(file, content)


def _write_unnamed(path: Path, content: bytes | Callable[[BinaryIO], object], advice: str) -> bool:
    """Whether a file was written that got its name when complete; not where there are none, or where the name is taken."""
    created: list[Path] = []
    is_written = False
    try:
        with explained(path, advice):
            created = make_folders(path.parent)
            try:
                handle = os.open(path.parent, os.O_TMPFILE | os.O_WRONLY, 0o666)
            except (AttributeError, OSError):  # another system, another file system; or what `new_file` will say
                return False
            with os.fdopen(handle, "wb") as file:
                _pour(file, content)
                file.flush()
                os.fsync(handle)
                with suppress(OSError):  # taken by another run in the meantime; no second names there, or no /proc
                    os.link(f"/proc/self/fd/{handle}", path, src_dir_fd=handle, follow_symlinks=True)
                    is_written = True
            sync_names(path.parent)
    finally:
        if not is_written:
            remove_empty(created)
    return is_written


def _pour(file: BinaryIO, content: bytes | Callable[[BinaryIO], object]) -> None:
    if isinstance(content, bytes):
        file.write(content)
    else:
        content(file)


@contextmanager
def new_file(path: str | os.PathLike[str], *, overwrite: bool = True, advice: str = ADVICE) -> Iterator[Path]:
    """A file that a library writes: yields an empty temporary file, published at the end of the block.

    Args and errors are those of `write_file`.
    """
    file = NewFile(path, overwrite=overwrite, advice=advice)
    try:
        with explained(file.path, advice), final_names(file.temporary, file.path):
            yield file.temporary
        file.publish()
    finally:
        file.discard()


class NewFile:
    """A file that is written under a temporary name until it is published; `new_file` serves a single block.

    Args:
        path: the file; missing folders are created.
        overwrite: replace an existing file.
        advice: what the message of a failed write proposes.

    Attributes:
        path: the file.
        temporary: an empty file beside it, to be written.

    Raises:
        InputError: the file exists and `overwrite` is False, or it cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str], *, overwrite: bool = True, advice: str = ADVICE) -> None:
        self.path = Path(path)
        self.temporary = temporary(self.path)
        self._overwrite, self._advice = overwrite, advice
        self._created: list[Path] = []
        with explained(self.path, advice):
            if self.path.is_dir():
                raise InputError(f"{path} is a folder; name the file to write")
            if os.path.lexists(self.path) and not overwrite:
                raise exists_already(self.path)
            try:
                self._created = make_folders(self.path.parent)
                os.close(os.open(self.temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_LINK, 0o666))
            except BaseException:
                remove_empty(self._created)
                raise

    def publish(self) -> None:
        """Gives the file its name, once its content is on the disk.

        Raises:
            InputError: it cannot be written, or the name was taken meanwhile and `overwrite` is False; nothing new
                is left then.
        """
        try:
            with explained(self.path, self._advice):
                sync(self.temporary)
                _rename(self.temporary, self.path, overwrite=self._overwrite)
                sync_names(self.path.parent)
        finally:
            self.discard()

    def discard(self) -> None:
        """Removes the temporary file, if it was not published, and empty folders that were created for it."""
        remove(self.temporary)
        remove_empty(self._created)


def _rename(source: Path, path: Path, *, overwrite: bool) -> None:
    """Renames a file; without `overwrite` a file that another run has published meanwhile stays."""
    if overwrite:
        os.replace(source, path)
        return
    try:
        os.link(source, path)
    except FileExistsError as error:
        raise exists_already(path) from error
    except OSError as error:  # a file system without hard links
        if os.path.lexists(path):
            raise exists_already(path) from error
        os.replace(source, path)


def publish_all(folder: Path, target: Path) -> None:
    """Moves the files of a folder into another one of the same file system, each in the place of one of its name.

    Raises:
        InputError: one cannot be written there; those moved before stay.
    """
    for path in sorted(folder.iterdir()):
        with explained(target / path.name):
            sync(path)
            os.replace(path, target / path.name)
    sync_names(target)


class FileWriter(ABC):
    """A writer used as a context manager: closed at the end of the block, discarded when the block fails.

    It leaves a complete file or, when anything fails, nothing new; an old file stays.
    """

    @abstractmethod
    def close(self) -> None:
        """Completes the file and publishes it."""

    @abstractmethod
    def discard(self) -> None:
        """Closes and removes what was written so far."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()


def publish_first(folder: Path, target: Path, is_complete: Callable[[], bool]) -> None:
    """Renames a folder to `target`; where another process has published a complete one, that one stays.

    Args:
        folder: complete, on the file system of `target`.
        target: where it goes; missing folders above it are created.
        is_complete: whether `target` is what the caller would publish; if not, it is replaced.

    Raises:
        OSError: it cannot be renamed.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    for _ in range(TRIES):
        try:
            os.rename(folder, target)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
        if is_complete():
            return
        with suppress(FileNotFoundError):
            old = folder.with_name(f"{folder.name}.{secrets.token_hex(8)}.gone")
            os.rename(target, old)
            remove(old)
    raise FileExistsError(errno.EEXIST, "another run keeps replacing it by another one", str(target))


def remove_folder(folder: Path) -> None:
    """Renames a folder, then removes it: a process that still writes into it fails; readers see all or nothing."""
    gone = folder.with_name(f"{folder.name}.{secrets.token_hex(8)}.gone")
    with suppress(OSError):
        os.rename(folder, gone)
        remove(gone)


def link_or_copy(source: Path, target: Path) -> None:
    """A second name for a file, or a copy where the file system has no hard links.

    Raises:
        OSError: it cannot be written.
    """
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
