"""YAML that asks for more than it says, or says it twice."""

import time

import pytest

from medrestore.errors import InputError
from medrestore.settings.documents import DEEPEST, LARGEST, read_yaml


def test_plain_data():
    assert read_yaml("a: [1, 2.5, null, yes]\nb: {c: text, d: 2026-11-30}\n", "x") == {
        "a": [1, 2.5, None, True], "b": {"c": "text", "d": "2026-11-30"}}
    assert read_yaml("", "x") is None
    assert read_yaml("{a: 10:20, b: 1:30.5, c: -5, d: 1e3, e: [1:2]}", "x") == {
        "a": "10:20", "b": "1:30.5", "c": -5, "d": "1e3", "e": ["1:2"]}


@pytest.mark.parametrize(("text", "says"), [
    ("a: &b 1\nc: *b", r"x\.yaml cannot be used as settings in line 2: aliases"),
    ("a: &b {c: 1}\nd: {<<: *b}", "aliases"),
    ("a: 1\nb: 2\na: 3", "line 3: the key 'a' is given twice"),
    ("a: {b: 1, b: 1}", "given twice"),
    ("[" * 1000 + "]" * 1000, f"deeper than {DEEPEST} levels"),
    ("a: " + "{b: " * 100 + "1" + "}" * 100, "deeper"),
    ("a: [", "is not YAML in line 1"),
    ("a: !!python/object/apply:os.getcwd []", "is not YAML in line 1: could not determine a constructor"),
    ("a: " + "9" * 5000, "cannot be parsed"),
    ("a: 1\n---\nb: 2", "found another document"),
    ("? [1]\n: 2", "not YAML"),
    ("? {a: 1}\n: 2", "not YAML"),
    ("a: !!int x", "cannot be parsed"),
    ("a: !!timestamp x", "cannot be parsed"),
    ("a: \0", "not YAML"),
    ("#" * (LARGEST + 1), "longer than 4 MiB"),
])
def test_refused(text, says):
    with pytest.raises(InputError, match=says) as caught:
        read_yaml(text, "x.yaml")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_a_bomb_takes_no_time():
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10))
    start = time.monotonic()
    with pytest.raises(InputError, match="aliases"):
        read_yaml(bomb, "x")
    assert time.monotonic() - start < 5
