"""The ground-truth frames of DREAMING: operating rooms without hand and instruments (ISBI 2024 challenge)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch.nn.functional as F
from torch import Tensor

from ..codecs import Interval
from ..errors import InputError
from ..files import files_in
from ..io.frames.pictures import SUFFIXES, read_picture
from ..settings import Bounds, check, refused
from .base import Images
from .folders import as_picture
from .splits import split as load_split

SCENE = re.compile(r"scene_([0-9]+)")


@dataclass(eq=False)
class Dreaming(Images):
    """Ground-truth frames, RGB in [-1, 1], from `scene_NNNN/gt` in the folder or its DREAMING_training_...

    Args:
        folder: the unpacked download.
        split: a name in data/splits/dreaming.yaml, or FILE.yaml:NAME.
        numbers: of the scenes, instead of a split; with neither, all scenes of the folder.
        stride: from one frame to the next; neighbours hardly differ.
        height: of the images, to which frames are scaled down (antialiased); null leaves them as they are.
        scenes: refused: a range [first, last) in other sources, a list of numbers in earlier versions of this
            one.

    Raises:
        InputError: an option out of range, scenes that the folder does not hold, or `scenes`.
    """

    folder: Path
    split: str | None = None
    numbers: tuple[int, ...] | None = None
    stride: Annotated[int, Bounds(at_least=1)] = 1
    height: Annotated[int | None, Bounds(at_least=16)] = None
    scenes: tuple[int, ...] | None = None
    channels, recipe = 3, Interval()

    def __post_init__(self) -> None:
        check(self)
        if self.scenes is not None:
            raise refused(self, f"scenes is no option; {write_numbers(self.scenes)}")
        if self.split is not None and self.numbers is not None:
            raise refused(self, "split and numbers each choose scenes; give one of them")
        folders = _truth_folders(self.folder)
        wanted = split_numbers(self.split) if self.split is not None else self.numbers
        missing = [] if wanted is None else [number for number in wanted if number not in folders]
        if missing:
            raise InputError(f"{self.folder} holds no scenes {', '.join(f'{n:04d}' for n in missing)}; it holds "
                             f"{', '.join(f'{n:04d}' for n in sorted(folders))}.")  # fmt: skip
        self.frames = [(number, path) for number in (sorted(folders) if wanted is None else wanted)
                       for path in _frame_files(folders[number])[:: self.stride]]  # fmt: skip

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, index: int) -> Tensor:
        frame = as_picture(read_picture(self.frames[index][1]))
        if self.height is None or self.height >= frame.shape[-2]:
            return frame
        size = (self.height, round(frame.shape[-1] * self.height / frame.shape[-2]))
        return F.interpolate(frame[None], size=size, mode="bilinear", antialias=True, align_corners=False)[0]

    def group_of(self, index: int) -> str:
        return f"scene {self.frames[index][0]:04d}"


def _truth_folders(folder: Path) -> dict[int, Path]:
    """The folders of ground truth, by number of scene."""
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; give the unpacked download.")
    folders: dict[int, Path] = {}
    for truth in (*folder.glob("scene_*/gt"), *folder.glob("*/scene_*/gt")):
        match = SCENE.fullmatch(truth.parent.name)
        if match is None or not truth.is_dir():
            continue
        if int(match[1]) in folders:
            raise InputError(
                f"{folder} holds one scene twice, in {truth} and {folders[int(match[1])]}; keep one of them."
            )
        folders[int(match[1])] = truth
    if not folders:
        raise InputError(f"{folder} holds no scene_NNNN/gt, nor do its folders; give the unpacked download.")
    return folders


def _frame_files(truth: Path) -> list[Path]:
    frames = files_in(truth, SUFFIXES)
    if not frames:
        raise InputError(f"{truth} holds no .jpg or .png; unpack the scene again.")
    return frames


def split_numbers(name: str) -> tuple[int, ...]:
    """The numbers of the scenes of a split of DREAMING.

    Args:
        name: in data/splits/dreaming.yaml, or FILE.yaml:NAME.

    Raises:
        InputError: no such split, or one in another form.
    """
    settings = load_split("dreaming", name)
    if isinstance(settings.get("scenes"), list):
        raise InputError(f"split {name} holds scenes; {write_numbers(settings['scenes'])}.")
    numbers = settings.get("numbers")
    if (
        set(settings) != {"numbers"}
        or not isinstance(numbers, list)
        or not numbers
        or not all(type(n) is int for n in numbers)
    ):
        raise InputError(
            f"split {name} must hold numbers, a list of those of its scenes, and nothing else; correct it."
        )
    return tuple(numbers)


def write_numbers(scenes: Sequence[object]) -> str:
    """What to write instead of `scenes`, a list of numbers in earlier versions and a range everywhere now."""
    return (
        f"write numbers: [{', '.join(map(str, scenes))}] for exactly these scenes, as scenes means a range "
        "[first, last) wherever it is an option"
    )
