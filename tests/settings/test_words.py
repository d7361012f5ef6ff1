"""Types in words."""

from dataclasses import dataclass, field, fields
from typing import Annotated, Any, Literal

import pytest

from medrestore.settings import Bounds, OneOf, described, is_required


@pytest.mark.parametrize(("hint", "words"), [
    (int, "a whole number"), (Annotated[int, Bounds(at_least=2)] | None, "a whole number at least 2 or null"),
    (int | float | None, "a number or null"), (Annotated[Any, OneOf(("a", "b"))], "one of a, b"),
    (Annotated[Any, OneOf(())], "the name of a plugin (none is installed)"), (Literal["x", "y"], "x, y"),
    (tuple[int, ...], "a list"), (tuple[int, int], "a list of 2"), (dict[str, int], "a mapping"),
    (int | Literal["auto"], "a whole number or auto"),
])
def test_described(hint: Any, words: str) -> None:
    assert described(hint) == words


def test_required() -> None:
    @dataclass
    class Fields:
        a: int
        b: int = 1
        c: list[int] = field(default_factory=list)

    assert [is_required(one) for one in fields(Fields)] == [True, False, False]
