"""Photographs as cases, and what is done to them."""

import hashlib
from dataclasses import dataclass, fields, replace
from pathlib import Path

import torch
from torch import Tensor

from ..datasets.files import find
from ..datasets.folders import Photographs
from ..errors import InputError
from ..io.frames.pictures import SUFFIXES, picture_size, read_picture
from ..operators import (
    AveragePool,
    Grayscale,
    LinearOperator,
    Mask,
    bicubic_downsample,
    gaussian_blur,
    sample_pixels,
)
from ..problem import Problem
from .cases import Case, Fingerprints, digest
from .config import Degrade, Pictures

MULTIPLE = 16  # sides are cut to multiples of it, so that every factor and every network fits


@dataclass(frozen=True)
class PictureCase(Case):
    """One picture.

    Attributes:
        place: its file.
        crop: side of the central square, or None.
    """

    place: str
    crop: int | None

    @property
    def images(self) -> int:
        return 1

    def picture(self) -> Tensor:
        """(1, 3, h, w) in [0, 1]; sides are multiples of 16."""
        pixels = torch.from_numpy(read_picture(Path(self.place)).copy()).permute(2, 0, 1)
        sides = [(side if self.crop is None else self.crop) // MULTIPLE * MULTIPLE for side in pixels.shape[-2:]]
        top, left = ((side - inner) // 2 for side, inner in zip(pixels.shape[-2:], sides, strict=True))
        return pixels[None, :, top : top + sides[0], left : left + sides[1]].float() / 255


def picture_cases(source: Pictures, prints: Fingerprints, where: str) -> list[PictureCase]:
    """The cases of a source.

    Raises:
        InputError: no pictures, or one smaller than the crop.
    """
    if source.crop is not None and source.crop < MULTIPLE:
        raise InputError(f"{where}.crop must be at least {MULTIPLE}, got {source.crop}")
    files = Photographs().files if source.folder == "bundled" else find(source.folder, SUFFIXES, where)
    made = []
    for path in files:
        least = min(picture_size(path))
        if least < (source.crop or MULTIPLE):
            raise InputError(f"{where}: {path} has a side of {least} pixels, less than {source.crop or MULTIPLE}; leave it out")
        held = prints(path)
        made.append(PictureCase(path.stem, path.stem, held, digest([held, source.crop]), str(path), source.crop))
    return made


def degraded(case: PictureCase, setting: Degrade, seed: int, device: str) -> tuple[Problem, Tensor]:
    """What is left of a picture, and the picture (1, 3, h, w) in [0, 1].

    Chance (noise, kept pixels) is that of the picture's name and the seed.
    """
    truth = case.picture()
    digits = hashlib.sha256(f"{case.name} {seed}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digits[:7], "big"))
    height, width = truth.shape[-2:]
    operator = operator_of(setting, (height, width), generator)
    y = operator(truth)
    y = y + setting.noise_std * torch.randn(y.shape, generator=generator)
    return Problem(_moved(operator, device), y.to(device), setting.noise_std), truth


def operator_of(setting: Degrade, size: tuple[int, int], generator: torch.Generator) -> LinearOperator:
    """What a setting does to pictures of a (height, width)."""
    if setting.kind == "super-resolution":
        return bicubic_downsample(size, setting.factor) if setting.filter == "bicubic" else AveragePool(setting.factor, size)
    if setting.kind == "deblurring":
        return gaussian_blur(size, setting.std)
    if setting.kind == "colorization":
        return Grayscale()
    if setting.keep is not None:
        return sample_pixels(size, setting.keep, generator=generator)
    keep = torch.ones(size)
    top, left = ((side - setting.box) // 2 for side in size)
    keep[max(top, 0) : max(top, 0) + setting.box, max(left, 0) : max(left, 0) + setting.box] = 0
    return Mask(keep)


def _moved(operator: LinearOperator, device: str) -> LinearOperator:
    """The operator with its tensors on a device."""
    tensors = {one.name: value.to(device) for one in fields(operator) if isinstance(value := getattr(operator, one.name), Tensor)}
    return replace(operator, **tensors)
