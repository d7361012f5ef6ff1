"""Dark matplotlib figures of images in rows and columns, written as PNG."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

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
        figure.suptitle(title, color="white", fontsize=9)
    return figure, axes


def save_png(figure: "Figure", path: Path) -> None:
    """Writes a figure aside and renames it; folders are made."""
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(part, format="png", dpi=110)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
