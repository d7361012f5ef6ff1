"""Folders, and files with files beside them, that are written in a temporary folder by one run at a time."""

import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from ..errors import InputError
from .locks import Busy, exclusive
from .owned import MARKER, check_own, is_empty_folder, remove_marked, seal
from .system import (
    ADVICE,
    exists_already,
    explained,
    final_names,
    make_folders,
    remove,
    remove_empty,
    short_name,
    sync_names,
    sync_tree,
    temporary,
)

# the marker of a stage holds the name of its output and the key of its content
NEW, BESIDE, OLD = "new", "beside", "old"  # in a stage: the new output, files beside it, and the output that it replaces
LONGEST_MARKER = 4096  # bytes


@contextmanager
def new_folder(
    path: str | os.PathLike[str], *, replace: bool = False, advice: str = ADVICE
) -> Iterator[Path]:
    """A folder written in one block: yields an empty temporary folder, published at the end of the block.

    What a killed run has left of the same output is cleared first, see `recover`.

    Args:
        path: the folder; missing folders above it are created.
        replace: whether an existing folder is replaced, at the last moment; only one that was published like this,
            and that nobody has added anything to, ever is.
        advice: what the message of a failed write proposes.

    Raises:
        Busy: another run is writing the folder.
        InputError: it exists and may not be replaced, or it cannot be written; an old folder is as it was.
    """
    out = Path(path)
    stage = Stage(out, advice=advice)
    try:
        if os.path.lexists(out) and not out.is_dir():
            raise InputError(f"{out} is no folder; choose another output")
        if out.is_dir():
            _check_replaced(out, replace)
        with explained(out, advice), final_names(stage.new, out):
            yield stage.new
        stage.publish_folder(replace=replace)
    finally:
        stage.remove()


@contextmanager
def new_output(path: str | os.PathLike[str], *, replace: bool = False) -> Iterator[Path]:
    """A file with others beside it: yields an empty temporary folder, whose files are published at the end.

    The file called `path.name` in it becomes `path`, the others lie beside. No mix of two runs is ever complete: old
    files of their names are removed before `path` is replaced, and the new ones come after it.

    Args:
        path: the main file; missing folders are created.
        replace: whether existing files are replaced; else they are refused, and nothing is published.

    Raises:
        Busy: another run is writing this output.
        InputError: a file exists and may not be replaced, nothing can be written there, or the disk is full; nothing
            new is left.
    """
    out = Path(path)
    stage = Stage(out)
    try:
        with explained(out, full_only=True), final_names(stage.new, out.parent):
            yield stage.new
        stage.publish_files(replace=replace)
    finally:
        stage.remove()


