"""Dataclasses from plain mappings: typed, and refused with the name of the key that is wrong."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, asdict, fields, is_dataclass
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from .errors import InputError

T = TypeVar("T")
EXPONENT = re.compile(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+")  # a number in YAML 1.2, text in YAML 1.1
WORDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}


def build(kind: type[T], given: Any, source: str, where: str = "") -> T:
    """A dataclass of the type `kind` from a mapping; dataclasses in its fields are built likewise.

    Args:
        source: the file that `given` was read from; complaints begin with it.
        where: the dotted key at which `given` stands there; empty at the top.

    Raises:
        InputError: an unknown or missing key, or a value of another type.
    """
    if not isinstance(given, Mapping):
        raise InputError(f"{source}: {where or 'a config'} must be a mapping of options, got {given!r}")
    known, hints = {one.name: one for one in fields(kind)}, get_type_hints(kind)
    for key in given:
        if key not in known:
            raise InputError(f"{source}: {dotted(where, key)} is no option; {suggested(where, key, known)}")
    missing = [name for name, one in known.items()
               if name not in given and one.default is MISSING and one.default_factory is MISSING]
    if missing:
        raise InputError(f"{source}: {dotted(where, missing[0])} is missing")
    return kind(**{key: _value(hints[key], value, source, dotted(where, key)) for key, value in given.items()})


def dotted(where: str, key: object) -> str:
    """The dotted name of `key` at `where`."""
    return f"{where}.{key}" if where else str(key)


def suggested(where: str, key: object, known: Iterable[str]) -> str:
    """What an unknown name may have meant, or which names there are."""
    names = list(known)
    close = get_close_matches(str(key), names, 1)
    return f"did you mean {dotted(where, close[0])}?" if close else f"there are: {', '.join(names)}"


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
    import yaml

    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise InputError(f"{word!r} is no setting; write key=value, as optim.lr=1e-4")
        try:
            assign(given, key, yaml.safe_load(value))
        except yaml.YAMLError as error:
            raise InputError(f"the value of {word!r} cannot be read; write a number, a word or a [list]") from error


def plain(value: Any) -> Any:
    """A dataclass, or what is nested in mappings and lists, as plain data that `build` takes again."""
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one level, names joined by dots."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) and value else {f"{prefix}{key}": value}
    return flat


def _value(kind: Any, value: Any, source: str, where: str) -> Any:
    """`value` as the type `kind`: no guesses beyond 1e-4 for a number and a list for a tuple."""
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if is_dataclass(kind):
        return build(kind, value, source, where)
    if origin in (Union, UnionType):
        return None if value is None and NoneType in arguments else _one_of(
            [one for one in arguments if one is not NoneType], value, source, where)
    if origin is Literal:
        if value in arguments and isinstance(value, str):
            return value
        raise InputError(f"{source}: {where} must be one of {', '.join(arguments)}, got {value!r}")
    if origin is dict:
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise InputError(f"{source}: {where} must be a mapping of names to values, got {value!r}")
        return {key: _value(arguments[1], item, source, dotted(where, key)) for key, item in value.items()}
    if origin is tuple:
        return _tuple(arguments, value, source, where)
    return _simple(kind, value, source, where)


def _one_of(kinds: list[Any], value: Any, source: str, where: str) -> Any:
    """`value` as the first of the types that takes it."""
    for kind in kinds[:-1]:
        try:
            return _value(kind, value, source, where)
        except InputError:
            continue
    try:
        return _value(kinds[-1], value, source, where)
    except InputError:
        if len(kinds) == 1:
            raise
        raise InputError(f"{source}: {where} must be {' or '.join(map(_said, kinds))}, got {value!r}") from None


def _said(kind: Any) -> str:
    """A type in words."""
    if get_origin(kind) is Literal:
        return ", ".join(get_args(kind))
    if get_origin(kind) is tuple:
        many = get_args(kind)[-1] is Ellipsis
        return "a list" if many else f"a list of {len(get_args(kind))}"
    return WORDS.get(kind, "a mapping")


def _simple(kind: type, value: Any, source: str, where: str) -> Any:
    if kind in (int, float) and isinstance(value, str) and EXPONENT.fullmatch(value):
        value = float(value)
    if kind is int and isinstance(value, float) and value.is_integer():
        value = int(value)
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind or (kind is float and not math.isfinite(value)):
        raise InputError(f"{source}: {where} must be {WORDS[kind]}, got {'null' if value is None else repr(value)}")
    return value


def _tuple(arguments: tuple[Any, ...], value: Any, source: str, where: str) -> tuple[Any, ...]:
    many = arguments[-1] is Ellipsis
    if many and isinstance(value, (int, float)) and not isinstance(value, bool):
        value = [value]  # one half-life needs no brackets
    if not isinstance(value, (list, tuple)) or not (many or len(value) == len(arguments)):
        raise InputError(f"{source}: {where} must be a list{'' if many else f' of {len(arguments)}'}, got {value!r}")
    kinds = [arguments[0]] * len(value) if many else arguments
    return tuple(_value(kind, item, source, f"{where}[{at}]") for at, (kind, item) in enumerate(zip(kinds, value, strict=True)))
