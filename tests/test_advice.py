"""What sentences of the program tell people to use exists: fields, packages, commands. Tests of the modules follow the rest."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from medrestore.cli.main import COMMANDS

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "medrestore"
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}
PLAIN = {"null", "none", "off"}  # values, not names
PROGRAMS = {"python"} | sys.stdlib_module_names  # whose lines stand in backticks, too


def literal(node: ast.expr) -> str:
    """A string, or an f-string with {} in the place of its values."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return ""


def sentences(tree: ast.Module) -> Iterator[str]:
    """All texts of a module but for its documentation."""
    parts = {id(value) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for value in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):
            parts |= {id(node.value)}
        if isinstance(node, ast.Constant | ast.JoinedStr) and id(node) not in parts:
            yield literal(node)


def names() -> set[str]:
    """Fields, parameters, functions and classes of the package."""
    found: set[str] = set()
    for node in (node for tree in TREES.values() for node in ast.walk(tree)):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
    return found | set(COMMANDS)


def advised(pattern: str) -> set[str]:
    """Whatever a pattern finds in the sentences, outside of the command line's own texts on options."""
    return {match for path, tree in TREES.items() if path.name not in ("reference.py", "command.py")
            for sentence in sentences(tree) for match in re.findall(pattern, sentence)}


def distributions() -> set[str]:
    """What can be installed: the packages that this one names, and this one with each of its extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    named = [*project["dependencies"], *(line for lines in extras.values() for line in lines)]
    plain = {re.split(r"[><=\[ ]", line)[0] for line in named}
    return plain | {f"medrestore[{extra}]" for extra in extras} | {"medrestore[{}]"}


def test_names_in_backticks_are_fields_parameters_or_functions() -> None:
    found, known = advised(r"`([^`]+)`"), names() | PLAIN
    assert len(found) > 30
    first = {text: re.split(r"[ .(=:]", text)[0] for text in found if not text.startswith(("(", "{"))}
    assert {text for text, word in first.items() if word not in known | PROGRAMS and not word.startswith("--")
            and text.rpartition(".")[2] not in known} == set()


def test_packages_that_are_to_be_installed_are_those_of_this_project() -> None:
    found = {name.strip("'\"") for name in advised(r"pip install ((?:-U )?['\"]?[\w\[\]{}-]+)")}
    assert found and found <= distributions() | {"opencv-python-headless"}, found - distributions()


@pytest.mark.parametrize("words", sorted(advised(r"\bmedrestore ([a-z]+) (?:-|[A-Z./])")))
def test_commands_exist(words: str) -> None:
    assert words in COMMANDS
