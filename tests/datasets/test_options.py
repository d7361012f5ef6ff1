"""Settings of a config against a signature: names, types, and the conversions that YAML needs."""

from pathlib import Path
from typing import Any, Literal

import pytest

from medrestore.datasets.options import build, describe
from medrestore.errors import InputError


def make(size: int | tuple[int, int], *, rate: float = 1.0, path: Path | None = None, kind: Literal["a", "b"] = "a",
         names: tuple[str, ...] = (), on: bool = False) -> dict[str, Any]:
    return {"size": size, "rate": rate, "path": path, "kind": kind, "names": names, "on": on}


def test_lists_paths_and_whole_numbers_become_what_the_signature_asks_for() -> None:
    given = build(make, {"size": [3, 4], "rate": 2, "path": "~/x", "names": ["p", "q"], "on": True}, "data")
    assert given == make((3, 4), rate=2.0, path=Path("~/x").expanduser(), names=("p", "q"), on=True)
    assert isinstance(given["rate"], float) and build(make, {"size": 5, "path": None}, "data")["path"] is None


@pytest.mark.parametrize(("options", "message"), [
    ({}, "data needs the setting 'size'; add it"),
    ({"size": 1, "seize": 2}, "data has no setting 'seize'; its settings are: size, rate"),
    ({"size": True}, r"data: size must be a whole number or \[a whole number, a whole number\], got True"),
    ({"size": [1, 2, 3]}, r"size must be"),
    ({"size": 1, "rate": "fast"}, "rate must be a number, got 'fast'"),
    ({"size": 1, "kind": "c"}, r"kind must be a \| b, got 'c'"),
    ({"size": 1, "names": "pq"}, r"names must be \[a text, \.\.\.\]"),
    ({"size": 1, "path": ""}, "path must be a path or null"),
    ({"size": 1, "on": 1}, "on must be true or false"),
])
def test_wrong_settings_are_named_with_what_is_needed(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(make, options, "data")


def test_a_type_in_words() -> None:
    assert describe(float | None) == "a number or null" and describe(tuple[int, ...]) == "[a whole number, ...]"
