"""The options of a command, generated from the dataclasses that describe it, and objects of those from their values.

Each field that is no dataclass becomes an option: its name with - for _, its type and bounds from the annotation, its default
from the field (or from the instance that is the default of the field above it), its help from the `Args:` of the docstring.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cached_property
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from ..errors import InputError
from ..settings import FieldError, OneOf, build, default_of, documented, hints, is_required, parse, scalar

T = TypeVar("T")

NAMES = {  # of options whose name is not that of their field; "Class.field" to name
    "Undersampling.kind": "undersample", "Machine.compiled": "compile",
}
FLAGS = {"origin": "--from"}  # of options whose key in a config is not what stands on the command line
SHORT = {"out": "-o", "output": "-o"}
NULLS = ("null", "none", "off")  # words for null, where a field may be that
POSITIONAL = object()  # in the annotation of a field: it is given without the name of an option


@dataclass(frozen=True)
class Option:
    """One option of a command.

    Attributes:
        path: the fields that lead to it, from `Options` inwards.
        name: its key in a config.
        hint: the type of the field, with its bounds.
        default: what it is where nothing is given.
        help: what it means, names of other fields in backticks.
        required: whether it must be given.
        positional: whether it is given without the name of an option.
    """

    path: tuple[str, ...]
    name: str
    hint: Any
    default: Any
    help: str
    required: bool = False
    positional: bool = False

    @property
    def flag(self) -> str:
        """What stands on the command line."""
        if self.positional:
            return self.name.upper()
        return FLAGS.get(self.name, f"--{self.name.replace('_', '-')}")

    @property
    def flags(self) -> tuple[str, ...]:
        """The short and the long form."""
        return (SHORT[self.name], self.flag) if self.name in SHORT else (self.flag,)

    @cached_property
    def kinds(self) -> tuple[Any, ...]:
        """The types that it may be of, without annotations."""
        return tuple(_kinds(self.hint))

    @property
    def choices(self) -> tuple[str, ...]:
        """The words that it may be, empty where it may be others."""
        for hint in _unions(self.hint):
            if get_origin(hint) is Literal:
                return tuple(get_args(hint))
            named = [one for one in get_args(hint)[1:] if isinstance(one, OneOf)] if get_origin(hint) is Annotated else []
            if named:
                return named[0].names
        return ()

    @property
    def is_mapping(self) -> bool:
        """Whether it is given key by key, as --options.lam 5."""
        return any(get_origin(kind) in (dict, Mapping) for kind in self.kinds)

    @property
    def is_list(self) -> bool:
        """Whether it takes several words."""
        return any(get_origin(kind) is tuple for kind in self.kinds)

    @property
    def is_switch(self) -> bool:
        """Whether it is true or false."""
        return self.kinds == (bool,)

    def parsed(self, value: Any, source: str = "") -> Any:
        """A value of a config or of the command line as the type of the field.

        Raises:
            FieldError: it is none, or out of bounds.
        """
        nullable = NoneType in self.kinds
        if nullable and (value is None or value in NULLS or (value is False and bool not in self.kinds)):
            return None
        words = self.choices and (value in self.choices or not {int, float, bool} & set(self.kinds))
        if isinstance(value, str) and str not in self.kinds and not words:
            with suppress(ValueError):  # the text itself is refused below
                value = scalar(value)
        return parse(self.hint, value, source, self.name)


def _unions(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def _kinds(hint: Any) -> Iterable[Any]:
    for one in _unions(hint):
        if get_origin(one) is Annotated:
            yield from _kinds(get_args(one)[0])
        else:
            yield one


def options_of(kind: type, default: Any = None, path: tuple[str, ...] = ()) -> list[Option]:
    """The options of a dataclass and of those in its fields, in the order of the fields.

    Args:
        default: an instance whose values are the defaults; None takes those of the fields.
        path: the fields that lead to `kind`.
    """
    found: list[Option] = []
    for one in fields(kind):
        hint = hints(kind)[one.name]
        here = (*path, one.name)
        required = is_required(one) and default is None
        value = None if required else default_of(one) if default is None else getattr(default, one.name)
        inner = next((part for part in _unions(hint) if isinstance(part, type) and is_dataclass(part)), None)
        if inner is not None:
            optional = NoneType in _unions(hint)
            found += [Option(part.path, part.name, part.hint | None if optional else part.hint, part.default, part.help)
                      for part in options_of(inner, value, here)]
            continue
        marks = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
        found.append(Option(here, NAMES.get(f"{kind.__name__}.{one.name}", one.name), hint, value,
                            documented(kind).get(one.name, ""), required, POSITIONAL in marks))
    return found


def put(tree: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for name in path[:-1]:
        tree = tree.setdefault(name, {})
    tree[path[-1]] = value


def get(tree: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = tree
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def built(kind: type[T], default: T | None, tree: Mapping[str, Any], where: str = "") -> T:
    """A dataclass with the values of a tree, the others as in `default`."""
    values: dict[str, Any] = {}
    for one in fields(kind):  # type: ignore[arg-type]  # T is a dataclass
        inner = next((part for part in _unions(hints(kind)[one.name]) if isinstance(part, type) and is_dataclass(part)), None)
        own = default_of(one) if default is None and not is_required(one) else getattr(default, one.name, MISSING)
        if inner is not None and one.name in tree:
            values[one.name] = built(inner, own, tree[one.name], f"{where}{one.name}.")
        elif one.name in tree:
            values[one.name] = tree[one.name]
        elif own is not MISSING:
            values[one.name] = own
    try:
        return build(kind, values, "")
    except FieldError as error:
        raise FieldError(error.source, f"{where}{error.field}", error.what) from error


def names_in(text: Any) -> Any:
    """Names with commas between."""
    return text.split(",") if isinstance(text, str) else text


def matrix(text: Any) -> Any:
    """height,width, or one number for both."""
    if not isinstance(text, str):
        return text
    sides = text.split(",") if "," in text else [text, text]
    if len(sides) != 2 or not all(side.strip().isdecimal() for side in sides):
        raise InputError(f"takes height,width in pixels, as 256,192, or one number, got {text!r}")
    return [int(side) for side in sides]
