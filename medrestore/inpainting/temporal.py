"""What other frames of a scene show of the hidden pixels of one, where the camera stands still."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..io.scenes.base import Scene

STILL = 0.5  # pixels: a camera that moves by less, anywhere in the picture, stands still
LIKE = 8.0  # grey levels of mean difference; more than motion of under a pixel and a change of light explain
CUT = 24.0  # grey levels of mean difference of the coarse pictures: another view
STEADY = 8.0  # grey levels, std over time, up to which a pixel counts as background
RIM = 3  # pixels around what hides that are not trusted: its shadow and blur
COARSE = 16  # pixels a side of the patches that cuts are seen by
SMOOTH = 5  # pixels a side of the mean that motion is measured on, against noise


@dataclass(frozen=True)
class KnownFrame:
    """A frame (3, height, width) uint8, and where it is known, (height, width) bool."""

    frame: Tensor
    known: Tensor

    @property
    def grey(self) -> Tensor:
        """(1, 1, height, width) float32, 0 to 255."""
        return self.frame.float().mean(0)[None, None]

    @property
    def trusted(self) -> Tensor:
        """Where it is known and nothing that hides is near, (height, width) bool."""
        return ~_wider(~self.known, RIM)


class Background:
    """Mean and spread over time at each pixel, in the memory of one picture."""

    def __init__(self, size: tuple[int, int]) -> None:
        self._mean, self._squares, self._count = torch.zeros(3, *size), torch.zeros(size), torch.zeros(size)

    def add(self, view: KnownFrame) -> None:
        """Takes in what a frame shows (Welford's update, which does not cancel)."""
        seen = view.trusted
        self._count += seen
        off = torch.where(seen, view.frame.float() - self._mean, 0.0)
        self._mean += off / self._count.clamp(min=1)
        self._squares += torch.where(seen, (off * (view.frame.float() - self._mean)).mean(0), 0.0)

    def fill(self, view: KnownFrame) -> KnownFrame:
        """The frame with hidden pixels that others steadily show filled in, and known there as well."""
        steady = (self._count > 0) & (self._squares <= STEADY**2 * self._count)
        filled = ~view.known & steady
        return KnownFrame(torch.where(filled, self._mean.round().to(torch.uint8), view.frame), view.known | filled)


@dataclass(frozen=True)
class Stretch:
    """Frames in a row, first to last - 1, during which the camera stands still, and what they show together.

    Attributes:
        after_cut: whether the frame before, if any, shows another view.
    """

    first: int
    last: int
    background: Background
    after_cut: bool


def stretches(scene: Scene) -> Iterator[Stretch]:
    """The stretches of a scene in order; each frame is read once, and one background is in memory.

    A camera that moves slowly gives many short ones, one that moves fast gives one a frame.
    """
    anchor = previous = view(scene, 0)
    first, after_cut, background = 0, True, Background(scene.size)
    background.add(anchor)
    for index in range(1, scene.count):
        now = view(scene, index)
        if not stands_still(anchor, now):
            yield Stretch(first, index, background, after_cut)
            first, after_cut, anchor, background = index, is_cut(previous, now), now, Background(scene.size)
        background.add(now)
        previous = now
    yield Stretch(first, scene.count, background, after_cut)


def view(scene: Scene, index: int) -> KnownFrame:
    """Frame `index` with its mask."""
    return KnownFrame(scene.frame(index), scene.mask(index)[0])


def stands_still(one: KnownFrame, other: KnownFrame) -> bool:
    """Whether two frames agree but for a motion of less than STILL pixels; False if they share nothing."""
    both = one.trusted & other.trusted
    difference = (other.grey - one.grey)[0, 0]
    if not bool(both.any()) or float(difference[both].abs().mean()) > LIKE:
        return False
    return motion(one, other) < STILL


def motion(one: KnownFrame, other: KnownFrame) -> float:
    """How far the picture has moved, in pixels, at the corner that moved most: by shift, turn and zoom.

    Least squares of the change against the gradients: Lucas & Kanade, IJCAI 1981, with an affine field and a
    change of light. Exact for small motion; a large one is underestimated, but leaves frames that differ.
    """
    a, b = (F.avg_pool2d(z, SMOOTH, 1, SMOOTH // 2) for z in (one.grey, other.grey))
    both = ~_wider(~(one.known & other.known), RIM + SMOOTH // 2 + 1)
    height, width = both.shape
    mean = (a + b)[0, 0] / 2
    inner = slice(SMOOTH, -SMOOTH), slice(SMOOTH, -SMOOTH)
    use = both[inner][::2, ::2]
    if not bool(use.any()):
        return 0.0
    gy, gx = ((z[inner][::2, ::2])[use].double() for z in torch.gradient(mean))
    y, x = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    y, x = (z[inner][::2, ::2][use].double() for z in (y, x))
    change = -(b - a)[0, 0][inner][::2, ::2][use].double()
    columns = torch.stack([gx, gx * x, gx * y, gy, gy * x, gy * y, torch.ones_like(gx)], 1)
    normal = columns.mT @ columns
    ridge = (
        1e-3 * len(columns) * torch.eye(7, dtype=torch.float64)
    )  # a picture without texture does not seem to move
    found = torch.linalg.solve(normal + ridge, columns.mT @ change)[:6].reshape(2, 3)
    corners = torch.tensor([[1.0, 1, 1, 1], [-1, -1, 1, 1], [-1, 1, -1, 1]], dtype=torch.float64)
    return float((found @ corners).norm(dim=0).max())


def is_cut(one: KnownFrame, other: KnownFrame) -> bool:
    """Whether coarse pictures of what both frames know differ, or they share nothing: another view."""
    both = (one.known & other.known).float()[None, None]
    weight = F.avg_pool2d(both, COARSE, ceil_mode=True)
    a, b = (
        F.avg_pool2d(both * z.grey, COARSE, ceil_mode=True) / weight.clamp(min=1e-6) for z in (one, other)
    )
    seen = weight > 0.25
    return not bool(seen.any()) or float((a - b).abs()[seen].mean()) > CUT


def _wider(region: Tensor, by: int) -> Tensor:
    """A region (height, width) and all within `by` pixels of it, along rows and columns."""
    return F.max_pool2d(region.float()[None, None], 2 * by + 1, 1, by)[0, 0] > 0
