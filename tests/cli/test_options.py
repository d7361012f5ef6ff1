"""Options are those of the fields, in their order, with the default, the help and the type of each."""

from dataclasses import dataclass, field
from typing import Annotated

import pytest

from medrestore.cli.main import COMMANDS
from medrestore.cli.options import built, options_of
from medrestore.recon.plan import Machine
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
