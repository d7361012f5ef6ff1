"""Colours of the report: by name, readable with every kind of colour vision, or in grey."""

from dataclasses import dataclass

PROPERTY = "-" * 2 + "series-"  # of the style sheet, up to the number
ERRORS = "inferno"  # of matplotlib, as bright as it is large, so that it is right in grey as well
NAME, GREY = "Okabe-Ito", "grey"


@dataclass(frozen=True)
class Palette:
    """Colours of the lines of plots, eight each.

    Attributes:
        light, dark: on a light and on a dark ground.
    """

    light: tuple[str, ...]
    dark: tuple[str, ...]

    def style(self, colours: tuple[str, ...]) -> str:
        """Colours as properties of a style sheet, series-0 to series-7."""
        return " ".join(f"{PROPERTY}{number}: {colour};" for number, colour in enumerate(colours))


COLOURS = Palette(  # the hues of Okabe & Ito (2008), darker on light and lighter on dark ground, where lines need contrast
    ("#0f6cab", "#d05a12", "#12866a", "#a8488f", "#3c9fd0", "#a97908", "#6a7480", "#8a2846"),
    ("#5aaeec", "#f58a4b", "#45c4a0", "#dd92c8", "#9ad4f2", "#e3bd55", "#a6b0ba", "#e0718f"))
GREYS = Palette(
    ("#111111", "#767676", "#3d3d3d", "#8c8c8c", "#262626", "#6a6a6a", "#525252", "#808080"),
    ("#f5f5f5", "#8e8e8e", "#c9c9c9", "#7c7c7c", "#e0e0e0", "#9e9e9e", "#b4b4b4", "#888888"))
