"""A scene: frames, their masks, and the truth if available; read frame by frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from ..closing import Closing
from ..frames.base import Frames
from ..frames.masks import Masks, Survey
from ..frames.mha import Geometry
from ..guards import require


@dataclass(frozen=True)
class Scene(Closing):
    """One scene, opened and checked: sizes and counts of frames, masks and truth agree.

    Args:
        name: such as scene_0007.
        obstructed: the frames as they were taken; where `hide` is set they are the truth, and the hole is painted black.
        masks: one for every frame, or one for all.
        reference: the unobstructed frames, where there are any.
        hide: whether a frame is made from the truth because no obstructed frames were found.
        sidecars: files beside it that are not used, such as camera poses and intrinsics.
        notes: what was assumed, one sentence each.

    Raises:
        InputError: sizes or counts that differ.
    """

    name: str
    obstructed: Frames
    masks: Masks
    reference: Frames | None = None
    hide: bool = False
    sidecars: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_same(self.obstructed, self.masks.frames, "mask", one_for_all=True)
        if self.reference is not None:
            _check_same(self.obstructed, self.reference, "reference")

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of every frame."""
        return self.obstructed.size

    @property
    def count(self) -> int:
        """The number of frames."""
        return len(self.obstructed)

    @property
    def fps(self) -> Fraction | None:
        """Frames a second; None when unknown."""
        return self.obstructed.fps

    @property
    def geometry(self) -> Geometry | None:
        """Where the pixels of a .mha stack lie; None for others."""
        return self.obstructed.geometry

    @property
    def times(self) -> tuple[Fraction, ...] | None:
        """Seconds of each frame of a video from its first, where they are not evenly spaced."""
        return self.obstructed.times

    def frame(self, index: int) -> Tensor:
        """(3, height, width) uint8 RGB of frame `index`, counted from 0."""
        pixels = self.obstructed[index]
        return to_tensor(pixels * self.masks.known(index)[..., None] if self.hide else pixels)

    def frames(self) -> Iterator[Tensor]:
        """All frames in order."""
        return (self.frame(index) for index in range(self.count))

    def mask(self, index: int) -> Tensor:
        """(1, height, width) bool of frame `index`, True where the pixel is known."""
        return torch.from_numpy(self.masks.known(index))[None]

    def truth(self, index: int) -> Tensor | None:
        """(3, height, width) uint8 RGB of the unobstructed frame; None where there is none."""
        return None if self.reference is None else to_tensor(self.reference[index])

    def frame_name(self, index: int) -> str:
        """The name of frame `index`: the stem of its file, or its number."""
        return self.obstructed.frame_name(index)

    def survey(self) -> Survey:
        """The hidden shares of all masks; reads each of them once."""
        return self.masks.survey()

    def close(self) -> None:
        """Closes what is open; may be called twice."""
        for part in (self.obstructed, self.masks, self.reference):
            if part is not None:
                part.close()


class SceneSet(Closing, Mapping[str, Scene]):
    """Scenes by name; each is opened on access and closed by the caller.

    Args:
        where: where they come from, for messages.
        openers: a function for each name that opens the scene.
        close: releases what they share, such as an archive.
    """

    def __init__(self, where: str, openers: Mapping[str, Callable[[], Scene]], close: Callable[[], None] = lambda: None):
        require(len(openers) > 0, f"{where} holds no scene; give frames with their masks.")
        self.where, self._openers, self._close = where, dict(openers), close

    def __repr__(self) -> str:
        return f"SceneSet({self.where!r}: {len(self)} scenes)"

    def __getitem__(self, name: str) -> Scene:
        return self._openers[name]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._openers)

    def __len__(self) -> int:
        return len(self._openers)

    def changed(self, change: Callable[[Scene], Scene]) -> SceneSet:
        """The same scenes, each changed when it is opened."""
        def opener(name: str) -> Callable[[], Scene]:
            return lambda: change(self[name])

        return SceneSet(self.where, {name: opener(name) for name in self}, self._close)

    def close(self) -> None:
        """Releases what the scenes share; may be called twice."""
        self._close()


def to_tensor(pixels: np.ndarray) -> Tensor:
    """(3, height, width) of a (height, width, 3) picture, or three equal channels of a (height, width) one."""
    if pixels.ndim == 2:
        pixels = np.broadcast_to(pixels[..., None], (*pixels.shape, 3))
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))


def _check_same(frames: Frames, other: Frames, what: str, *, one_for_all: bool = False) -> None:
    """Refuses sizes or counts that differ."""
    (h, w), (oh, ow) = frames.size, other.size
    require((h, w) == (oh, ow), f"{frames.where} is {w} x {h} but its {what} {other.where} is {ow} x {oh}; "
                                f"give the {what} at the size of the frame, nothing is resized.")
    require(len(other) == len(frames) or (one_for_all and len(other) == 1),
            f"{frames.where} has {len(frames)} frames but {other.where} has {len(other)}; "
            f"give one {what} for every frame{', or one for all' if one_for_all else ''}.")
