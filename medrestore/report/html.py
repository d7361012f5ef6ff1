"""One HTML file of results: tables, plots, panels of images, a slider, and the provenance.

The file needs nothing but itself: images are inside, no address is fetched, and its content security policy lets no script
run but the one that was written here. The same input gives the same bytes.
"""

import base64
import hashlib
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import InputError
from ..files import write_file
from . import palettes
from .curves import Curves, Point, plots
from .markup import Table, definitions, heading, paragraphs, table, text
from .page import SCRIPT, STYLE
from .pictures import Picture, panels

__all__ = ["Curves", "Picture", "Point", "Table", "write_report"]

NOTICE = "Research use only. Not a medical device."
PALETTES = f"""<fieldset class="palettes"><legend>Colours</legend>
<label><input type="radio" name="palette" checked> {palettes.NAME}, errors in {palettes.ERRORS}</label>
<label><input type="radio" name="palette" id="palette-grey"> {palettes.GREY}</label></fieldset>"""


def write_report(path: str | os.PathLike[str], *, title: str, summary: str, tables: Sequence[Table] = (),
                 curves: Sequence[Curves] = (), pictures: Sequence[Picture] = (), provenance: Mapping[str, Any] | None = None,
                 gain: float = 5.0) -> None:
    """Writes the report, pictures first; missing folders are created, and a part with nothing in it is left out.

    Args:
        path: the .html file.
        title: of the page.
        summary: what to take away; blank lines divide paragraphs, `**x**` is strong.
        tables: in their order.
        curves: a label keeps its colour in all of them.
        pictures: cases with a reference.
        provenance: what the numbers were made with, as deep as need be.
        gain: what the error maps are multiplied by.

    Raises:
        InputError: the gain is not above 0, or the file cannot be written.
    """
    if not (math.isfinite(gain) and gain > 0):
        raise InputError(f"the error maps cannot be multiplied by {gain}; give a gain above 0.")
    parts = {
        "pictures": ("Pictures", "\n".join(panels(given, f"picture-{number}", gain) for number, given in enumerate(pictures, 1))),
        "curves": ("Curves", f'<div class="plots">{plots(curves)}</div>' if curves else ""),
        "tables": ("Tables", "\n".join(table(given, f"table-{number}") for number, given in enumerate(tables, 1))),
        "provenance": ("Provenance", f'<div class="provenance">{definitions(provenance)}</div>' if provenance else ""),
    }
    page = _page_of_parts(title, summary, {name: part for name, part in parts.items() if part[1]})
    write_file(path, page.encode("utf-8", "replace"))  # a file name may hold bytes that are no text


def _page_of_parts(title: str, summary: str, parts: Mapping[str, tuple[str, str]]) -> str:
    links = "".join(f'<a href="#{name}">{words}</a>' for name, (words, _) in parts.items())
    sections = "\n".join(f'<section class="part">{heading(2, name, words)}\n{inside}\n</section>'
                         for name, (words, inside) in parts.items())
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_policy()}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{text(title)}</title>
<link rel="icon" href="data:,">
<style>{STYLE}</style>
</head>
<body>
<header class="top">
<h1>{text(title)}</h1>
<div class="summary">{paragraphs(summary)}</div>
<p class="notice">{NOTICE}</p>
<nav aria-label="Contents">{links}</nav>
{PALETTES if {"pictures", "curves"} & set(parts) else ""}
</header>
<main>
{sections}
</main>
<footer><p>{NOTICE}</p></footer>
<script>{SCRIPT}</script>
</body>
</html>
"""


def _policy() -> str:
    """Nothing may be fetched or sent; the one script is known by its hash, so no other can run."""
    digest = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode("ascii")
    return (f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
            "base-uri 'none'; form-action 'none'")
