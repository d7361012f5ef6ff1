"""Puts measured text where a page waits for it, and rows of scores into tables."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any


def fill(page: Path, name: str, text: str) -> None:
    """Replaces what stands between `<!-- name:begin -->` and `<!-- name:end -->`."""
    before = page.read_text()
    pattern = re.compile(rf"(<!-- {name}:begin -->\n).*?(\n?<!-- {name}:end -->)", re.DOTALL)
    if not pattern.search(before):
        raise ValueError(f"{page} has no place for {name}")
    page.write_text(pattern.sub(lambda found: found[1] + text + "\n" + found[2].lstrip(), before))


def grid(rows: Sequence[Mapping[str, Any]], show: Mapping[str, int], *, title: Callable[[str], str] = str) -> str:
    """Means over the rows of each method and setting, methods as lines and settings as columns; "-" where there are none.

    Args:
        show: metrics and their digits, in the order in which a cell has them.
        title: what a method is called.
    """
    settings, methods = (list(dict.fromkeys(row[key] for row in rows)) for key in ("setting", "method"))
    lines = ["| method | " + " | ".join(settings) + " |", "|---" * (len(settings) + 1) + "|"]
    for method in methods:
        cells = []
        for setting in settings:
            own = [row for row in rows if (row["method"], row["setting"]) == (method, setting)]
            cells.append(" / ".join(f"{fmean(row[key] for row in own):.{n}f}" for key, n in show.items()) if own else "-")
        lines.append(f"| {title(method)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
