"""Plain data: numbers, text, lists and mappings, and what is written as text."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError

SIXTIES = re.compile(r"[+-]?\d+(:\d+)+")  # 10:20, which YAML 1.1 takes for 620


def assign(given: dict[str, Any], key: str, value: Any) -> None:
    """Puts `value` at a dotted `key` of nested mappings."""
    *path, last = key.split(".")
    for name in path:
        if not isinstance(given.setdefault(name, {}), dict):
            raise InputError(f"{key} cannot be set: {name} is {given[name]!r}, not a mapping")
        given = given[name]
    given[last] = value


def override(given: dict[str, Any], words: Iterable[str]) -> None:
    """Puts the values of `key=value` words, each value in YAML, at their dotted keys.

    Raises:
        InputError: a word of another form.
    """
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise InputError(f"{word!r} is no setting; write key=value, as optim.lr=1e-4")
        try:
            assign(given, key, scalar(value))
        except ValueError as error:
            raise InputError(f"the value of {word!r} cannot be read; write a number, a word or a [list]") from error


def scalar(text: str) -> Any:
    """A value that is written as text: a number, true, false, null, a [list] or {mapping} of YAML, else the text itself.

    Raises:
        ValueError: it begins like a list, a mapping or a quoted text, and is none.
    """
    import yaml

    if SIXTIES.fullmatch(text):
        return text
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"{text!r} is not YAML") from error


def plain(value: Any) -> Any:
    """A dataclass, or what is nested in mappings and lists, as plain data that `build` takes again."""
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, Path):
        return str(value)
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one level, names joined by dots."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) and value else {f"{prefix}{key}": value}
    return flat


def json_values(value: Any) -> Any:
    """The value as JSON has it, mappings and lists, in which numbers that are not finite are null."""
    if isinstance(value, Mapping):
        return {str(key): json_values(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_values(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
