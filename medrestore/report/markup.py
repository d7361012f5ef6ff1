"""Text, tables and definition lists as HTML; all text of users is escaped."""

import html
import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from ..errors import InputError

_STRONG = re.compile(r"\*\*(?=\S)(.+?)(?<=\S)\*\*")
_UNDERLINED = re.compile(r"(?<!\w)__(?=\S)((?:[^<]|<strong>[^<]*</strong>)+?)(?<=\S)__(?!\w)")
_NUMBER = re.compile(r"[*_\[(]*\s*[-+−±<>≤≥≈]?\s*\.?\d")
_NOTHING = {"", "-", "–", "—", "n/a", "nan"}


@dataclass(frozen=True)
class Table:
    """A table in words.

    Args:
        caption: what stands above it.
        header: one word for each column.
        lines: the cells, line by line; `**x**` marks the best and `__x__` the second best.

    Raises:
        InputError: a line is shorter or longer than the header.
    """

    caption: str
    header: Sequence[str]
    lines: Sequence[Sequence[str]]

    def __post_init__(self) -> None:
        for number, line in enumerate(self.lines, 1):
            if len(line) != len(self.header):
                raise InputError(f"table {self.caption!r}: line {number} has {len(line)} cells, the header {len(self.header)}; "
                                 "give one cell for each column.")


def text(value: object) -> str:
    """A value as text that is safe between tags and inside double quotes."""
    return html.escape(str(value), quote=True)


def marked(value: object) -> str:
    """`text`, with `**x**` set strong and `__x__` underlined."""
    return _UNDERLINED.sub(r"<u>\1</u>", _STRONG.sub(r"<strong>\1</strong>", text(value)))


def paragraphs(value: str) -> str:
    """Text in paragraphs, which blank lines divide."""
    return "\n".join(f"<p>{marked(part.strip())}</p>" for part in re.split(r"\n\s*\n", value) if part.strip())


def heading(level: int, name: str, title: str) -> str:
    """A heading with a link to itself."""
    return (f'<h{level} id="{name}">{text(title)} '
            f'<a class="anchor" href="#{name}" aria-label="Link to this place">#</a></h{level}>')


def table(given: Table, name: str) -> str:
    """A table under its caption, which scrolls sideways on its own; columns of numbers are set flush right."""
    return (f'<section class="tabled">{heading(3, name, given.caption)}\n'
            f"{grid(given.header, given.lines, label=given.caption)}</section>")


def grid(header: Sequence[str], lines: Sequence[Sequence[str]], *, label: str) -> str:
    """The bare table; the first column names the line."""
    flush = [column > 0 and _all_numbers([line[column] for line in lines]) for column in range(len(header))]
    head = "".join(f'<th scope="col"{_class(right)}>{text(cell)}</th>' for cell, right in zip(header, flush, strict=True))
    body = "\n".join(f"<tr{_group(lines, number)}>{_table_row(line, flush)}</tr>" for number, line in enumerate(lines))
    return (f'<div class="scroll" role="region" tabindex="0" aria-label="{text(label)}"><table>\n'
            f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>")


def definitions(values: Mapping[Any, Any]) -> str:
    """A definition list; mappings inside become lists of their own."""
    lines = "\n".join(f"<div><dt>{text(name)}</dt><dd>{_as_html(value)}</dd></div>" for name, value in values.items())
    return f"<dl>\n{lines}\n</dl>"


def _as_html(value: Any) -> str:
    if value is None or value is True or value is False:
        return {None: "none", True: "yes", False: "no"}[value]
    if isinstance(value, Mapping):
        return definitions(value) if value else "none"
    if isinstance(value, Sequence | Set) and not isinstance(value, str | bytes):
        items = [_as_html(item) for item in value]
        if isinstance(value, Set):
            items.sort()  # a set has no order, and the same report must have the same bytes
        if not any(isinstance(item, Mapping | list | tuple) for item in value):
            return ", ".join(items) or "none"
        return "<ul>" + "".join(f"<li>{item}</li>" for item in items) + "</ul>"
    words = text(value)
    return f"<pre>{words}</pre>" if "\n" in words else words


def _all_numbers(cells: Sequence[str]) -> bool:
    filled = [cell for cell in map(str, cells) if cell.strip().lower() not in _NOTHING]
    return bool(filled) and all(_NUMBER.match(cell) for cell in filled)


def _table_row(cells: Sequence[str], flush: Sequence[bool]) -> str:
    first = "".join(f'<th scope="row">{marked(cell)}</th>' for cell in cells[:1])
    return first + "".join(f"<td{_class(right)}>{marked(cell)}</td>" for cell, right in zip(cells[1:], flush[1:], strict=True))


def _group(lines: Sequence[Sequence[str]], number: int) -> str:
    """Lines that share their first cell stand together: the name is faint where it repeats, and a rule parts the groups."""
    if number == 0 or not lines[number]:
        return ""
    if lines[number][0] == lines[number - 1][0]:
        return ' class="again"'
    return ' class="parted"' if any(line[0] == before[0] for line, before in pairwise(lines)) else ""


def _class(right: bool) -> str:
    return ' class="number"' if right else ""
