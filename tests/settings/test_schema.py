"""Documentation and JSON schema of dataclasses."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from medrestore.recon.plan import LADDERS, Plan, Undersampling, Writing
from medrestore.settings import Bounds, OneOf, Privacy, documented, schema, schema_of


@dataclass(frozen=True)
class Documented:
    """One.

    Args:
        a: first,
            going on: with a colon
        b, c: both

    Raises:
        ValueError: none of the fields
    """

    a: int
    b: float = 1.0
    c: tuple[int, ...] = field(default_factory=lambda: (1, 2))


def test_documentation() -> None:
    assert documented(Documented) == {"a": "first, going on: with a colon", "b": "both", "c": "both"}
    assert documented(int) == {}


def test_schema() -> None:
    assert schema(Documented) == {
        "type": "object", "additionalProperties": False, "required": ["a"], "properties": {
            "a": {"description": "first, going on: with a colon", "type": "integer"},
            "b": {"description": "both", "type": "number", "default": 1.0},
            "c": {"description": "both", "type": "array", "items": {"type": "integer"}, "default": [1, 2]}}}


def test_types() -> None:
    cases: list[tuple[Any, dict[str, Any]]] = [
        (Annotated[float, Bounds(above=0, at_most=1)], {"type": "number", "exclusiveMinimum": 0, "maximum": 1}),
        (Annotated[str, OneOf(LADDERS)], {"type": "string", "enum": ["karras", "ddpm", "quadratic"]}),
        (Literal["a", "b"], {"enum": ["a", "b"]}), (int | None, {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        (Mapping[str, bool], {"type": "object", "additionalProperties": {"type": "boolean"}}),
        (tuple[int, str], {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "minItems": 2,
                           "maxItems": 2}),
        (Any, {}),
    ]
    for hint, expected in cases:
        assert schema_of(hint) == expected


def test_nested_plans() -> None:
    inner = schema(Plan)["properties"]["undersample"]["anyOf"][0]
    assert inner == schema(Undersampling) and inner["required"] == ["kind", "accel"]


def test_a_class_has_the_documentation_of_its_bases() -> None:
    assert documented(Writing).keys() >= {"nifti", "overwrite", "resume", "keep_paths", "anonymous"}
    assert "resume" not in documented(Privacy)
