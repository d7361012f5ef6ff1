"""Images side by side, each with its own stated gain, and RGB frames side by side."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from .figure import dark_figure, drawable, save_png


@dataclass(frozen=True)
class Column:
    """One image of a panel.

    Args:
        title: the text above it.
        image: (h, w) real.
        peak: the value shown white; 0 is black.
    """

    title: str
    image: Tensor = field(repr=False)
    peak: float


def panel(columns: Sequence[Column], path: Path, *, title: str = "", rows: int = 1) -> None:
    """Writes a PNG of grey images side by side.

    Args:
        columns: the images, row after row.
        path: the file to write.
        title: of the figure.
        rows: the number of rows.
    """
    count = -(-len(columns) // rows)
    height, width = columns[0].image.shape
    figure, axes = dark_figure(rows, count, (2.8 * count, 2.8 * height / width * rows + 0.45), title)
    for place, column in zip(axes, columns, strict=False):
        place.imshow(column.image.numpy(), cmap="gray", vmin=0, vmax=max(column.peak, 1e-30), interpolation="nearest")
        place.set_title(drawable(column.title), color="white", fontsize=10, parse_math=False)
    save_png(figure, path)


def frames_panel(rows: Sequence[Sequence[tuple[str, Tensor]]], path: Path, *, title: str = "") -> None:
    """Writes a PNG of RGB frames side by side.

    Args:
        rows: of as many frames each, a frame being (title, (3, height, width) uint8).
        path: the file to write.
        title: of the figure.
    """
    _, height, width = rows[0][0][1].shape
    size = (4.2 * len(rows[0]), (4.2 * height / width + 0.3) * len(rows) + 0.3)
    figure, axes = dark_figure(len(rows), len(rows[0]), size, title)
    for place, (words, frame) in zip(axes, [frame for row in rows for frame in row], strict=True):
        place.imshow(frame.permute(1, 2, 0).numpy(), interpolation="nearest")
        place.set_title(drawable(words), color="white", fontsize=10, parse_math=False)
    save_png(figure, path)
