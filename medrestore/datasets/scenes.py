"""Simulated operating-room scenes: frames with and without what hides the patient, to train on and to score
with.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor

from ..codecs import Interval
from ..errors import InputError
from ..files import new_folder
from ..settings import Bounds, check, refused
from .base import Images
from .rendering.theatre import Theatre

SPAN = 1000  # frames of a scene over which `Scenes` spreads its own: 40 s, as long as a scene of DREAMING
MOST_PIXELS = 1 << 25  # of a frame, so that a mistyped size does not fill the memory
CACHE_BYTES = 512 * 2**20  # at most this much of rendered frames is kept by one `Scenes`


_theatre = lru_cache(maxsize=8)(Theatre)


@dataclass(frozen=True)
class Frame:
    """One view of a scene.

    Attributes:
        truth: with nothing in front of the patient, (3, height, width) float32 in [0, 1].
        known: where nothing hides the patient, (height, width) bool.
        obstructed: with hands and instruments in front, as `truth`, to which it is equal wherever `known`.
    """

    truth: Tensor
    known: Tensor
    obstructed: Tensor

    def __repr__(self) -> str:
        height, width = self.known.shape
        return f"Frame({width} x {height}, {float((~self.known).float().mean()):.1%} hidden)"


def render_frame(seed: int, scene: int, frame: int, *, size: tuple[int, int]) -> Frame:
    """A frame of a simulated scene, a pure function of its arguments up to float rounding.

    Args:
        seed, scene: which scene; each number gives another patient, room and light.
        frame: 25 of them are a second.
        size: (height, width) in pixels.
    """
    _check_frame(seed, scene, frame, size)
    theatre = _theatre(seed, scene)
    patient = theatre.patient(theatre.view(frame, size))
    canvas, hidden = theatre.obstruct(patient, frame)
    truth = theatre.picture(patient)
    obstructed = np.where(hidden, theatre.picture(canvas), truth)
    return Frame(torch.from_numpy(truth), torch.from_numpy(~hidden), torch.from_numpy(obstructed))


def _check_frame(seed: int, scene: int, frame: int, size: tuple[int, int]) -> None:
    if min(seed, scene, frame) < 0:
        raise InputError(f"seed {seed}, scene {scene}, frame {frame} name no simulated frame: none of them may be negative.")
    if min(size) < 8 or size[0] * size[1] > MOST_PIXELS:
        raise InputError(f"a simulated frame of {size[0]} x {size[1]} was asked for: give sides of 8 pixels and more, "
                         f"at most {MOST_PIXELS:,} pixels in all.")


@dataclass(eq=False)
class Scenes(Images):
    """Ground-truth frames of simulated scenes, as RGB in [-1, 1]: no instrument and no glove in any of them.

    Rendering a frame costs far more than cropping it, so up to CACHE_BYTES of frames are kept in memory as
    they are first read; those beyond are rendered again each time. A copy sent to another process starts
    empty.

    Args:
        scenes: first scene and the one after the last.
        frames: of each scene, spread evenly over SPAN frames.
        seed: of all scenes.
        size: (height, width) of a frame.
    """

    scenes: tuple[int, int]
    frames: Annotated[int, Bounds(at_least=1, at_most=SPAN)]
    seed: int = 0
    size: tuple[int, int] = (270, 480)
    channels = 3
    recipe = Interval()

    def __post_init__(self) -> None:
        check(self)
        if not 0 <= self.scenes[0] < self.scenes[1]:
            raise refused(self, f"scenes must be the first (0 and up) and the one after the last, got {list(self.scenes)}")
        _check_frame(self.seed, self.scenes[0], 0, self.size)
        self._kept: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        return (self.scenes[1] - self.scenes[0]) * self.frames

    def __getitem__(self, index: int) -> Tensor:
        frame = self._kept.get(index)
        if frame is None:
            scene, within = self._place(index)
            theatre = _theatre(self.seed, scene)
            truth = theatre.picture(theatre.patient(theatre.view(within * SPAN // self.frames, self.size)))
            frame = _as_uint8(truth)
            if (len(self._kept) + 1) * frame.nbytes <= CACHE_BYTES:
                self._kept[index] = frame
        return torch.from_numpy(frame).float() / 127.5 - 1

    def group_of(self, index: int) -> str:
        return f"scene-{self.seed}-{self._place(index)[0]}"

    def _place(self, index: int) -> tuple[int, int]:
        """Scene and place within it."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        scene, within = divmod(index, self.frames)
        return self.scenes[0] + scene, within

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_kept": {}}


def write_scene(folder: Path | str, seed: int, scene: int, *, frames: int, size: tuple[int, int],
                every: int = 1,
                lossless: bool = True, progress: Callable[[int, int], None] | None = None) -> Path:
    """A simulated scene on disk in the layout of DREAMING: `scene_NNNN` with `input`, `gt` and `mask`, one
    file a frame.

    A mask is 0 where hands and instruments hide the patient and 255 elsewhere. The scene is published
    when it is complete.

    Args:
        folder: where `scene_NNNN` goes; made when missing.
        seed, scene: which scene; its number is also its folder's.
        frames: how many.
        size: (height, width) in pixels.
        every: from one frame to the next, in 25ths of a second.
        lossless: pictures as png, with input and gt equal wherever the mask is 255; else as jpg, as DREAMING
            has them, whose compression leaves small differences there. Masks are always png.
        progress: called with (frames written, frames in all).

    Returns:
        The scene's folder.

    Raises:
        InputError: a number out of range, or the scene's folder exists.
    """
    _check_frame(seed, scene, 0, size)
    if scene > 9999 or frames < 1 or every < 1:
        raise InputError(f"scene {scene} with {frames} frames, every {every}, cannot be written: give a scene up to 9999, "
                         "at least 1 frame, and every at least 1.")
    target = Path(folder) / f"scene_{scene:04d}"
    if target.exists():
        raise InputError(f"{target} exists already; remove it or choose another folder")
    with new_folder(target) as temporary:
        for part in ("input", "gt", "mask"):
            (temporary / part).mkdir()
        for number in range(frames):
            _write_frame(temporary, number, render_frame(seed, scene, number * every, size=size), lossless)
            if progress is not None:
                progress(number + 1, frames)
    return target


def _write_frame(scene: Path, number: int, frame: Frame, lossless: bool) -> None:
    from PIL import Image

    suffix = "png" if lossless else "jpg"
    options: dict[str, Any] = {"compress_level": 3} if lossless else {"quality": 95, "subsampling": 0}
    for part, picture in (("input", frame.obstructed), ("gt", frame.truth)):
        Image.fromarray(_as_uint8(picture.numpy()).transpose(1, 2, 0)).save(scene / part / f"{number:06d}.{suffix}", **options)
    Image.fromarray(frame.known.numpy().astype(np.uint8) * 255).save(scene / "mask" / f"{number:06d}.png")


def _as_uint8(picture: np.ndarray) -> np.ndarray:
    """Display values in [0, 1] as uint8."""
    return np.rint(255 * picture).astype(np.uint8)
