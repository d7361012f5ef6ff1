"""Dark matplotlib figures of images in rows and columns, written as PNG."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from ..files import new_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def dark_figure(rows: int, columns: int, size: tuple[float, float], title: str) -> "tuple[Figure, list[Axes]]":
    """A black figure of `size` (width, height) in inches, and its empty axes row after row."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained", facecolor="black")
    FigureCanvasAgg(figure)
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for place in axes:
        place.set_axis_off()
    if title:
        figure.suptitle(drawable(title), color="white", fontsize=9, parse_math=False)
    return figure, axes


def drawable(words: str) -> str:
    """A text that can be drawn: bytes of file names that are no text, and control signs, as replacement signs."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in words)


def save_png(figure: "Figure", path: Path) -> None:
    """Writes a figure as png; missing folders are created.

    Raises:
        InputError: it cannot be written.
    """
    with new_file(path) as temporary, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # it is drawn as a box
        figure.savefig(temporary, format="png", dpi=110)
