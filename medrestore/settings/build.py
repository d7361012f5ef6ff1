"""Objects from plain values, checked against the annotations of their classes."""

import math
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from numbers import Integral, Real
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from ..errors import InputError, meant
from .bounds import Bounds, FieldError, OneOf, dotted, prefix, suggested
from .words import MAPPINGS, WORDS, described, is_required

T = TypeVar("T")
EXPONENT = re.compile(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+")  # a number in YAML 1.2, text in YAML 1.1
_HINTS: dict[type, dict[str, Any]] = {}


def hints(kind: type) -> dict[str, Any]:
    """The types of a dataclass's fields, with their bounds."""
    if kind not in _HINTS:
        _HINTS[kind] = get_type_hints(kind, include_extras=True)
    return _HINTS[kind]


def check(instance: Any) -> None:
    """Refuses a dataclass whose fields hold values of another type or out of bounds; for `__post_init__`.

    Whole numbers in fields of numbers become floats and lists in fields of tuples become tuples, so that equal settings are
    equal. Fields of types that no config can hold (tensors, functions, objects) are left to the class itself.

    Raises:
        FieldError: names the class, the field, what it may be and what it is.
    """
    kind = type(instance)
    for one in fields(kind):
        hint = hints(kind)[one.name]
        if is_plain(hint):
            given = getattr(instance, one.name)
            value = parse(hint, given, kind.__name__, one.name)
            if type(value) is not type(given) or (isinstance(given, tuple) and value != given):
                object.__setattr__(instance, one.name, value)


class Checked:
    """A dataclass whose fields are checked when it is made; see `check`."""

    def __post_init__(self) -> None:
        check(self)


def is_plain(hint: Any) -> bool:
    """Whether a type is one of numbers, text, choices, dataclasses and containers of them."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return is_plain(arguments[0]) or any(isinstance(one, OneOf) for one in arguments[1:])
    if origin is Literal or hint in (int, float, str, bool, Path, NoneType) or (isinstance(hint, type) and is_dataclass(hint)):
        return True
    return origin in (Union, UnionType, *MAPPINGS, tuple) and all(
        is_plain(one) for one in arguments if one is not Ellipsis)


def check_names(kind: type, names: Iterable[str]) -> None:
    """Refuses names that are no fields of a dataclass.

    Raises:
        InputError: which one, and which there are.
    """
    known = [one.name for one in fields(kind)]
    for name in names:
        if name not in known:
            raise InputError(f"{kind.__name__}: {name} is no option; {suggested('', name, known)}")


def build(kind: type[T], given: Any, source: str, where: str = "") -> T:
    """A dataclass of the type `kind` from a mapping; dataclasses in its fields are built likewise.

    Args:
        source: the file that `given` was read from; complaints begin with it.
        where: the dotted key at which `given` stands there; empty at the top.

    Raises:
        InputError: an unknown or missing key, or a value of another type or out of bounds; a `FieldError` names the field.
    """
    if not isinstance(given, Mapping):
        raise FieldError(source, where or "a config", f"must be a mapping of options, got {given!r}")
    known = {one.name: one for one in fields(kind)}  # type: ignore[arg-type]  # T is a dataclass
    for key in given:
        if key not in known:
            raise FieldError(source, dotted(where, key), f"is no option; {suggested(where, key, known)}")
    for name, one in known.items():
        if name not in given and is_required(one):
            raise FieldError(source, dotted(where, name), "is missing")
    values = {key: parse(hints(kind)[key], value, source, dotted(where, key)) for key, value in given.items()}
    try:
        return kind(**values)
    except FieldError as error:  # of a check of the class, which does not know the source
        raise FieldError(source, dotted(where, error.field), error.what) from error
    except InputError as error:
        text = str(error).removeprefix(f"{kind.__name__}: ")
        raise InputError(f"{prefix(source)}{dotted(where, text)}") from error


def parse(hint: Any, value: Any, source: str, where: str) -> Any:
    """`value` as the type `hint`: no guesses beyond 1e-4 for a number and a list for a tuple.

    Args:
        source, where: the file or class, and the dotted name of the field, for complaints.

    Raises:
        FieldError: it is of another type, or out of bounds.
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if origin is Annotated:
        return _annotated(arguments, value, source, where)
    if isinstance(hint, type) and is_dataclass(hint):
        return value if isinstance(value, hint) else build(hint, value, source, where)
    if origin in (Union, UnionType):
        if value is None and NoneType in arguments:
            return None
        kinds = [one for one in arguments if one is not NoneType]
        several = len(kinds) > 1 and all(map(is_dataclass, kinds))
        return (_build_variant if several else _one_of)(kinds, value, source, where)
    if origin is Literal:
        if value in arguments and isinstance(value, str):
            return value
        raise FieldError(source, where, f"must be one of {', '.join(arguments)}, got {value!r}{meant(value, arguments)}")
    if origin in MAPPINGS:
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise FieldError(source, where, f"must be a mapping of names to values, got {value!r}")
        return {key: parse(arguments[1], item, source, dotted(where, key)) for key, item in value.items()}
    if origin is tuple:
        return _build_tuple(arguments, value, source, where)
    return _simple(hint, value, source, where)


def _annotated(arguments: tuple[Any, ...], value: Any, source: str, where: str) -> Any:
    """`value` as an annotated type, within its bounds."""
    limits = [one for one in arguments[1:] if isinstance(one, Bounds | OneOf)]
    try:
        value = parse(arguments[0], value, source, where)
    except FieldError:
        if not (limits and isinstance(value, float) and not math.isfinite(value)):  # of which the bounds say more
            raise
    for limit in limits:
        if not limit.admits(value):
            like = meant(value, limit.names) if isinstance(limit, OneOf) else ""
            raise FieldError(source, where, f"must be {limit}, got {value!r}{like}")
    return value


def _one_of(kinds: list[Any], value: Any, source: str, where: str) -> Any:
    """`value` as the first of the types that takes it."""
    for kind in kinds[:-1]:
        try:
            return parse(kind, value, source, where)
        except FieldError:
            continue
    try:
        return parse(kinds[-1], value, source, where)
    except FieldError:
        if len(kinds) == 1:
            raise
        names = " or ".join(described(kind) for kind in kinds if not (kind is int and float in kinds))
        raise FieldError(source, where, f"must be {names}, got {value!r}") from None


def variants(hint: Any) -> dict[str, type]:
    """The dataclasses of a union by what tells their mappings apart: the value of `kind` where all have that field, else the
    name of their first required field."""
    return _variants([one for one in (get_args(hint) or (hint,)) if one is not NoneType])


def _variants(kinds: list[Any]) -> dict[str, type]:
    if all("kind" in hints(one) for one in kinds):
        return {choice: one for one in kinds for choice in get_args(hints(one)["kind"])}
    return {next(known.name for known in fields(one) if is_required(known)): one for one in kinds}


def _build_variant(kinds: list[Any], value: Any, source: str, where: str) -> Any:
    """`value` as that dataclass of a union for which its `kind` or its keys are."""
    if isinstance(value, tuple(kinds)):
        return value
    if not isinstance(value, Mapping):
        raise FieldError(source, where, f"must be a mapping of options, got {value!r}")
    known = _variants(kinds)
    if all("kind" in hints(one) for one in kinds):
        if value.get("kind") not in known:
            raise FieldError(source, dotted(where, "kind"), f"must be one of {', '.join(known)}, got "
                             f"{value.get('kind')!r}{meant(value.get('kind'), known)}")
        return build(known[value["kind"]], value, source, where)
    chosen = [key for key in known if value.get(key) is not None]
    if len(chosen) != 1:
        raise FieldError(source, where, f"needs exactly one of {' and '.join(known)}, got {', '.join(chosen) or 'none'}")
    return build(known[chosen[0]], value, source, where)


def _simple(kind: type, value: Any, source: str, where: str) -> Any:
    if kind in (int, float) and isinstance(value, str) and EXPONENT.fullmatch(value):
        value = float(value)
    if isinstance(value, Real) and not isinstance(value, bool):
        number = float(value)
        if kind is int and number.is_integer():
            value = int(value) if isinstance(value, Integral) else int(number)
        if kind is float:
            value = number
    if kind is str and isinstance(value, os.PathLike):
        value = os.fspath(value)
    if kind is Path and isinstance(value, str | os.PathLike) and os.fspath(value):
        try:
            return Path(value).expanduser()
        except RuntimeError as error:
            what = "begins with ~, and this system knows no home for it; write the path in full"
            raise FieldError(source, where, what) from error
    if type(value) is not kind or (isinstance(value, float) and not math.isfinite(value)):
        got = "null" if value is None else repr(value)
        raise FieldError(source, where, f"must be {WORDS.get(kind, kind.__name__)}, got {got}")
    return value


def _build_tuple(arguments: tuple[Any, ...], value: Any, source: str, where: str) -> tuple[Any, ...]:
    many = arguments[-1] is Ellipsis
    if many and isinstance(value, (int, float)) and not isinstance(value, bool):
        value = [value]  # one half-life needs no brackets
    if not isinstance(value, (list, tuple)) or not (many or len(value) == len(arguments)):
        raise FieldError(source, where, f"must be a list{'' if many else f' of {len(arguments)}'}, got {value!r}")
    kinds = [arguments[0]] * len(value) if many else arguments
    return tuple(parse(kind, item, source, f"{where}[{at}]") for at, (kind, item) in enumerate(zip(kinds, value, strict=True)))
