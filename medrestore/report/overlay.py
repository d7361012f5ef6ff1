"""A frame with the hole of its mask marked in colour."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ..files import write_file
from ..io.scenes.writer import encode_png

GAP = 4  # pixels between frames
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


def write_overlay(path: Path, frame: Tensor, known: Tensor, *others: Tensor) -> None:
    """`overlay` as png, and to its right other frames of the same size.

    Raises:
        InputError: it cannot be written.
    """
    shown = [overlay(frame, known)]
    for other in others:
        shown += [frame.new_full((3, frame.shape[1], GAP), 255), other]
    write_file(path, encode_png(torch.cat(shown, 2).permute(1, 2, 0).contiguous().numpy()))
