"""Puts measured text where a page waits for it."""

import re
from pathlib import Path


def fill(page: Path, name: str, text: str) -> None:
    """Replaces what stands between `<!-- name:begin -->` and `<!-- name:end -->`."""
    before = page.read_text()
    pattern = re.compile(rf"(<!-- {name}:begin -->\n).*?(\n<!-- {name}:end -->)", re.DOTALL)
    if not pattern.search(before):
        raise ValueError(f"{page} has no place for {name}")
    page.write_text(pattern.sub(lambda found: found[1] + text + found[2], before))
