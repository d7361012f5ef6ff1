"""The style sheet and the script of the report."""

from importlib.resources import files

from .palettes import COLOURS, GREYS


def _text(name: str) -> str:
    """A file beside this module."""
    return "\n" + files(__package__).joinpath(name).read_text(encoding="utf-8")


STYLE, SCRIPT = _text("style.css"), _text("script.js")
for name, palette, colours in (("GREY_LIGHT", GREYS, GREYS.light), ("GREY_DARK", GREYS, GREYS.dark),
                               ("LIGHT", COLOURS, COLOURS.light), ("DARK", COLOURS, COLOURS.dark)):
    STYLE = STYLE.replace(name, palette.style(colours))
