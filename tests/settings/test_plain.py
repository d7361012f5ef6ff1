"""Plain data and what is written as text."""

from typing import Any

import pytest

from medrestore.errors import InputError
from medrestore.recon.plan import Plan, Undersampling
from medrestore.settings import assign, flatten, json_values, override, plain, scalar


@pytest.mark.parametrize(("text", "value"), [
    ("3", 3), ("0.5", 0.5), ("true", True), ("null", None), ("[1, 2]", [1, 2]), ("{a: 1}", {"a": 1}), ("word", "word"),
    ("10:20", "10:20"), ("a: b", {"a": "b"}),
])
def test_scalars(text: str, value: Any) -> None:
    assert scalar(text) == value


def test_what_is_no_value() -> None:
    with pytest.raises(ValueError, match="is not YAML"):
        scalar("[1")
    with pytest.raises(InputError, match=r"the value of 'a=\[1' cannot be read"):
        override({}, ["a=[1"])
    with pytest.raises(InputError, match="'a' is no setting; write key=value"):
        override({}, ["a"])


def test_settings_at_dotted_keys() -> None:
    given: dict[str, Any] = {"optim": {"lr": 1}}
    override(given, ["optim.batch=8", "data.sides=[8, 16]"])
    assign(given, "optim.lr", 2)
    assert given == {"optim": {"lr": 2, "batch": 8}, "data": {"sides": [8, 16]}}
    assert flatten(given) == {"optim.lr": 2, "optim.batch": 8, "data.sides": [8, 16]}
    with pytest.raises(InputError, match=r"optim\.lr\.x cannot be set: lr is 2, not a mapping"):
        assign(given, "optim.lr.x", 1)


def test_dataclasses_as_plain_data() -> None:
    found = plain(Plan(undersample=Undersampling("uniform1d", 4), axes=("slice", "coil")))
    assert found["undersample"] == {"kind": "uniform1d", "accel": 4.0, "acs": None} and found["axes"] == ["slice", "coil"]


def test_numbers_that_are_not_finite_are_null() -> None:
    assert json_values({"a": float("nan"), "b": [1.0, (float("inf"), "x")], 3: None}) == {
        "a": None, "b": [1.0, [None, "x"]], "3": None}
