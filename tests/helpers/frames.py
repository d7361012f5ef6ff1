"""Frames and scenes of a Gaussian field, with a prior of that very field that records its calls."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from medrestore.codecs import Interval
from medrestore.io.frames.base import PictureEntry, PictureFrames
from medrestore.io.frames.masks import Masks
from medrestore.io.scenes.base import Scene
from medrestore.io.scenes.writer import encode_png
from medrestore.noise import Noise
from medrestore.priors import Prior, StationaryGaussian

SIZE = (48, 64)
WINDOW = 16
Size = tuple[int, int]


def power(height: int, width: int, length: float = 6.0) -> Tensor:
    """The power spectrum of the field."""
    fy, fx = height * torch.fft.fftfreq(height), width * torch.fft.fftfreq(width)
    spectrum = 1 / ((height / length) ** 2 / 4 + fy[:, None] ** 2 + fx**2) ** 2.5
    return 0.2 * height * width * spectrum / spectrum.sum()


class FieldPrior(Prior):
    """The field seen in windows, as RGB; keeps the shapes and levels of its calls."""

    channels, recipe, multiple = 3, Interval(), 2

    def __init__(self) -> None:
        self.calls: list[tuple[tuple[int, ...], float]] = []

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        self.calls.append((tuple(x.shape), sigma))
        return StationaryGaussian(power(*x.shape[-2:]))(x, sigma)


def picture(seed: int = 0, size: Size = SIZE) -> Tensor:
    """(3, height, width) uint8 of the field."""
    z = StationaryGaussian(power(*size)).sample(Noise([seed])((1, 3, *size)))[0]
    return (127.5 * (1 + z)).round().clamp(0, 255).to(torch.uint8)


def known(*boxes: tuple[int, int, int, int], size: Size = SIZE) -> Tensor:
    """(height, width) bool, False in boxes of (top, left, height, width)."""
    keep = torch.ones(size, dtype=torch.bool)
    for top, left, height, width in boxes:
        keep[top : top + height, left : left + width] = False
    return keep


def scene(frames: Sequence[Tensor], masks: Sequence[Tensor], name: str = "scene") -> Scene:
    """A scene of frames (3, height, width) uint8 and masks (height, width) bool, True where known."""
    def pictures(arrays: Sequence[np.ndarray], kind: str) -> PictureFrames:
        encoded = [encode_png(np.ascontiguousarray(array)) for array in arrays]
        entries = [PictureEntry(f"{kind} {i}", f"{i:06d}", lambda data=data: data) for i, data in enumerate(encoded)]
        return PictureFrames(kind, entries, kind=kind)

    return Scene(name, pictures([frame.permute(1, 2, 0).numpy() for frame in frames], "frame"),
                 Masks(pictures([255 * mask.numpy().astype(np.uint8) for mask in masks], "mask"), "keep"))
