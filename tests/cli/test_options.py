"""Options are those of the fields, in their order, with the default, the help and the type of each."""

from dataclasses import dataclass, field
from typing import Annotated

import pytest

from medrestore.cli.main import COMMANDS
from medrestore.cli.options import built, matrix, options_of
from medrestore.errors import InputError
from medrestore.recon.plan import Machine, Plan
from medrestore.settings import Bounds, FieldError


@dataclass(frozen=True)
class Tree:
    """Options.

    Args:
        name: what it is called
    """

    name: str = "x"
    machine: Machine = field(default_factory=lambda: Machine(maps_cache="cache"))
    size: Annotated[int, Bounds(above=0)] = 2


def test_fields_become_options_in_their_order() -> None:
    found = options_of(Tree)
    assert [one.name for one in found] == ["name", "device", "compile", "maps_cache", "apart", "check_fit", "size"]
    assert [one.flag for one in found] == ["--name", "--device", "--compile", "--maps-cache", "--apart", "--check-fit",
                                            "--size"]
    assert [one.default for one in found] == ["x", None, False, "cache", False, False, 2]
    assert found[0].help == "what it is called" and found[2].path == ("machine", "compiled")


def test_values_are_put_where_their_fields_are() -> None:
    assert built(Tree, None, {"size": 3, "machine": {"device": "cuda"}}) == Tree(size=3, machine=Machine("cuda", False, "cache"))
    with pytest.raises(FieldError, match=r"machine\.device must be text, got 3"):
        built(Tree, None, {"machine": {"device": 3}})


@pytest.mark.parametrize("name", COMMANDS)
def test_names_are_unique_and_explained(name: str) -> None:
    found = options_of(COMMANDS[name].kind)
    assert len({one.name for one in found}) == len({one.flag for one in found}) == len(found)
    assert all(one.help for one in found)


@pytest.mark.parametrize(("word", "value"), [("0.01", 0.01), ("2", 2.0), ("auto", "auto"), ("none", None)])
def test_a_number_or_a_word(word: str, value: object) -> None:
    """A word among those that a field takes left its numbers unread."""
    one = {option.name: option for option in options_of(Plan)}["weight"]
    assert one.parsed(word) == value
    with pytest.raises(FieldError, match="must be a number above 0 or auto"):
        one.parsed("much")


@pytest.mark.parametrize(("text", "value"), [("256,192", [256, 192]), ("64", [64, 64]), ((3, 4), (3, 4)), (None, None)])
def test_a_matrix(text: object, value: object) -> None:
    assert matrix(text) == value


@pytest.mark.parametrize("text", ["256x192", "1,2,3", "-4", "4.5", ""])
def test_what_is_no_matrix(text: str) -> None:
    with pytest.raises(InputError, match="takes height,width in pixels"):
        matrix(text)
