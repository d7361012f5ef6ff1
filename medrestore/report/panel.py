"""Images side by side, each with its own stated gain."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from .figure import save_png


@dataclass(frozen=True)
class Column:
    """One image of a panel.

    Args:
        title: what stands above it.
        image: (h, w) real.
        peak: the value shown white; 0 is black.
    """

    title: str
    image: Tensor
    peak: float


def panel(columns: Sequence[Column], path: Path, *, title: str = "", rows: int = 1) -> None:
    """Writes a PNG of the images side by side, aside first and then renamed.

    Args:
        columns: the images, row after row.
        path: where to.
        title: of the whole.
        rows: how many rows to break them into.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    count = -(-len(columns) // rows)
    height, width = columns[0].image.shape
    figure = Figure(figsize=(2.8 * count, 2.8 * height / width * rows + 0.45), layout="constrained", facecolor="black")
    FigureCanvasAgg(figure)
    for place, column in zip(figure.subplots(rows, count, squeeze=False).flat, columns, strict=False):
        place.imshow(column.image.numpy(), cmap="gray", vmin=0, vmax=max(column.peak, 1e-30), interpolation="nearest")
        place.set_title(column.title, color="white", fontsize=10)
    for place in figure.axes:
        place.set_axis_off()
    if title:
        figure.suptitle(title, color="white", fontsize=9)
    save_png(figure, path)
