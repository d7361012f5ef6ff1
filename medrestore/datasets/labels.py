"""The classes of files: by their folders, by their paths, or by a table."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import InputError
from ..files import expanded

COLUMNS = ("file", "label")
LARGEST = 64 * 2**20  # bytes of a table


def labels_of(paths: Sequence[Path], labels: str, where: str) -> list[str]:
    """The class of each file.

    Args:
        labels: `folder`, the name of the folder that a file is in; the path of a .csv with the columns file and label, which
            has the file names, or the ends of the paths; else a regular expression that is searched in the path: its first
            group, or all that it matches, is the class.
        where: what the files are for, to begin an error with.

    Raises:
        InputError: a table that is missing or broken, or a file whose class it does not tell.
    """
    if labels == "folder":
        return [path.resolve().parent.name for path in paths]
    if labels.lower().endswith(".csv"):
        table = labels_by_file(expanded(labels), where)
        return [_of_table(path, table, labels, where) for path in paths]
    try:
        pattern = re.compile(labels)
    except re.error as error:
        raise InputError(f"{where}: labels {labels!r} is no regular expression ({error}); write folder, the path of a .csv, or "
                         "one") from error
    return [_label_in(path, pattern, where) for path in paths]


def labels_by_file(path: Path, where: str) -> dict[str, str]:
    """The classes of a .csv by the file names in it.

    Raises:
        InputError: it is missing, no such table, or names a file twice.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise InputError(f"{where}: {path} is larger than {LARGEST >> 20} MiB, more than any table of labels")
        rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{where}: the labels {path} cannot be read ({error}); give a .csv with the columns file and "
                         "label") from error
    table: dict[str, str] = {}
    for number, row in enumerate(rows, 2):
        file, label = (row.get(column) for column in COLUMNS)
        if not file or not label:
            raise InputError(f"{where}: {path}, line {number}, lacks a file or a label; the columns must be file and label")
        if table.setdefault(file, label) != label:
            raise InputError(f"{where}: {path} gives {file} the labels {table[file]} and {label}; leave one out")
    return table


def _of_table(path: Path, table: Mapping[str, str], labels: str, where: str) -> str:
    parts = path.parts
    for first in range(len(parts)):  # the longest end of the path goes first
        if (label := table.get("/".join(parts[first:]))) is not None:
            return label
    raise InputError(f"{where}: {path} has no line in {labels}; add its name with its label")


def _label_in(path: Path, pattern: re.Pattern[str], where: str) -> str:
    match = pattern.search(path.as_posix())
    label = None if match is None else match.group(1) if pattern.groups else match.group(0)
    if not label:
        raise InputError(f"{where}: labels {pattern.pattern!r} finds no class in {path}; correct it, or give a .csv")
    return label
