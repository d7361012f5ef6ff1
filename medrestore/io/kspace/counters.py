"""The counters of repeated measurements: which are averaged, of which one value is read, and how another is selected."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from ...errors import InputError
from ..guards import require

AVERAGED = ("average", "repetition")  # measurements of one image
SLAB = "slab"  # of a 3-D scan: a volume of its own
CHOSEN = ("contrast", "phase", "set", SLAB)  # images of their own, of which the first is read
COUNTERS = (*AVERAGED, *CHOSEN[:-1], "segment")  # segments are parts of one k-space
SEPARABLE = (*AVERAGED, *CHOSEN[:-1])  # whose values may be frames of a series, images of their own with one set of coil maps


def choose_lines(numbers: Mapping[str, np.ndarray], select: Mapping[str, int], path: Path) -> tuple[np.ndarray, tuple[str, ...]]:
    """The lines that make an image, and a sentence for every counter that has several values.

    Args:
        numbers: of each counter, its value in every line.
        select: the value to read, by the name of the counter.

    Returns:
        Which lines, booleans, and the notes.

    Raises:
        InputError: `select` names no counter, or a value that no line has.
    """
    check_select(select, numbers, path)
    keep, notes = np.ones(len(next(iter(numbers.values()))), bool), []
    for name, values in numbers.items():
        found = [int(value) for value in np.unique(values[keep])]
        if name in select and found:
            chosen = _selected(name, select[name], found, path)
            keep &= values == chosen
        elif name in CHOSEN and found:
            keep &= values == found[0]
        if len(found) > 1:
            notes.append(note(name, len(found), select.get(name, found[0]), name in select, found))
    return keep, tuple(notes)


def note(name: str, count: int, chosen: int, selected: bool, values: Iterable[int]) -> str:
    """What is read of a counter with several values."""
    if selected:
        return f"Of {count} {name}s only {name} {chosen} is read, as selected."
    if name in AVERAGED:
        return f"{count} {name}s are averaged; set `select.{name}` to read one, or `separate` to read each."
    if name in CHOSEN:
        others = [value for value in values if value != chosen]
        each = ", or `separate` to read each" if name in SEPARABLE else ""
        return f"Of {count} {name}s only {name} {chosen} is read; set `select.{name}` to {others[0]} for another{each}."
    return f"The {count} {name}s are parts of one k-space, all are read; set `select.{name}` to read one."


def values_of(numbers: Mapping[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    """The values of each counter that may make a series."""
    return {name: tuple(int(value) for value in np.unique(numbers[name])) for name in SEPARABLE if name in numbers}


def check_select(select: Mapping[str, int], available: Iterable[str], path: Path) -> None:
    """Refuses names that are no counters of the file."""
    available = list(available)
    for name in select:
        if name not in available:
            known = f"it has {', '.join(available)}" if available else "its format has none; leave `select` out"
            raise InputError(f"{path} has no counter {name!r}; {known}.")


def _selected(name: str, asked: int, found: list[int], path: Path) -> int:
    listed = ", ".join(map(str, found[:20])) + (", ..." if len(found) > 20 else "")
    require(asked in found, f"{path} holds no {name} {asked}; `select.{name}` may be {listed}.")
    return asked
