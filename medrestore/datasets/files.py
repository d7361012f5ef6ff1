"""The files of a dataset, and the patient or scene of each."""

import re
from collections.abc import Iterable
from pathlib import Path

from ..errors import InputError
from ..files import expanded, files_in, globbed, is_glob, natural_key


def find_files(files: str | Path | tuple[str | Path, ...], suffixes: Iterable[str], where: str) -> list[Path]:
    """The files meant by paths of files, folders (searched to any depth) or globs, in natural order.

    Args:
        suffixes: of the files that are taken from a folder.
        where: what the files are for, to begin an error with.

    Raises:
        InputError: no such files.
    """
    paths: list[Path] = []
    suffixes = tuple(suffixes)
    for text in (files,) if isinstance(files, str | Path) else files:
        path = expanded(text)
        if path.is_file():
            paths.append(path)
            continue
        folder = path.is_dir()
        inside = files_in(path, suffixes or ("",), deep=True) if folder else _globbed(path, where) if is_glob(str(text)) else []
        if not inside:
            kinds = " or ".join(suffixes) if suffixes else "any"
            raise InputError(f"{where}: {text} holds no {kinds} files or does not exist; give a file, a folder or a glob.")
        paths += inside
    return sorted(dict.fromkeys(paths), key=lambda p: natural_key(str(p)))


def _globbed(path: Path, where: str) -> list[Path]:
    try:
        return globbed(path)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def name_group(path: Path, group: str, where: str) -> str:
    """The patient or scene of a file.

    Args:
        group: `file` for the name without suffixes, `folder` for the full path of the folder that it is in,
            else a regular expression that is searched in the path; its first group, or all that it matches,
            is the name. Where it does not match, the name is as for `file`.
    """
    stem = path.name.split(".")[0]
    if group == "file":
        return stem
    if group == "folder":
        return str(path.resolve().parent)
    try:
        match = re.search(group, path.as_posix())
    except re.error as error:
        raise InputError(f"{where}: group {group!r} is no regular expression ({error}); write file, folder or one.") from error
    return stem if match is None else match.group(1) if match.re.groups and match.group(1) else match.group(0)
