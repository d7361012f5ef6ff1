"""Images for the page: numbers in files, of which the browser shows the range that it is asked to show."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

BRIGHT = 0.998  # the share of pixels that are not shown white at first


@dataclass(frozen=True)
class View:
    """One image of one slice, as far as the page knows it.

    Attributes:
        title: what stands above it.
        number: of the slice.
        height, width: in pixels.
        channels: 1 or 3.
        bytes: whether its numbers are 8-bit grey levels; else float32.
        low, high: the range of its values: the least, and what few pixels exceed.
    """

    title: str
    number: int
    height: int
    width: int
    channels: int
    bytes: bool
    low: float
    high: float

    @property
    def name(self) -> str:
        """Of its file."""
        return f"{self.number:06d}-{self.title}"


def write_views(folder: Path, number: int, images: Mapping[str, "Tensor"]) -> list[View]:
    """Writes the images of a slice, (height, width) or (height, width, 3); returns what the page is told of them."""
    import torch

    views = []
    for title, image in images.items():
        height, width = image.shape[:2]
        values = image.contiguous() if image.dtype == torch.uint8 else image.float().contiguous()
        some = values.float().flatten()[:: max(1, values.numel() // 500_000)]
        high = 255.0 if image.dtype == torch.uint8 else float(torch.quantile(some, BRIGHT))
        low = 0.0 if image.dtype == torch.uint8 else float(some.min())
        view = View(title, number, height, width, 1 if image.ndim == 2 else image.shape[2], image.dtype == torch.uint8,
                    low, high)
        (folder / view.name).write_bytes(values.numpy().astype(values.numpy().dtype.newbyteorder("<")).tobytes())
        views.append(view)
    return views
