"""What a dataclass of settings says of itself: its documentation and its JSON schema."""

import inspect
import re
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from .bounds import Bounds, OneOf
from .build import hints
from .plain import plain
from .words import MAPPINGS, is_required

ENTRY = re.compile(r"    (\w+(?:, \w+)*): (.*)")  # of the Args of a docstring


@cache
def documented(kind: type) -> dict[str, str]:
    """What each field means, from the `Args:` of the docstrings of a class and its bases; `a, b: ...` serves both."""
    inherited = {name: text for base in kind.__bases__ if is_dataclass(base) for name, text in documented(base).items()}
    lines = inspect.cleandoc(kind.__doc__ or "").splitlines()
    entries: list[tuple[list[str], list[str]]] = []
    for line in lines[lines.index("Args:") + 1 :] if "Args:" in lines else []:
        if line and not line.startswith("    "):
            break
        if found := ENTRY.fullmatch(line):
            entries.append((found[1].split(", "), [found[2]]))
        elif line and entries:
            entries[-1][1].append(line.strip())
    return inherited | {name: " ".join(text) for names, text in entries for name in names}


def schema(kind: type) -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of the mappings that `build` makes a dataclass of."""
    properties: dict[str, Any] = {}
    for one in fields(kind):
        about = schema_of(hints(kind)[one.name])
        if one.name in documented(kind):
            about = {"description": documented(kind)[one.name]} | about
        if not is_required(one):
            about |= {"default": plain(default_of(one))}
        properties[one.name] = about
    required = [one.name for one in fields(kind) if is_required(one)]
    return {"type": "object", "properties": properties, "additionalProperties": False} | (
        {"required": required} if required else {})


def default_of(one: Field[Any]) -> Any:
    """The default of a field that has one."""
    return one.default_factory() if one.default_factory is not MISSING else one.default


def schema_of(hint: Any) -> dict[str, Any]:
    """The JSON schema of a type."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        about = schema_of(arguments[0])
        for limit in arguments[1:]:
            about |= _limits_as_schema(limit)
        return about
    if isinstance(hint, type) and is_dataclass(hint):
        return schema(hint)
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin in (Union, UnionType):
        return {"anyOf": [schema_of(one) for one in arguments]}
    if origin in MAPPINGS:
        return {"type": "object", "additionalProperties": schema_of(arguments[1])}
    if origin is tuple:
        if arguments[-1] is Ellipsis:
            return {"type": "array", "items": schema_of(arguments[0])}
        return {"type": "array", "prefixItems": [schema_of(one) for one in arguments], "minItems": len(arguments),
                "maxItems": len(arguments)}
    names = {int: "integer", float: "number", str: "string", Path: "string", bool: "boolean", NoneType: "null"}
    return {"type": names[hint]} if hint in names else {}


def _limits_as_schema(limit: Any) -> dict[str, Any]:
    """Bounds or names as JSON schema."""
    if isinstance(limit, OneOf):
        return {"enum": list(limit.names)}
    if not isinstance(limit, Bounds):
        return {}
    given = {"minimum": limit.at_least, "exclusiveMinimum": limit.above, "maximum": limit.at_most,
             "exclusiveMaximum": limit.below}
    return {key: value for key, value in given.items() if value is not None}
