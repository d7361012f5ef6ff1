"""Objects from plain values: types, bounds, nested dataclasses, and complaints that name the field."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pytest

from medrestore.errors import InputError
from medrestore.settings import Bounds, Checked, FieldError, build, check, check_names, parse


@dataclass(frozen=True)
class Inner:
    size: Annotated[int, Bounds(at_least=1)]

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class Outer:
    rate: Annotated[float, Bounds(above=0, at_most=1)] = 1.0
    kind: Literal["a", "b"] = "a"
    sides: tuple[int, ...] = (1,)
    pair: tuple[int, float] = (1, 2.0)
    weights: Mapping[str, float | None] = field(default_factory=dict)
    inner: Inner | None = None
    place: str | None = None
    on: bool = True

    def __post_init__(self) -> None:
        check(self)


def test_values_become_what_their_fields_are() -> None:
    built = build(Outer, {"rate": "1e-1", "sides": 3, "pair": [1.0, 2], "weights": {"x": 1}, "inner": {"size": 2}}, "f.yaml")
    assert built == Outer(rate=0.1, sides=(3,), pair=(1, 2.0), weights={"x": 1.0}, inner=Inner(2))
    assert type(built.pair[0]) is int and type(built.pair[1]) is float and type(built.weights["x"]) is float


@pytest.mark.parametrize(("given", "where", "what"), [
    ({"rate": 0}, "rate", "must be above 0 and at most 1, got 0.0"),
    ({"rate": float("nan")}, "rate", "must be above 0 and at most 1, got nan"),
    ({"rate": True}, "rate", "must be a number, got True"),
    ({"kind": "c"}, "kind", "must be one of a, b, got 'c'"),
    ({"kind": ["a"]}, "kind", "must be one of a, b, got ['a']"),
    ({"sides": ["x"]}, "sides[0]", "must be a whole number, got 'x'"),
    ({"pair": [1]}, "pair", "must be a list of 2, got [1]"),
    ({"weights": {"x": "much"}}, "weights.x", "must be a number, got 'much'"),
    ({"weights": 3}, "weights", "must be a mapping of names to values, got 3"),
    ({"inner": {"size": 0}}, "inner.size", "must be at least 1, got 0"),
    ({"inner": {}}, "inner.size", "is missing"),
    ({"inner": {"size": 1, "sice": 2}}, "inner.sice", "is no option; did you mean inner.size?"),
    ({"place": 3}, "place", "must be text, got 3"),
    ({"on": 1}, "on", "must be true or false, got 1"),
    ({"on": None}, "on", "must be true or false, got null"),
    ({"zebra": 1}, "zebra", "is no option; there are: rate, kind, sides, pair, weights, inner, place, on"),
])
def test_complaints(given: dict[str, Any], where: str, what: str) -> None:
    with pytest.raises(FieldError) as caught:
        build(Outer, given, "f.yaml")
    error = caught.value
    assert (error.source, error.field, error.what) == ("f.yaml", where, what)
    assert str(error) == f"f.yaml: {where} {what}" and isinstance(error, InputError)


def test_python_is_refused_like_a_file() -> None:
    with pytest.raises(FieldError, match=r"^Outer: rate must be above 0 and at most 1, got -1\.0$"):
        Outer(rate=-1)
    with pytest.raises(FieldError, match=r"^Outer: inner must be a mapping of options, got 3$"):
        Outer(inner=3)  # type: ignore[arg-type]  # what is refused


def test_equal_settings_are_equal() -> None:
    made = Outer(rate=1, sides=[1, 2], place=Path("a"), weights={"x": np.float64(2)})  # type: ignore[arg-type]  # converted
    assert made == Outer(rate=1.0, sides=(1, 2), place="a", weights={"x": 2.0})
    assert type(made.rate) is float and type(made.sides) is tuple and made.place == "a"


def test_numbers_of_numpy() -> None:
    assert parse(int, np.int64(3), "", "n") == 3 and type(parse(float, np.float32(0.5), "", "x")) is float
    with pytest.raises(FieldError, match=r"n must be a whole number, got 0\.5"):
        parse(int, 0.5, "", "n")


def test_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/patients/me")
    assert parse(Path, "~/x", "f", "path") == Path("/patients/me/x") and parse(Path | None, Path("a"), "f", "path") == Path("a")
    for wrong in ("", 3, None):
        with pytest.raises(FieldError, match="f: path must be a path, got"):
            parse(Path, wrong, "f", "path")
    with pytest.raises(FieldError, match="f: path begins with ~, and this system knows no home for it"):
        parse(Path, "~nobody-of-this-name/x", "f", "path")


def test_names_of_no_field_are_refused() -> None:
    check_names(Bounds, ["above", "below"])
    with pytest.raises(InputError, match=r"^Bounds: abov is no option; did you mean above\?$"):
        check_names(Bounds, ["below", "abov"])


@dataclass(frozen=True)
class Strength(Checked):
    value: Annotated[float, Bounds(at_least=1)]


@dataclass(frozen=True)
class Named(Strength):
    label: str = ""


def test_a_checked_class_and_its_subclasses_refuse_values() -> None:
    assert isinstance(Strength(3).value, float) and Named(2, "a").value == 2
    for kind, given in ((Strength, {"value": 0.5}), (Named, {"value": 0.5}), (Named, {"value": 2.0, "label": 3})):
        with pytest.raises(FieldError, match=f"^{kind.__name__}: "):
            kind(**given)
