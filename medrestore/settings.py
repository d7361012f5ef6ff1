"""Dataclasses of settings: built from plain mappings, checked against the types and bounds of their fields.

A bound stands once, in the annotation of the field: `eta: Annotated[float, Bounds(at_least=0)] = 1.0`. `check`, called
in `__post_init__`, enforces it wherever the object is made: in Python, from YAML or from the command line.
"""

import importlib
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, Field, asdict, dataclass, fields, is_dataclass
from difflib import get_close_matches
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Generic, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from .errors import InputError

T = TypeVar("T")
EXPONENT = re.compile(r"[+-]?\d+(\.\d*)?[eE][+-]?\d+")  # a number in YAML 1.2, text in YAML 1.1
WORDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}


@dataclass(frozen=True)
class Bounds:
    """The numbers that a field may hold; infinities and NaN are refused.

    Args:
        at_least, above: the least value, or what it must exceed.
        at_most, below: the largest value, or what it must stay under.
    """

    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None

    def admits(self, value: float) -> bool:
        """Whether `value` lies within."""
        return (math.isfinite(value)
                and (self.at_least is None or value >= self.at_least) and (self.above is None or value > self.above)
                and (self.at_most is None or value <= self.at_most) and (self.below is None or value < self.below))

    def __str__(self) -> str:
        low = f"at least {self.at_least:g}" if self.at_least is not None else None
        low = f"above {self.above:g}" if self.above is not None else low
        high = f"at most {self.at_most:g}" if self.at_most is not None else None
        high = f"below {self.below:g}" if self.below is not None else high
        return " and ".join(side for side in (low, high) if side is not None) or "finite"


class Registry(Mapping[str, type[T]], Generic[T]):
    """Classes by the names under which configs and the command line know them; imported when first asked for.

    Args:
        package: that the places are relative to, such as `medrestore.methods`.
        places: name to `module:Class`.
    """

    def __init__(self, package: str, places: Mapping[str, str]) -> None:
        self.package, self.places = package, dict(places)

    def __getitem__(self, name: str) -> type[T]:
        module, _, kind = self.places[name].partition(":")
        found: type[T] = getattr(importlib.import_module(f"{self.package}.{module}"), kind)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)

    def name_of(self, kind: type[T]) -> str | None:
        """The name of a class, None where it is not registered."""
        place = f"{kind.__module__.removeprefix(self.package + '.')}:{kind.__qualname__}"
        return next((name for name, known in self.places.items() if known == place), None)

    def build(self, name: str, options: Mapping[str, Any], source: str = "", where: str = "") -> T:
        """An object of the class of that name.

        Raises:
            InputError: an unknown name or option, or a value out of bounds.
        """
        if name not in self.places:
            raise InputError(f"{prefix(source)}there is no {dotted(where, name)}; {suggested('', name, self)}")
        return build(self[name], options, source or name, where)


@cache
def hints(kind: type) -> dict[str, Any]:
    """The types of a dataclass's fields, with their bounds."""
    return get_type_hints(kind, include_extras=True)


def check(instance: Any) -> None:
    """Refuses a dataclass whose fields hold values of another type or out of bounds; for `__post_init__`.

    Fields of types that no config can hold (tensors, functions, objects) are left to the class itself.

    Raises:
        InputError: names the class, the field, what it may be and what it is.
    """
    kind = type(instance)
    for one in fields(kind):
        hint = hints(kind)[one.name]
        if is_plain(hint):
            _value(hint, getattr(instance, one.name), kind.__name__, one.name)


def is_plain(hint: Any) -> bool:
    """Whether a type is one of numbers, text, choices and containers of them."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return is_plain(arguments[0])
    if origin is Literal or hint in (int, float, str, bool, NoneType):
        return True
    return origin in (Union, UnionType, dict, tuple) and all(is_plain(one) for one in arguments if one is not Ellipsis)


def prefix(source: str) -> str:
    """How a complaint about a source begins."""
    return f"{source}: " if source else ""


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
    known = {one.name: one for one in fields(kind)}
    for key in given:
        if key not in known:
            raise InputError(f"{source}: {dotted(where, key)} is no option; {suggested(where, key, known)}")
    missing = [name for name, one in known.items()
               if name not in given and one.default is MISSING and one.default_factory is MISSING]
    if missing:
        raise InputError(f"{source}: {dotted(where, missing[0])} is missing")
    values = {key: _value(hints(kind)[key], value, source, dotted(where, key)) for key, value in given.items()}
    try:
        return kind(**values)
    except InputError as error:  # of a check of the class, which does not know the source
        text = str(error).removeprefix(f"{kind.__name__}: ")
        raise InputError(f"{prefix(source)}{text if not where else dotted(where, text)}") from error


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
    if origin is Annotated:
        return _bounded(arguments, value, source, where)
    if is_dataclass(kind):
        return build(kind, value, source, where)
    if origin in (Union, UnionType):
        if value is None and NoneType in arguments:
            return None
        kinds = [one for one in arguments if one is not NoneType]
        if all(map(is_dataclass, kinds)):
            return value if isinstance(value, kind) else _variant(kind, value, source, where)
        return _one_of(kinds, value, source, where)
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


def variants(hint: Any) -> dict[str, type]:
    """The dataclasses of a union by what tells their mappings apart: the value of `kind` where all have that field, else the
    name of the first required field."""
    kinds = [one for one in (get_args(hint) or (hint,)) if one is not NoneType]
    if all("kind" in hints(one) for one in kinds):
        return {choice: one for one in kinds for choice in get_args(hints(one)["kind"])}
    return {next(known.name for known in fields(one) if is_required(known)): one for one in kinds}


def _variant(union: Any, value: Any, source: str, where: str) -> Any:
    """`value` as that dataclass of a union which its keys, or its `kind`, tell."""
    if not isinstance(value, Mapping):
        raise InputError(f"{source}: {where} must be a mapping of options, got {value!r}")
    known = variants(union)
    if all("kind" in hints(one) for one in known.values()):
        if value.get("kind") not in known:
            raise InputError(f"{source}: {where}.kind must be one of {', '.join(known)}, got {value.get('kind')!r}")
        return build(known[value["kind"]], value, source, where)
    chosen = [key for key in known if value.get(key) is not None]
    if len(chosen) != 1:
        raise InputError(f"{source}: {where} needs exactly one of {' and '.join(known)}, got {', '.join(chosen) or 'none'}")
    return build(known[chosen[0]], value, source, where)


def is_required(one: Field[Any]) -> bool:
    """Whether a field has no default."""
    return one.default is MISSING and one.default_factory is MISSING


def default_of(one: Field[Any]) -> Any:
    """The default of a field that has one."""
    return one.default_factory() if one.default_factory is not MISSING else one.default


def _bounded(arguments: tuple[Any, ...], value: Any, source: str, where: str) -> Any:
    """`value` as an annotated type, within its bounds where it is a number."""
    try:
        value = _value(arguments[0], value, source, where)
    except InputError:
        if not (isinstance(value, float) and not math.isfinite(value)):
            raise
    for bounds in arguments[1:]:
        numbers = value if isinstance(value, tuple) else (value,)
        if isinstance(bounds, Bounds) and not all(bounds.admits(one) for one in numbers if isinstance(one, int | float)):
            raise InputError(f"{source}: {where} must be {bounds}, got {value!r}")
    return value


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
