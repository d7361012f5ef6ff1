"""Bounds and names: what they admit and how they are written."""

import math

import pytest

from medrestore.settings import Bounds, OneOf, dotted, suggested


@pytest.mark.parametrize(("bounds", "inside", "outside", "text"), [
    (Bounds(at_least=0), (0, 1e9), (-1e-9, math.inf, math.nan), "at least 0"),
    (Bounds(above=0, at_most=1), (1e-9, 1), (0, 1.1), "above 0 and at most 1"),
    (Bounds(below=255), (-3, 254.9), (255,), "below 255"), (Bounds(), (0,), (-math.inf,), "finite"),
])
def test_bounds(bounds: Bounds, inside: tuple[float, ...], outside: tuple[float, ...], text: str) -> None:
    assert all(bounds.admits(value) for value in inside) and not any(bounds.admits(value) for value in outside)
    assert str(bounds) == text and bounds.admits("auto") and bounds.admits(None)
    assert not bounds.admits((inside[0], outside[0])) and bounds.admits(inside)


def test_names_of_a_table_that_grows() -> None:
    table = {"a": 1}
    names = OneOf(table)
    assert names.names == ("a",) and names.admits("a") and not names.admits("b") and not names.admits(["a"])
    table["c"] = 3
    assert names.admits("c") and str(names) == "one of a, c"


def test_suggestions() -> None:
    assert suggested("optim", "rl", ["lr", "images"]) == "there are: lr, images"
    assert suggested("optim", "imagse", ["lr", "images"]) == "did you mean optim.images?"
    assert dotted("", "a") == "a" and dotted("a", 3) == "a.3"
