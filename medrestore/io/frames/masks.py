"""Masks of known and hidden pixels. Files disagree about which is white, so the meaning must be stated.

Inside the library a mask has one name and one meaning: `known`, bool, True where the pixel was measured.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from ...errors import InputError
from ..guards import require
from .base import Frames, one_channel

MaskMeaning = Literal["hole", "keep"]  # what white (over THRESHOLD) means
THRESHOLD = 127
MOST_LISTED = 12  # levels of a mask that a message lists
GREY = (64, 191)  # what is between black and white even after lossy coding
EDGE = 2  # pixels to either side of an edge that lossy coding blurs
LOSSY_TOLERANCE = 8  # between the channels of a grey mask that was stored as a jpg or in a video


def check_meaning(meaning: str | None, where: str) -> MaskMeaning:
    """The meaning itself, refused unless it is one of `MaskMeaning`."""
    meanings: dict[str | None, MaskMeaning] = {known: known for known in get_args(MaskMeaning)}
    if meaning in meanings:
        return meanings[meaning]
    raise InputError(f"{where}: state what white means in this mask, 'hole' or 'keep'; "
                     "programs differ, and a guess would restore the wrong half.")


def to_known(mask: np.ndarray, meaning: MaskMeaning, where: str, *, lossless: bool = True,
             hole_values: Collection[int] = ()) -> np.ndarray:
    """(height, width) bool, True where the pixel is known, of a uint8 mask (height, width) or (height, width, channels).

    Channels must be equal. A mask has two levels, one black (up to 127) and one white; of a mask of labels, or a soft one,
    `hole_values` are the levels that hide.

    Raises:
        InputError: no meaning, a mask in colour, not 8 bits, other levels than two, or `hole_values` that a lossy format
            does not keep.
    """
    meaning = check_meaning(meaning, where)
    require(mask.dtype in (np.uint8, np.bool_), f"{where} holds {mask.dtype}; save the mask with 8 bits, 0 and 255.")
    if mask.dtype == np.bool_:
        mask = mask.astype(np.uint8) * 255
    mask = one_channel(mask, where, tolerance=0 if lossless else LOSSY_TOLERANCE)
    if hole_values:
        require(lossless, f"{where} is of a lossy format, which does not keep the levels of labels; save the mask as png.")
        return ~np.isin(mask, list(hole_values))
    (_check_levels if lossless else _check_lossy)(mask, where)
    white = mask > THRESHOLD
    return ~white if meaning == "hole" else white


def check_hole_values(values: Collection[int], meaning: str | None, where: str) -> None:
    """Refuses levels that are none of 8 bits, and those beside a meaning that they contradict."""
    require(all(0 <= value <= 255 for value in values),
            f"{where}: `hole_values` are grey levels from 0 to 255, got {sorted(values)}.")
    require(not values or meaning in (None, "hole"),
            f"{where}: `hole_values` say what is hidden, and `mask_means` says what is kept; leave one of them out.")


def runs(levels: Collection[int]) -> str:
    """Grey levels for people: 1-3, 255."""
    ordered, parts = sorted(set(levels)), list[list[int]]()
    for level in ordered:
        if parts and level == parts[-1][-1] + 1:
            parts[-1].append(level)
        else:
            parts.append([level])
    return ", ".join(f"{part[0]}-{part[-1]}" if len(part) > 1 else str(part[0]) for part in parts)


def _check_levels(mask: np.ndarray, where: str) -> None:
    """Refuses a mask that is not of one black and one white level."""
    levels = np.unique(mask)
    two = len(levels) == 2 and levels[0] <= THRESHOLD < levels[1]
    if two or set(levels.tolist()) <= {0, 255}:
        return
    if len(levels) <= MOST_LISTED:
        listed = ", ".join(map(str, levels))
        hidden = ",".join(str(level) for level in levels if level > 0)
    else:
        listed, hidden = f"{levels[0]} to {levels[-1]} ({len(levels)} of them)", "1-255 for all but black"
    raise InputError(f"{where} holds the grey levels {listed}: labels or a soft edge, and nothing tells which of them hide; "
                     f"state them, as `hole_values` {hidden}, or save it as 0 and 255.")


def _check_lossy(mask: np.ndarray, where: str) -> None:
    """Refuses a mask of a lossy format with areas, not edges, between black and white."""
    from scipy import ndimage

    grey = (mask >= GREY[0]) & (mask <= GREY[1])
    require(not ndimage.binary_erosion(grey, iterations=EDGE).any(),
            f"{where} holds areas of grey, labels or a soft edge, and nothing tells whether they hide; save it as png "
            "with 0 and 255.")


def hole_fraction(known: np.ndarray) -> float:
    """The share of the pixels that are hidden, 0 to 1."""
    return 1.0 - float(np.count_nonzero(known)) / known.size


class Masks:
    """The masks of a scene, read one at a time as `known`; a single one serves all frames.

    Args:
        frames: the masks as stored.
        meaning: what white means in them.
        hole_values: the levels that hide, of masks of labels and of soft ones; `meaning` is "hole" then.
    """

    def __init__(self, frames: Frames, meaning: MaskMeaning | None, *, hole_values: Collection[int] = ()):
        check_hole_values(hole_values, meaning, frames.where)
        self.frames, self.hole_values = frames, tuple(hole_values)
        self.meaning = "hole" if hole_values else check_meaning(meaning, frames.where)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.frames!r}, {self.meaning!r})"

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.frames.size

    @property
    def where(self) -> str:
        """The masks, for messages."""
        return self.frames.where

    def __len__(self) -> int:
        return len(self.frames)

    def known(self, index: int) -> np.ndarray:
        """(height, width) bool of frame `index`."""
        index = 0 if len(self) == 1 else index
        return to_known(self.frames[index], self.meaning, f"{self.frames.where}, mask {self.frames.frame_name(index)}",
                        lossless=self.frames.lossless, hole_values=self.hole_values)

    def survey(self) -> Survey:
        """The hidden shares of all masks; reads each of them once."""
        fractions = [hole_fraction(self.known(index)) for index in range(len(self))]
        return Survey(self.where, tuple(fractions))

    def close(self) -> None:
        self.frames.close()


def grow_hole(known: np.ndarray, by: float) -> np.ndarray:
    """The mask (height, width) bool with all within `by` pixels (Euclidean distance) of a hidden pixel hidden too."""
    from scipy import ndimage

    return known if known.all() else ndimage.distance_transform_edt(known) > by


class GrownMasks(Masks):
    """Masks whose holes are grown by `by` pixels, which covers the shadow, halo and blur beside an instrument."""

    def __init__(self, given: Masks, by: int):
        super().__init__(given.frames, given.meaning, hole_values=given.hole_values)
        self.by = by

    @property
    def where(self) -> str:
        return f"{self.frames.where}, grown by {self.by} pixels,"

    def known(self, index: int) -> np.ndarray:
        return grow_hole(super().known(index), self.by)


@dataclass(frozen=True)
class Survey:
    """The hidden shares of the masks of a scene.

    Attributes:
        where: the masks, for messages.
        fractions: the hidden share of every mask, 0 to 1.
    """

    where: str
    fractions: tuple[float, ...]

    @property
    def hole_fraction(self) -> float:
        """The hidden share of all pixels of the scene."""
        return sum(self.fractions) / len(self.fractions)

    @property
    def empty(self) -> tuple[int, ...]:
        """The masks that hide nothing; their frames pass through as they are."""
        return tuple(index for index, fraction in enumerate(self.fractions) if fraction == 0)

    @property
    def full(self) -> tuple[int, ...]:
        """The masks that hide everything."""
        return tuple(index for index, fraction in enumerate(self.fractions) if fraction == 1)

    @property
    def mostly_hole(self) -> bool:
        """Whether more than half is hidden, which suggests that the meaning of the masks is inverted."""
        return self.hole_fraction > 0.5

    def check(self, *, allow_full: bool = False) -> Survey:
        """The survey itself, refused where nothing is hidden at all, or, unless allowed, where a frame is hidden completely."""
        require(len(self.empty) < len(self.fractions), f"{self.where} hides nothing, there is nothing to restore; "
                                                       "check what white means in them, it may be the opposite.")
        require(allow_full or not self.full,
                f"{self.where} hides all of {len(self.full)} of {len(self.fractions)} frames (the first is number "
                f"{self.full[0] if self.full else 0}), nothing would be left of them; check what white means.")
        return self
