"""Results for other programs, and a table of those of a folder."""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import Field, asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar, Protocol

from ..errors import InputError
from ..settings import Privacy, json_values
from .terminal import complain, decoration, say

SUMMARY, BEGIN = "summary.csv", b"input,"  # what our tables begin with


class AnyResult(Protocol):
    """What a command has made."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    def row(self) -> dict[str, Any]:
        """One line of a table."""


def emit(command: str, **facts: Any) -> None:
    """Prints one JSON object, the only thing on the standard output: the command, the version, and what it found."""
    document = json_values({"command": command, "medrestore": version("medrestore"), **facts})
    with decoration():
        print(json.dumps(document, indent=2, allow_nan=False), flush=True)


def emit_results(command: str, results: Iterable[AnyResult], failed: Mapping[str, str]) -> None:
    """Prints results and failures as JSON."""
    emit(command, results=[asdict(one) for one in results],
         failed=[{"input": name, "error": why} for name, why in failed.items()])


def gathered(outputs: Iterable[Path], read: Callable[[Path], AnyResult]) -> list[AnyResult]:
    """The results of those outputs that are there."""
    found = []
    for out in outputs:
        try:
            found.append(read(out))
        except (InputError, KeyError, TypeError, ValueError):  # of another run, at this moment, or another version
            continue
    return found


def write_summary(folder: Path, results: Iterable[AnyResult], failed: Mapping[str, str], *, source: Path, names: Privacy) -> None:
    """Writes a table of all results in a folder, and of what failed, and says where.

    Args:
        failed: name to sentence.
        source: where the inputs are; `names` says what may be told of their names.
    """
    from ..evaluation.tables import write_rows

    rows = [one.row() for one in results]
    rows += [{"input": names.name_of(source / name), "error": names.told(why, source / name)} for name, why in failed.items()]
    place = folder / SUMMARY
    if rows and _is_free(place):
        write_rows(place, json_values(rows))
        say(str(place))
    elif rows:
        say(f"note: {place} is of another program and stays; move it to have a table of the results there")


def closed(command: str, failed: Mapping[str, str], what: str) -> int:
    """0, or 1 with a line on what failed; `what` says what these are."""
    if failed:
        complain(f"medrestore {command}: error: {len(failed)} {what} failed: {', '.join(sorted(failed))}")
    return 1 if failed else 0


def close_all(command: str, places: Iterable[Path], read: Callable[[Path], AnyResult], failed: Mapping[str, str], what: str, *,
              folder: Path, source: Path, names: Privacy, json: bool) -> int:
    """The end of a command over many inputs: a table of the results in a folder, the same as JSON, and `closed`."""
    results = gathered(places, read)
    write_summary(folder, results, failed, source=source, names=names)
    if json:
        emit_results(command, results, failed)
    return closed(command, failed, what)


def _is_free(place: Path) -> bool:
    """Whether nothing is there, or a table that an earlier run has written."""
    if not os.path.lexists(place):
        return True
    try:
        with place.open("rb") as file:
            return not place.is_symlink() and file.read(len(BEGIN)) == BEGIN
    except OSError:
        return False
