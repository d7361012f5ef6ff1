"""Phantoms drawn from a seed: heads of ellipses and texture, for tests and demonstrations without data."""

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor

from ..codecs import CalibratedComplex
from ..settings import Bounds, check
from .augment import smooth
from .base import Images

MOST = 10**9  # phantoms


@dataclass(eq=False)
class Phantoms(Images):
    """Head-like phantoms, magnitude about 1: scalp and skull, grey and white matter, ventricles, lesions,
    texture.

    Args:
        count: the number of phantoms.
        size: pixels of both sides, or (height, width).
        seed: phantom i of a seed is always the same one.
        first: number of the first, so that [0, 100) trains and [100, 120) validates.
        form: `magnitude`, one channel, or `complex`, (real, imaginary) with a smooth phase.
    """

    count: Annotated[int, Bounds(at_least=1, at_most=MOST)] = 1000
    size: Annotated[int | tuple[int, int], Bounds(at_least=16, at_most=4096)] = 96
    seed: int = 0
    first: Annotated[int, Bounds(at_least=0, at_most=MOST)] = 0
    form: Literal["magnitude", "complex"] = "magnitude"
    recipe = CalibratedComplex()

    def __post_init__(self) -> None:
        check(self)
        self.sides = (self.size, self.size) if isinstance(self.size, int) else self.size
        self.channels = 2 if self.form == "complex" else 1

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Tensor:
        if not 0 <= index < self.count:
            raise IndexError(f"there are {self.count} phantoms, there is no number {index}")
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + self.first + index) * 2654435761 % 2**32)
        head = head_phantom(self.sides, generator=generator)
        if self.form == "magnitude":
            return head
        phase = 2 * math.pi * torch.rand((), generator=generator) + smooth(self.sides, 3, generator)
        return torch.cat([head * phase.cos(), head * phase.sin()])

    def group_of(self, index: int) -> str:
        return f"seed {self.seed}, number {self.first + index}"


def head_phantom(size: tuple[int, int], *, generator: torch.Generator) -> Tensor:
    """One random head, (1, h, w) float32 of at least 0 and about 1 at its brightest."""
    rows, columns = torch.linspace(-1, 1, size[0])[:, None], torch.linspace(-1, 1, size[1])
    chance = iter(torch.rand(64, generator=generator).tolist())

    def between(low: float, high: float) -> float:
        return low + (high - low) * next(chance)

    soft = between(1.0, 2.0) / min(size)

    def ellipse(y: float, x: float, tall: float, wide: float, turn: float) -> Tensor:
        """1 inside, 0 outside, with a soft edge about a pixel wide."""
        c, s = math.cos(turn), math.sin(turn)
        u, v = (c * (rows - y) + s * (columns - x)) / tall, (c * (columns - x) - s * (rows - y)) / wide
        return torch.sigmoid((1 - (u * u + v * v).sqrt()) * (min(tall, wide) / soft))

    y, x, tall, wide, turn = between(-0.1, 0.1), between(-0.1, 0.1), between(0.7, 0.9), between(0.55, 0.75), between(-0.3, 0.3)
    scalp = between(0.88, 0.94)
    inside = between(0.78, 0.86)
    head, bone, brain = (ellipse(y, x, k * tall, k * wide, turn) for k in (1.0, scalp, inside))
    # white against grey matter
    folds = torch.sigmoid(between(4, 9) * (smooth(size, 11, generator) + between(-0.3, 0.3)))
    white = ellipse(y, x, 0.85 * inside * tall, 0.85 * inside * wide, turn) * folds
    level_bone, level_grey, level_white, level_water = (between(0, 0.15),
                                                        *(between(0.15, 1) for _ in range(3)))
    image = between(0.5, 1.0) * (head - bone) + level_bone * (bone - brain) + level_grey * (brain - white) + level_white * white
    for side in (-1, 1):  # ventricles
        at = 0.14 * side * wide
        water = ellipse(y - at * math.sin(turn), x + at * math.cos(turn), between(0.15, 0.35) * tall,
                        between(0.05, 0.1),
                        turn + side * between(0, 0.4))  # fmt: skip
        image = image + (level_water - image) * water
    for _ in range(int(between(0, 4))):  # lesions
        lesion = ellipse(y + between(-0.4, 0.4), x + between(-0.3, 0.3), between(0.03, 0.12),
                         between(0.03, 0.12), between(0, 3))
        image = image + (between(0.1, 1.2) - image) * lesion * brain
    texture = 1 + between(0.02, 0.08) * smooth(size, 24, generator)
    return (image * texture).clamp(min=0)[None]
