"""YAML as plain data: what a text asks for is bounded before it is done, and what it says twice is refused.

A text of some hundred bytes can ask for gigabytes through aliases. Of a key that stands there twice, YAML keeps the last
value without a word.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, ClassVar

import yaml

from ..errors import InputError

LARGEST = 4 << 20  # characters; a list of all fastMRI volumes has half a million
DEEPEST = 32  # mappings and lists inside of each other
TIMESTAMP = "tag:yaml.org,2002:timestamp"
NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


class RefusedYaml(yaml.MarkedYAMLError):
    """What YAML allows and settings do not need."""


class Loader(yaml.SafeLoader):
    """Plain data alone, without aliases, deep nesting and keys given twice; dates and 10:20 (620 in base 60) stay text."""

    yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {
        first: [(tag, pattern) for tag, pattern in found if tag != TIMESTAMP]
        for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    _depth = 0

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:
        """The tag of a value."""
        tag: str = super().resolve(kind, value, implicit)
        return self.DEFAULT_SCALAR_TAG if tag in NUMBERS and ":" in value else tag

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """A value of the document, refused where it is an alias or too deep."""
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent):
            raise RefusedYaml(problem="aliases (*name) can grow without bound", problem_mark=event.start_mark)
        if self._depth == DEEPEST:
            raise RefusedYaml(problem=f"it is nested deeper than {DEEPEST} levels", problem_mark=event.start_mark)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """A mapping whose keys are all different."""
        seen: set[Any] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in seen:
                    raise RefusedYaml(problem=f"the key {key.value[:40]!r} is given twice", problem_mark=key.start_mark)
                seen.add((key.tag, key.value))
        return super().construct_mapping(node, deep)


def read_yaml(text: str, where: str) -> Any:
    """The plain data of a YAML text: mappings, lists, text, numbers, true, false and null.

    Args:
        text: one document.
        where: its file, for complaints.

    Raises:
        InputError: no YAML, several documents, aliases, a key given twice, nested too deep, or too long.
    """
    if len(text) > LARGEST:
        raise InputError(f"{where} is longer than {LARGEST >> 20} MiB, which no file of settings is; give another file")
    try:
        return yaml.load(text, Loader)
    except (yaml.YAMLError, RecursionError, ValueError, TypeError, AttributeError, ArithmeticError) as error:
        mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
        line = "" if mark is None else f" in line {mark.line + 1}"
        problem = (error.problem if isinstance(error, yaml.MarkedYAMLError) else None) or "it cannot be parsed"
        what = "cannot be used as settings" if isinstance(error, RefusedYaml) else "is not YAML"
        raise InputError(f"{where} {what}{line}: {' '.join(problem.split())[:200]}; write lines such as steps: 25") from error
