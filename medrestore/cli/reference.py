"""`python -m medrestore.cli.reference`: docs/reference.md, all options and YAML keys with their types, bounds and defaults."""

from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args

from ..plugins import GROUPS, installed
from ..settings import default_of, described, documented, hints, is_required, plain
from .command import Command
from .main import COMMANDS

PLACE = Path(__file__).parents[2] / "docs" / "reference.md"
HEAD = """# Reference of options

Made by `python -m medrestore.cli.reference` from the dataclasses that the commands are made of; a test keeps it up to date.
An option of `recon` or `inpaint` is a key of its YAML too (`--config`), with _ for -, and `--print_schema` prints the JSON
schema that editors complete and check such YAML by. `null` may be written `none` or `off`.
"""


def page() -> str:
    """The whole page, Markdown."""
    parts = [HEAD]
    for command in COMMANDS.values():
        parts += [f"## medrestore {command.name}", "", command.summary, "", *_table_lines(_options(command), "option"), ""]
        for title, kind in (command.files() if command.files is not None else {}).items():
            parts += [f"### YAML: {title}", "", *_tables_of(kind, set())]
    found = [f"| `{one.name}` | {one.kind.removesuffix('s')} | {one.package} |"
             for group in GROUPS for one in installed(group).values()]
    if found:
        parts += ["## Plugins", "", "Of other packages that are installed.", "", "| name | kind | package |", "|---|---|---|",
                  *found, ""]
    return "\n".join(parts)


def _options(command: Command[Any]) -> Iterator[tuple[str, str, str, str]]:
    for one in command.options.values():
        name = one.flag if one.positional else ", ".join(one.flags)
        default = "required" if one.required else _value_text(one.default)
        yield name, described(one.hint), default, command.mentions(one.help)


def _tables_of(kind: type, shown: set[type]) -> Iterator[str]:
    """The table of a dataclass, then those of the dataclasses in its fields, each once."""
    shown.add(kind)
    rows = [(one.name, _described(hints(kind)[one.name]), "required" if is_required(one) else _value_text(plain(default_of(one))),
             documented(kind).get(one.name, "")) for one in fields(kind)]
    yield from [f"`{kind.__name__}`", "", *_table_lines(rows, "key"), ""]
    for inner in (part for one in fields(kind) for part in _dataclasses(hints(kind)[one.name])):
        if inner not in shown:
            yield from _tables_of(inner, shown)


def _dataclasses(hint: Any) -> Iterator[type]:
    if isinstance(hint, type) and is_dataclass(hint):
        yield hint
    for part in get_args(hint):
        yield from _dataclasses(part)


def _described(hint: Any) -> str:
    inner = [kind.__name__ for kind in _dataclasses(hint)]
    return " or ".join(f"`{name}`" for name in dict.fromkeys(inner)) if inner else described(hint)


def _value_text(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = str(value)
    return text if len(text) < 60 else "..."


def _table_lines(rows: "Iterator[tuple[str, str, str, str]] | Sequence[tuple[str, str, str, str]]", first: str) -> list[str]:
    lines = [f"| {first} | type | default | meaning |", "|---|---|---|---|"]
    for name, *cells in rows:
        lines.append(f"| `{name}` | " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return lines if len(lines) > 2 else ["It has no options."]


if __name__ == "__main__":
    PLACE.write_text(page(), encoding="utf-8")
