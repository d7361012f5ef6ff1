"""Trajectories through k-space: (readout, sample, 2), (row, column) in cycles per field of view.

That is the one unit of trajectories in the library: integers are the points of a Cartesian grid, and an image of h x w pixels
resolves -h / 2 to h / 2 along its rows and -w / 2 to w / 2 along its columns.
"""

import math

import torch
from torch import Tensor

from ..errors import InputError

GOLDEN = math.pi * (5**0.5 - 1) / 2  # between spokes, radians: Winkelmann et al., IEEE TMI 26:68, 2007
OVERSAMPLING = 2  # samples a cycle along a spoke


def radial(spokes: int, shape: tuple[int, int], *, golden: bool = True, samples: int | None = None) -> Tensor:
    """Lines through the centre, which their sample number samples // 2 is.

    Args:
        shape: (height, width) of the image.
        golden: golden angles; else equal ones over half a turn.
        samples: of each spoke; by default two for each pixel of the longer side.

    Raises:
        InputError: numbers below 1.
    """
    samples = OVERSAMPLING * max(shape) if samples is None else samples
    _check(shape, spokes=spokes, samples=samples)
    angles = torch.arange(spokes, dtype=torch.float64) * (GOLDEN if golden else math.pi / spokes)
    along = (torch.arange(samples, dtype=torch.float64) - samples // 2) / samples
    return _of(along * angles.sin()[:, None], along * angles.cos()[:, None], shape)


def spiral(interleaves: int, shape: tuple[int, int], *, turns: float | None = None, samples: int | None = None,
           power: float = 1.0) -> Tensor:
    """Archimedean spirals from the centre to the edge, each turned by the same angle from the last.

    Args:
        shape: (height, width) of the image.
        turns: of each interleaf; by default those that leave one cycle from one to the next.
        samples: of each interleaf; by default two for each cycle of its outermost turn, over all turns.
        power: the radius grows as that power of the angle: above 1 the centre is sampled more densely than the edge.

    Raises:
        InputError: numbers below 1, or not positive.
    """
    radius = max(shape) / 2
    turns = radius / interleaves if turns is None and interleaves > 0 else turns or 0.0
    samples = math.ceil(2 * math.pi * radius * max(turns, 1)) if samples is None else samples
    _check(shape, interleaves=interleaves, samples=samples, turns=turns, power=power)
    part = torch.linspace(0, 1, samples, dtype=torch.float64)
    out = 0.5 * part**power
    angles = 2 * math.pi * (turns * part + torch.arange(interleaves, dtype=torch.float64)[:, None] / interleaves)
    return _of(out * angles.sin(), out * angles.cos(), shape)


def rosette(petals: int, shape: tuple[int, int], *, samples: int | None = None, ratio: float = GOLDEN) -> Tensor:
    """Curves that pass through the centre again and again: k = sin(w1 t) exp(i w2 t). Noll, IEEE TMI 16:372, 1997.

    Args:
        petals: readouts, each from the edge through the centre to the other edge.
        shape: (height, width) of the image.
        samples: of each petal; by default four for each pixel of the longer side.
        ratio: radians that the curve turns from one petal to the next.

    Raises:
        InputError: numbers below 1, or not positive.
    """
    samples = 2 * OVERSAMPLING * max(shape) if samples is None else samples
    _check(shape, petals=petals, samples=samples, ratio=ratio)
    time = (torch.arange(samples, dtype=torch.float64) / samples - 0.5 + torch.arange(petals, dtype=torch.float64)[:, None])
    out, angles = 0.5 * torch.sin(math.pi * time), ratio * time
    return _of(out * angles.sin(), out * angles.cos(), shape)


def points_of(mask: Tensor, shape: tuple[int, int]) -> Tensor:
    """(readout, sample, 2): the points that a Cartesian mask, (1, w) or (h, w), samples; a readout for each column.

    Raises:
        InputError: columns with different numbers of points, which make no readouts of one length.
    """
    height, width = shape
    sampled = mask.detach().cpu().expand(height, width) > 0
    columns = sampled.any(0).nonzero()[:, 0]
    counts = sampled[:, columns].sum(0)
    if len(columns) == 0 or int(counts.min()) < int(counts.max()):
        raise InputError("a mask whose columns have different numbers of points has no readouts of one length; give its points "
                         "as readouts of one sample")
    rows = torch.stack([sampled[:, column].nonzero()[:, 0] for column in columns])
    return torch.stack([rows - height // 2, (columns - width // 2)[:, None].expand_as(rows)], -1).float()


def _of(rows: Tensor, columns: Tensor, shape: tuple[int, int]) -> Tensor:
    """From parts of the sides of k-space, -0.5 to 0.5, to cycles per field of view."""
    return torch.stack([rows * shape[0], columns * shape[1]], -1).float()


def _check(shape: tuple[int, int], **numbers: float) -> None:
    if len(shape) != 2 or min(shape) < 1:
        raise InputError(f"a trajectory is made for a (height, width) of positive integers, not {shape}")
    for name, value in numbers.items():
        whole = name in ("spokes", "samples", "interleaves", "petals")
        if not math.isfinite(value) or value <= 0 or (whole and value < 1):
            raise InputError(f"{name} is {value}, and must be {'at least 1' if whole else 'positive'}")
