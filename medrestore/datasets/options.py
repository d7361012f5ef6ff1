"""Settings of a YAML file checked against the signature that they are for."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from ..errors import InputError
from ..files import expanded

T = TypeVar("T")


def build(make: Callable[..., T], options: Mapping[str, Any], where: str) -> T:
    """`make(**options)`, once every name is one of its parameters and every value is of the annotated type.

    Lists become the tuples, strings the paths, and whole numbers the floats that the annotations ask for.

    Args:
        where: what the options are for, to begin the error with.

    Raises:
        InputError: an unknown or missing name, or a value of another type.
    """
    parameters = {name: p for name, p in inspect.signature(make).parameters.items() if name != "self"}
    unknown = [str(name) for name in options if name not in parameters]
    if unknown:
        known = ", ".join(parameters) or "none"
        raise InputError(f"{where} has no setting {', '.join(map(repr, unknown))}; its settings are: {known}.")
    missing = [name for name, p in parameters.items() if p.default is p.empty and name not in options]
    if missing:
        raise InputError(f"{where} needs the setting {', '.join(map(repr, missing))}; add it.")
    hints = get_type_hints(make.__init__ if inspect.isclass(make) else make)
    return make(**{name: _checked(value, hints[name], f"{where}: {name}") for name, value in options.items()})


_MISFIT = object()


def _checked(value: Any, hint: Any, where: str) -> Any:
    fitted = _fit(value, hint)
    if fitted is _MISFIT:
        raise InputError(f"{where} must be {describe(hint)}, got {value!r}.")
    return fitted


def _fit(value: Any, hint: Any) -> Any:
    """The value as the type `hint`, or _MISFIT."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return next((fitted for part in inner if (fitted := _fit(value, part)) is not _MISFIT), _MISFIT)
    if origin is Literal:
        return value if value in inner else _MISFIT
    if origin is tuple:
        return _fit_tuple(value, inner)
    if hint is float:
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else _MISFIT
    if hint is int:
        return value if isinstance(value, int) and not isinstance(value, bool) else _MISFIT
    if hint is str and isinstance(value, Path):
        return str(value)
    if hint is Path:
        return expanded(value) if isinstance(value, str | Path) and str(value) else _MISFIT
    if hint in (NoneType, None):
        return None if value is None else _MISFIT
    return value if isinstance(value, hint) else _MISFIT


def _fit_tuple(value: Any, inner: tuple[Any, ...]) -> Any:
    if not isinstance(value, Sequence) or isinstance(value, str):
        return _MISFIT
    hints = [inner[0]] * len(value) if inner[-1] is Ellipsis else list(inner)
    if len(hints) != len(value):
        return _MISFIT
    fitted = tuple(_fit(item, hint) for item, hint in zip(value, hints, strict=True))
    return _MISFIT if any(item is _MISFIT for item in fitted) else fitted


def describe(hint: Any) -> str:
    """The description of a type in messages."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return " or ".join(describe(part) for part in inner)
    if origin is Literal:
        return " | ".join(map(str, inner))
    if origin is tuple:
        listed = f"{describe(inner[0])}, ..." if inner[-1] is Ellipsis else ", ".join(map(describe, inner))
        return f"[{listed}]"
    words = {float: "a number", int: "a whole number", Path: "a path", str: "a text", bool: "true or false", NoneType: "null"}
    return words.get(hint, getattr(hint, "__name__", str(hint)))
