"""A trajectory through k-space as a picture."""

from pathlib import Path

import torch
from torch import Tensor

from .figure import dark_figure, save_png

MOST = 400  # readouts that are drawn, evenly chosen of more


def draw_trajectory(trajectory: Tensor, mask: Tensor, shape: tuple[int, int], path: Path) -> None:
    """Writes a PNG of the readouts, the first one bright, in the square of k-space that the pixels resolve.

    Args:
        trajectory: (readout, sample, 2), (row, column) in cycles per field of view.
        mask: (readout, sample), 0 where nothing was measured.
        shape: (height, width) of the image.
        path: the file to write.
    """
    height, width = shape
    figure, (place,) = dark_figure(1, 1, (5.0, 5.0 * height / width + 0.4), f"{len(trajectory)} readouts, {height} x {width}")
    chosen = torch.linspace(0, len(trajectory) - 1, min(MOST, len(trajectory))).round().long().tolist()
    for number in reversed(chosen):
        taken = trajectory[number][mask[number] > 0].cpu().numpy()
        first = number == 0
        place.plot(taken[:, 1], taken[:, 0], color="white" if first else "#3a7ca5", linewidth=1.2 if first else 0.5)
    place.set_xlim(-width / 2, width / 2)
    place.set_ylim(height / 2, -height / 2)
    place.set_aspect("equal")
    save_png(figure, path)