class Stage:
    """A temporary folder beside an output, in which one run at a time writes it; a later run can go on with it.

    Args:
        out: the output, a file or a folder; missing folders above it are created.
        key: hash of all that decides the content of the stage.
        resume: go on with the stage that a killed run has left, if it has the same key; else it is removed.
        advice: what the message of a failed write proposes.

    Attributes:
        folder: the temporary folder.
        new: the folder in it whose content is published.
        beside: another one, for files that lie beside a folder.
        resumed: whether a killed run has left the stage.

    Raises:
        Busy: another run is writing the output.
        InputError: nothing can be written there.
    """

    def __init__(self, out: Path, *, key: str = "", resume: bool = False, advice: str = ADVICE) -> None:
        self.out, self._advice = out, advice
        self.folder = temporary(out)
        self._lock = ExitStack()
        self._created: list[Path] = []
        self.resumed = False
        self._is_own = False  # the folder was created by this run, or left by one like it
        try:
            with explained(out, advice):
                self._created = make_folders(out.parent)
                self._lock.enter_context(exclusive(out))
                left = _clear(out, spare=_marker_content(out, key) if resume else None)
                if left is None:
                    self.folder.mkdir()
                    self._is_own = True
                    (self.folder / MARKER).write_bytes(_marker_content(out, key))
                else:
                    self.folder, self.resumed, self._is_own = left, True, True
                self.new.mkdir()
                self.beside.mkdir()
        except BaseException:
            (self.leave if self.resumed else self.remove)()
            raise

    @property
    def new(self) -> Path:
        return self.folder / NEW

    @property
    def beside(self) -> Path:
        return self.folder / BESIDE

    def publish_folder(self, *, replace: bool) -> None:
        """Puts the folder `new` in the place of the output, and then the files in `beside` in theirs.

        Raises:
            InputError: the output or a file beside it exists and `replace` is False or it is not ours, or it cannot be
                written; an old one stays.
        """
        beside = {path: self.out.with_name(path.name) for path in sorted(self.beside.iterdir())}
        with explained(self.out, self._advice):
            seal(self.new)
            sync_tree(self.new)
            sync_tree(self.beside)
            for place in beside.values():
                if place.is_dir() or (not replace and os.path.lexists(place)):
                    raise exists_already(place)
            if os.path.lexists(self.out):
                _check_replaced(self.out, replace)
                os.replace(self.out, self.folder / OLD)
            try:
                os.replace(self.new, self.out)
            except BaseException:
                _put_back(self.folder, self.out)
                raise
            for path, place in beside.items():
                os.replace(path, place)
            sync_names(self.out.parent)

    def publish_files(self, *, replace: bool) -> None:
        """Gives the files in `new` their names: old files beside the output go, the output comes, then the others.

        Raises:
            InputError: one exists and `replace` is False, or they cannot be written.
        """
        with explained(self.out, self._advice):
            sync_tree(self.new)
            for path in sorted(self.new.iterdir()):
                if not replace and os.path.lexists(self.out.with_name(path.name)):
                    raise exists_already(self.out.with_name(path.name))
            beside = sorted(path.name for path in self.new.iterdir() if path.name != self.out.name)
            for name in beside:
                self.out.with_name(name).unlink(missing_ok=True)
            for name in (self.out.name, *beside):
                os.replace(self.new / name, self.out.with_name(name))
            sync_names(self.out.parent)

    def remove(self) -> None:
        """Removes the stage and empty folders created for it; only then may other runs write the output."""
        if self._is_own:
            remove_marked(self.folder)
        self.leave()
        remove_empty(self._created)

    def leave(self) -> None:
        """Leaves the stage to a later run with `resume`."""
        self._lock.close()


def unfinished(out: Path) -> bool:
    """Whether a run has begun to write this output and not completed it: it was killed, or is at work."""
    return bool(_stages(out))


def recover(out: Path) -> None:
    """Puts back an output that a killed run was about to replace, and removes the stages of such runs.

    Raises:
        Busy: another run is writing the output.
        InputError: nothing can be written there.
    """
    if unfinished(out):
        with explained(out), exclusive(out):
            _clear(out)


def recover_all(folder: Path) -> None:
    """`recover` for every output in a folder that no run is writing."""
    for stage in folder.glob(".*.part"):
        name = os.fsdecode(_marker_of(stage).partition(b"\n")[0])
        if name and stage in _stages(folder / name):
            with suppress(Busy):
                recover(folder / name)


def _clear(out: Path, spare: bytes | None = None) -> Path | None:
    """Removes the stages of killed runs; one with the marker `spare` is returned instead, without its `new`."""
    left = None
    for stage in _stages(out):
        _put_back(stage, out)
        if left is None and _marker_of(stage) == spare:
            left = stage
            for name in (NEW, BESIDE, OLD):
                remove(stage / name)
        else:
            remove_marked(stage)
    return left


def _put_back(stage: Path, out: Path) -> None:
    if os.path.lexists(stage / OLD) and not os.path.lexists(out):
        os.replace(stage / OLD, out)


def _stages(out: Path) -> list[Path]:
    """The stages of an output, by name and marker."""
    start = f".{short_name(out)}."
    try:
        names = [name for name in os.listdir(out.parent) if name.startswith(start) and name.endswith(".part")]
    except OSError:
        return []
    beside = (out.parent / name for name in sorted(names))
    return [stage for stage in beside if _marker_of(stage).startswith(_marker_content(out, ""))]


def _check_replaced(out: Path, replace: bool) -> None:
    """Refuses to replace what exists without leave, and a folder that is not ours in any case; not an empty one."""
    if not replace and not is_empty_folder(out):
        raise exists_already(out)
    if out.is_dir() and not out.is_symlink():
        check_own(out)


def _marker_content(out: Path, key: str) -> bytes:
    return os.fsencode(out.name) + b"\n" + key.encode()


def _marker_of(stage: Path) -> bytes:
    """The marker of a stage; empty for whatever else has such a name."""
    marker = stage / MARKER
    with suppress(OSError):
        state = marker.lstat()
        if (
            stat.S_ISDIR(stage.lstat().st_mode)
            and stat.S_ISREG(state.st_mode)
            and state.st_size <= LONGEST_MARKER
        ):
            return marker.read_bytes()
    return b""
