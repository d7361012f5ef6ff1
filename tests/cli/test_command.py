"""A command from a tree of dataclasses: names, nesting, files, and complaints in terms of options."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import yaml

from medrestore.cli.command import Command
from medrestore.cli.options import POSITIONAL
from medrestore.errors import InputError
from medrestore.settings import Bounds, FieldError, check


@dataclass(frozen=True)
class Inner:
    """Options.

    Args:
        low: a number
        high: above `low`
    """

    low: Annotated[float, Bounds(at_least=0)]
    high: float = 2.0

    def __post_init__(self) -> None:
        check(self)
        if self.high <= self.low:
            raise FieldError("Inner", "high", f"must be above `low`, {self.low:g}")


@dataclass(frozen=True)
class Options:
    """Options.

    Args:
        file: what to read
        words: more of them
        inner: not an option itself
        count: so many
        options: by name
        mode: one of two
        quick: a switch
        careful: another switch
        tags: again for more
        out_place: where
    """

    file: Annotated[str | None, POSITIONAL] = None
    words: Annotated[tuple[str, ...], POSITIONAL] = ()
    inner: Inner | None = None
    count: Annotated[int, Bounds(at_least=1)] = 3
    options: Mapping[str, int | float | None] = field(default_factory=dict)
    mode: Literal["fast", "slow"] = "fast"
    quick: bool = False
    careful: bool = True
    tags: tuple[str, ...] = ()
    out_place: str | None = "here"


COMMAND = Command("try", Options, lambda options: 0, "Tries.", config=True)


def parsed(*words: str) -> Options:
    return COMMAND.parse(list(words))


def test_defaults_and_every_kind_of_option() -> None:
    assert parsed() == Options()
    assert parsed("f", "--count", "5", "--mode", "slow", "--quick", "--careful", "false", "--out-place", "none") == Options(
        file="f", count=5, mode="slow", quick=True, careful=False, out_place=None)
    assert parsed("--no-careful", "--careful", "--tags", "a", "--tags", "b").tags == ("a", "b")
    assert parsed("--careful", "f") == Options(file="f") and parsed("--no-careful").careful is False
    assert parsed("f", "a=1", "--count", "4", "b=2") == Options(file="f", words=("a=1", "b=2"), count=4)
    assert parsed("--count=1e1").count == 10


def test_optional_groups() -> None:
    assert parsed("--low", "1").inner == Inner(1.0) and parsed("--low", "1", "--high", "3").inner == Inner(1.0, 3.0)


def test_mappings() -> None:
    assert parsed("--options.lam", "5", "--options.eta=0.5", "--options.gamma", "null").options == {
        "lam": 5, "eta": 0.5, "gamma": None}
    assert parsed("--options", "{lam: 5}").options == {"lam": 5}


@pytest.mark.parametrize(("words", "sentence"), [
    (("--count", "0"), "--count must be at least 1, got 0"),
    (("--count", "many"), "--count must be a whole number, got 'many'"),
    (("--count", "10:20"), "--count must be a whole number, got '10:20'"),
    (("--high", "3"), "--high needs --low"),
    (("--low", "3"), "--high must be above --low, 3"),
    (("--low", "-1"), "--low must be at least 0, got -1.0"),
    (("--mode", "medium"), "--mode must be one of fast, slow, got 'medium'"),
    (("--options.lam", "much"), "--options.lam must be a number, got 'much'"),
    (("--options.lam",), "--options.lam needs a value"),
    (("--options", "3"), "--options must be a mapping of names to values, got 3"),
    (("--careful=maybe",), "--careful must be true or false, got 'maybe'"),
    (("--cuont", "3"), "there is no option --cuont; did you mean --count?"),
    (("--coun", "3"), "there is no option --coun; did you mean --count?"),
    (("--count",), "--count: expected one argument"),
])
def test_complaints(words: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        parsed(*words)
    assert str(caught.value) == sentence


def test_what_is_required() -> None:
    @dataclass(frozen=True)
    class Needs:
        file: Annotated[str, POSITIONAL]

    command = Command("need", Needs, lambda options: 0, "Needs.")
    with pytest.raises(InputError, match="FILE is missing; see medrestore need --help"):
        command.parse([])
    with pytest.raises(InputError, match="'b' is one word too many"):
        command.parse(["a", "b"])


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("count: 5\nmode: slow\noptions: {lam: 1, eta: 2}\nlow: '1'\n")
    expected = Options(file="f", count=5, mode="slow", options={"lam": 3, "eta": 2}, inner=Inner(1.0))
    assert parsed("f", "--options.lam", "3", "--config", str(path)) == expected
    assert parsed("--config", str(path), "f", "--options.lam", "3") == expected  # the command line wins wherever it stands
    path.write_text("count: 0")
    with pytest.raises(InputError, match=r"a\.yaml: --count must be at least 1, got 0"):
        parsed("--config", str(path), "--count", "3")


def test_what_is_printed_can_be_given_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("f", "--low", "1", "--options.lam", "3", "--tags", "a", "--no-careful", "--out-place", "off")
    with pytest.raises(SystemExit):
        parsed(*words, "--print_config")
    path = tmp_path / "a.yaml"
    path.write_text(capsys.readouterr().out)
    assert set(yaml.safe_load(path.read_text())) == set(COMMAND.options)
    assert parsed("--config", str(path)) == parsed(*words)


def test_the_schema_describes_the_files(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed("--print_schema")
    about: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert set(about["properties"]) == set(COMMAND.options) and about["additionalProperties"] is False
    assert about["properties"]["count"] == {"description": "so many", "type": "integer", "minimum": 1, "default": 3}
    assert about["properties"]["high"]["description"] == "above --low"


def test_fields_in_backticks_become_options() -> None:
    assert COMMAND.mentions("give `out_place` or `options.lam`, not `nothing`") == (
        "give --out-place or --options.lam, not `nothing`")
    assert str(COMMAND.translate(InputError("a.h5: give `low`"))) == "a.h5: give --low"


def test_options_that_are_left_open() -> None:
    command = Command("open", Options, lambda options: 0, "Opens.", left_open=frozenset({"count"}),
                      complete=lambda given: {"count": 7} | given)
    assert command.parse([]).count == 7 and command.parse(["--count", "null"]).count == 7
    assert command.parse(["--count", "2"]).count == 2
