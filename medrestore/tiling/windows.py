"""Where the windows of a picture lie, in which order they may be restored, and many of their problems as one."""

from collections.abc import Iterable, Sequence
from itertools import product
from typing import Literal

import torch
from scipy import ndimage
from torch import Tensor

from ..operators import Window

Size = tuple[int, int]
Layout = Literal["auto", "raster", "holes"]
RING = 16  # a hole is seen with a window's 16th of its surroundings or more, where the picture has them
SPECKS = 4  # more holes than this in each window of the raster are not worth gathering


def raster(size: Size, window: Size, shift: Size) -> list[Window]:
    """Windows over the whole picture, row by row; the last of each row and column is moved back inside.

    Raises:
        ValueError: a window is larger than the picture, or the shift leaves gaps.
    """
    if any(w > n for w, n in zip(window, size, strict=True)):
        raise ValueError(f"a window of {window} pixels does not fit into a picture of {size}; take a smaller window")
    if any(not 0 < s <= w for s, w in zip(shift, window, strict=True)):
        raise ValueError(f"a shift of {shift} pixels leaves gaps between windows of {window}; take 1 to the window's side")
    rows, columns = ([*range(0, n - w, s), n - w] for n, w, s in zip(size, window, shift, strict=True))
    return _placed(product(rows, columns), window)


def core(here: Window, size: Size, halo: int) -> Window:
    """The pixels that a window settles: all of it but a halo at those of its edges that lie inside the picture."""
    rows, columns = (slice(side.start + (halo if side.start > 0 else 0), side.stop - (halo if side.stop < n else 0))
                     for side, n in zip(here, size, strict=True))
    return rows, columns


def plan(unknown: Tensor, window: Size, shift: Size, *, grain: int = 1, layout: Layout = "auto",
         halo: int = 0) -> list[Window]:
    """The windows to restore, in order, so that every unknown pixel lies in one.

    Windows in which nothing is left unknown once those before them are done are not visited.

    Args:
        unknown: (height, width) bool.
        grain: windows begin at multiples of it; height, width, window and shift are such multiples.
        layout: "raster" is the grid of the paper. "holes" centres a window on each hole, or on several holes that it can
            hold, and a grid on each hole that it cannot. "auto" takes the holes unless the raster needs fewer windows, or
            finds many holes in each.
        halo: of the operators (`LocalOperator.halo`); with one it is always the raster.
    """
    unknown = unknown.cpu()
    size = (unknown.shape[0], unknown.shape[1])
    grid = _needed(raster(size, window, shift), unknown, halo)
    if halo > 0 or layout == "raster" or bool(unknown.all()):
        return grid
    boxes = holes(unknown, window, grain)
    if layout == "auto" and len(boxes) > SPECKS * len(grid):
        return grid
    centred = _needed(_around(_gathered(boxes, window), size, window, shift, grain), unknown)
    return centred if layout == "holes" or len(centred) <= len(grid) else grid


def holes(unknown: Tensor, window: Size, grain: int = 1) -> list[Window]:
    """The box around each hole and a ring of its surroundings, of a RING-th of a window; edges are multiples of the grain."""
    size = (unknown.shape[0], unknown.shape[1])
    return [_grown(box, size, window, grain) for box in ndimage.find_objects(ndimage.label(unknown.cpu().numpy())[0])]


def waves(windows: Sequence[Window]) -> list[list[Window]]:
    """Windows that may be restored together: none overlaps another, and all that come before and overlap are done.

    Taking the waves in turn gives what taking the windows in turn gives.
    """
    depth: list[int] = []
    for i, window in enumerate(windows):
        depth.append(1 + max((depth[j] for j in range(i) if _overlap(window, windows[j])), default=-1))
    together: list[list[Window]] = [[] for _ in range(max(depth, default=-1) + 1)]
    for window, wave in zip(windows, depth, strict=True):
        together[wave].append(window)
    return together


def settled_by(windows: Iterable[Window], unknown: Tensor) -> Tensor:
    """(height, width) int: which of the windows, taken in turn, settles each unknown pixel; -1 where none does."""
    owner = torch.full(unknown.shape, -1, device=unknown.device)
    for i, here in enumerate(windows):
        owner[here] = torch.where(unknown[here] & (owner[here] < 0), i, owner[here])
    return owner


def seam_ratio(image: Tensor, owner: Tensor) -> float:
    """Gradient where two windows meet over gradient inside them, root mean square: 1 where no seam shows.

    Args:
        image: (..., height, width).
        owner: the window that settled each pixel (`settled_by`); what none has counts as neither.
    """
    across: list[Tensor] = []
    inside: list[Tensor] = []
    for axis in (-2, -1):
        steps = image.diff(dim=axis).square().flatten(0, -3)
        first, second = (owner.narrow(axis, start, owner.shape[axis] - 1) for start in (0, 1))
        both = (first >= 0) & (second >= 0)
        across.append(steps[:, both & (first != second)].flatten())
        inside.append(steps[:, both & (first == second)].flatten())
    return float((torch.cat(across).mean() / torch.cat(inside).mean()).sqrt())


def _placed(corners: Iterable[tuple[int, int]], window: Size) -> list[Window]:
    return [(slice(top, top + window[0]), slice(left, left + window[1])) for top, left in corners]


def _needed(windows: Iterable[Window], unknown: Tensor, halo: int = 0) -> list[Window]:
    """Those windows that find something unknown to settle when taken in turn."""
    left, needed = unknown.clone(), []
    for window in windows:
        settled = core(window, (unknown.shape[0], unknown.shape[1]), halo)
        if bool(left[settled].any()):
            needed.append(window)
            left[settled] = False
    return needed


def _grown(box: Window, size: Size, window: Size, grain: int) -> Window:
    """The box with a ring around it, out to multiples of the grain, inside the picture."""
    grown = []
    for side, n, w in zip(box, size, window, strict=True):
        ring = max(1, w // RING)
        first, last = max(side.start - ring, 0), min(side.stop + ring, n)
        grown.append(slice(first // grain * grain, min(-(-last // grain) * grain, n)))
    return grown[0], grown[1]


def _gathered(boxes: Iterable[Window], window: Size) -> list[Window]:
    """Boxes that one window can hold together, or that lie in another, as one."""
    gathered: list[Window] = []
    for box in boxes:
        for i, other in enumerate(gathered):
            rows, columns = (slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(box, other, strict=True))
            both = rows, columns
            if both == other or all(side.stop - side.start <= w for side, w in zip(both, window, strict=True)):
                gathered[i] = both
                break
        else:
            gathered.append(box)
    return gathered


def _around(boxes: Iterable[Window], size: Size, window: Size, shift: Size, grain: int) -> list[Window]:
    """For each box as few windows as cover it, centred on it as far as the picture allows; row by row."""
    placed: set[tuple[int, int]] = set()
    for box in boxes:
        starts = []
        for side, n, w, s in zip(box, size, window, shift, strict=True):
            length = side.stop - side.start
            count = 1 + max(0, -(-(length - w) // s))
            spare = w + (count - 1) * s - length
            first = side.start - spare // 2 // grain * grain
            starts.append([min(max(first + i * s, 0), n - w) for i in range(count)])
        placed.update(product(*starts))
    return _placed(sorted(placed), window)


def _overlap(a: Window, b: Window) -> bool:
    return all(one.start < other.stop and other.start < one.stop for one, other in zip(a, b, strict=True))
