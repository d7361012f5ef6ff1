"""Types of fields in words."""

from collections.abc import Mapping
from dataclasses import MISSING, Field
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from .bounds import Bounds, OneOf

WORDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false", Path: "a path"}
MAPPINGS = (dict, Mapping)  # as origins of types


def described(hint: Any) -> str:
    """A type in words."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        limits = [str(one) for one in arguments[1:] if isinstance(one, Bounds | OneOf)]
        base = described(arguments[0])
        return limits[0] if limits and arguments[0] in (Any, str) else " ".join([base, *limits])
    if origin is Literal:
        return ", ".join(arguments)
    if origin is tuple:
        many = arguments[-1] is Ellipsis
        return "a list" if many else f"a list of {len(arguments)}"
    if origin in (Union, UnionType):
        kinds = [one for one in arguments if not (one is int and float in arguments)]
        return " or ".join("null" if one is NoneType else described(one) for one in kinds)
    return WORDS.get(hint, "a mapping")


def is_required(one: Field[Any]) -> bool:
    """Whether a field has no default."""
    return one.default is MISSING and one.default_factory is MISSING
