"""Which files of a folder count, and text as other programs save it: one rule each for suffixes, hidden names and marks."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from ..errors import InputError

HIDDEN = ("__MACOSX",)  # folders that a system puts beside the data, as it does names that begin with a dot


def has_suffix(path: str | Path, suffixes: Iterable[str]) -> bool:
    """Whether a name ends in one of the suffixes, in capitals or not; a suffix may have several parts, as .nii.gz."""
    return Path(path).name.lower().endswith(tuple(suffix.lower() for suffix in suffixes))


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is none of the user's data: ._scan.h5, .ipynb_checkpoints, __MACOSX."""
    return name.startswith(".") or name in HIDDEN


def natural_key(name: str) -> list[tuple[int, int, str, str]]:
    """Sorts names as people do: frame2 before frame10."""
    parts = re.split(r"([0-9]+)", name)  # numbers at odd places, compared as digits: they may be too long for an int
    numbers = [part.lstrip("0") if at % 2 else "" for at, part in enumerate(parts)]
    return [(1 - at % 2, len(number), number, part) for at, (part, number) in enumerate(zip(parts, numbers, strict=True)) if part]


def files_in(folder: str | os.PathLike[str], suffixes: Iterable[str] = ("",), *, deep: bool = False) -> list[Path]:
    """The files of a folder that end in one of the suffixes, in natural order; hidden files and folders are left out.

    Args:
        deep: whether files of the folders in it count too, to any depth.

    Raises:
        InputError: the folder cannot be listed.
    """
    folder, suffixes = Path(folder), tuple(suffixes)
    try:
        listed = list(folder.rglob("*") if deep else folder.iterdir())
    except OSError as error:
        raise InputError(f"{folder} cannot be listed ({error.strerror}); give a folder that can be read.") from error
    shown = (path for path in listed if not any(map(is_hidden, path.relative_to(folder).parts)))
    return sorted((path for path in shown if has_suffix(path, suffixes) and path.is_file()), key=lambda p: natural_key(str(p)))


def is_glob(text: str) -> bool:
    """Whether a text is a pattern of names."""
    return any(sign in text for sign in "*?[")


def globbed(pattern: str | Path) -> list[Path]:
    """The files that match a pattern, in natural order; hidden ones only where the pattern itself begins a name with a dot.

    Raises:
        InputError: the pattern is none.
    """
    path = Path(pattern)
    anchor = Path(path.anchor) if path.is_absolute() else Path()
    inner = path.relative_to(path.anchor)
    try:
        found = [found for found in anchor.glob(str(inner)) if found.is_file()]
    except ValueError as error:
        raise InputError(f"{path} is no pattern ({error}); write ** between slashes alone, as DIR/**/*.png.") from error
    asked = {part for part in inner.parts if is_hidden(part)}
    if not any(map(is_glob, asked)):
        found = [one for one in found if not any(is_hidden(part) and part not in asked for part in one.parts)]
    return sorted(found, key=lambda one: natural_key(str(one)))


def text_of(path: str | Path) -> str:
    """A text file in UTF-8, without the byte order mark that Excel and Notepad put first; lines end as they are stored.

    Raises:
        InputError: it cannot be read, or is of another encoding.
    """
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            return file.read()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); give a text file that can.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text ({error.reason}); save it as UTF-8.") from error
