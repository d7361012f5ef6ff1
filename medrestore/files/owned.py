"""Folders that this program has written, known by a marker in them: nothing else is ever replaced or removed."""

import json
import os
import stat
from contextlib import suppress
from pathlib import Path, PurePosixPath

from ..errors import InputError
from .system import NO_LINK, explained, remove

MARKER = ".medrestore"  # a file in every folder that is ours
LARGEST_MARKER = 64 * 2**20  # bytes; names of all files of a long scene have some


def seal(folder: Path) -> None:
    """Marks a complete folder as ours, with the names of its files.

    Raises:
        OSError: it cannot be written.
    """
    names = sorted(_names(folder))
    (folder / MARKER).write_text(json.dumps({"files": names}) + "\n", encoding="utf-8")


def check_own(folder: Path) -> None:
    """Refuses a folder that this program has not written, or to which others have added something; not an empty one.

    Raises:
        InputError: what is in the way.
    """
    listed = _read_marker(folder).get("files")
    if is_empty_folder(folder):
        return
    if not isinstance(listed, list):
        raise InputError(f"{folder} was not written by medrestore, so it is never replaced; choose another output")
    known = set(map(str, listed))
    known |= {str(parent) for name in known for parent in PurePosixPath(name).parents}  # emptied by a killed run
    if added := sorted(_names(folder) - known):
        raise InputError(f"{folder} holds {added[0]}, which medrestore did not write, so it is never replaced; "
                         "move that away, or choose another output")


def is_own(folder: Path) -> bool:
    """Whether this program has written the folder, and all that is in it."""
    try:
        check_own(folder)
    except InputError:
        return False
    return True


def remove_own(folder: Path) -> bool:
    """Removes a folder if it is ours, and says whether it was; any other stays."""
    own = is_own(folder)
    if own:
        remove_marked(folder)
    return own


def remove_marked(folder: Path) -> None:
    """Removes a folder, its marker last: what is left by a run that is killed meanwhile is still known as ours."""
    with suppress(OSError):
        for inside in folder.iterdir():
            if inside.name != MARKER:
                remove(inside)
    remove(folder)


def is_empty_folder(folder: Path) -> bool:
    """Whether this is a folder that holds nothing."""
    return folder.is_dir() and not os.listdir(folder)


def claim(folder: Path, kind: str) -> None:
    """Marks a new or an empty folder as ours, to write files of fixed names into it from now on.

    Args:
        folder: created if missing, with those above it.
        kind: what writes there; a folder of another kind is refused.

    Raises:
        InputError: the folder is not empty and has no marker of this kind, or it cannot be written.
    """
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        others = sorted(name for name in os.listdir(folder) if name != MARKER)
        if not others:
            _create(folder / MARKER, json.dumps({"kind": kind}) + "\n")
    check_claimed(folder, kind)


def check_claimed(folder: Path, kind: str) -> None:
    """Refuses a folder that is neither missing, nor empty, nor claimed for this kind; writes nothing.

    Raises:
        InputError: what is in the way.
    """
    if not os.path.lexists(folder):
        return
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; choose another output")
    if is_claimed(folder, kind):
        return
    with explained(folder):
        others = sorted(name for name in os.listdir(folder) if name != MARKER)
    if others or os.path.lexists(folder / MARKER):
        raise InputError(f"{folder} holds {(others or [MARKER])[0]} and is no {kind} of medrestore, so nothing is written "
                         "there; choose another output")


def is_claimed(folder: Path, kind: str) -> bool:
    """Whether this is a folder that was claimed for this kind."""
    return folder.is_dir() and _read_marker(folder).get("kind") == kind


def _create(place: Path, text: str) -> None:
    """A new file; one that another run has just created stays."""
    try:
        handle = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_LINK, 0o666)
    except FileExistsError:
        return
    try:
        os.write(handle, text.encode())
    except BaseException:
        place.unlink(missing_ok=True)
        raise
    finally:
        os.close(handle)


def _names(folder: Path) -> set[str]:
    """The files and links below a folder, and its empty folders, but for the marker."""
    found = set()
    for parent, folders, names in os.walk(folder):
        links = [name for name in folders if Path(parent, name).is_symlink()]
        paths = [Path(parent, name) for name in (*names, *links)]
        if not (folders or names):
            paths.append(Path(parent))
        found |= {path.relative_to(folder).as_posix() for path in paths}
    return found - {MARKER, "."}


def _read_marker(folder: Path) -> dict[str, object]:
    """What the marker of a folder says; empty for whatever else has its name, and for none."""
    place = folder / MARKER
    try:
        state = place.lstat()
        if not stat.S_ISREG(state.st_mode) or state.st_size > LARGEST_MARKER:
            return {}
        value = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
