"""The style sheet and the script of the page fit the markup, and refer to nothing outside of it."""

import inspect
import re

import pytest

from medrestore.report import curves, html, markup, pictures
from medrestore.report.page import SCRIPT, STYLE


def test_variables_that_are_used_are_defined():
    set_in_markup = {"--tile", "--across", "--shape", "--widest", "--times", "--left", "--top", "--split"}
    used = set(re.findall(r"var\((--[\w-]+)", STYLE))
    defined = set(re.findall(r"(--[\w-]+):", STYLE))
    assert used <= defined | set_in_markup
    assert {f"--series-{number}" for number in range(curves.COLOURS)} <= defined


@pytest.mark.parametrize("text", [STYLE, SCRIPT], ids=["style", "script"])
def test_nothing_is_fetched_and_brackets_are_balanced(text):
    assert not re.search(r"https?:|url\(|@import|fetch\(|XMLHttpRequest|innerHTML|</", text)
    assert all(text.count(left) == text.count(right) for left, right in ("{}", "()", "[]"))


def test_classes_that_the_script_selects_are_in_the_markup():
    sources = "".join(inspect.getsource(module) for module in (html, markup, pictures, curves))
    for name in re.findall(r"querySelector(?:All)?\(\"\.([\w-]+)", SCRIPT):
        assert f'class="{name}' in sources
