"""A frame with the hole of its mask marked in colour."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ..files import write_file
from ..io.scenes.writer import encode_png

TINT, EDGE = (255, 0, 0), (255, 255, 0)


def overlay(frame: Tensor, known: Tensor) -> Tensor:
    """The frame with all that is to be filled tinted red, and a yellow edge around it.

    Args:
        frame: (3, height, width) uint8.
        known: (height, width) bool.
    """
    hole = ~known
    tinted = (frame.float() + frame.new_tensor(TINT)[:, None, None]) / 2
    near_known = F.max_pool2d(known.float()[None, None], 3, 1, 1)[0, 0] > 0
    edge = frame.new_tensor(EDGE)[:, None, None]
    return torch.where(hole & near_known, edge, torch.where(hole, tinted.to(torch.uint8), frame))


def write_overlay(path: Path, frame: Tensor, known: Tensor) -> None:
    """`overlay` as png.

    Raises:
        InputError: it cannot be written.
    """
    write_file(path, encode_png(overlay(frame, known).permute(1, 2, 0).contiguous().numpy()))
