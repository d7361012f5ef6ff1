"""JPEG compression as a measurement."""

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InputError
from .base import LinearOperator, RoundingOperator
from .cosine import (
    BLOCK,
    TO_YCC,
    CosineSamples,
    PlaneSamples,
    all_planes,
    cosine_coefficients,
    from_blocks,
    in_place,
    joined,
)

# Annex K of the standard (ITU-T T.81), tables K.1 and K.2
LUMA = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
)
CHROMA = (
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99,
    24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
)
ROUNDED = 0.3  # variance of a sample that was rounded to a quantum, of that of a uniform error, a twelfth of its square
UNDONE = 20  # iterations that undo the interpolation of halved colours
ROUNDING_VARIANCE = 1 / 12 + 0.05  # of a coefficient, from pixels stored as whole numbers; the rest for colour conversion


@dataclass(frozen=True)
class JPEG(RoundingOperator):
    """What JPEG compression at a quality leaves of an image: its cosine coefficients in blocks of 8 x 8, rounded.

    Grey images and RGB; colours are those of JFIF and the tables those of the IJG library. Sides that are no multiple of 8 (16
    with halved colours) are continued by their last pixels. Below `low` no image lies: there the coded `low` has the excess
    added. Were it clipped away, black in y would be explained by an estimate however far below.

    Args:
        quality: 1 to 100.
        halved_colours: colours at half the resolution (4:2:0), as most programs store them; for RGB.
        low, high: the interval of the image, which is 0 to 255 in the file.
        rounding: "straight-through" rounds, and takes the gradient as if it did not. "smooth" takes t - sin(2 pi t) / (2 pi)
            in place of rounding t, which is differentiable and only near to it.

    Raises:
        InputError: a quality out of range, or an empty interval.
    """

    quality: int
    halved_colours: bool = True
    low: float = 0.0
    high: float = 1.0
    rounding: Literal["straight-through", "smooth"] = "straight-through"

    def __post_init__(self) -> None:
        if not 1 <= self.quality <= 100:
            raise InputError(f"the quality of a JPEG is 1 to 100, got {self.quality}")
        if not self.low < self.high:
            raise InputError(f"the interval of the image must rise, got {self.low} to {self.high}")

    @property
    def differentiable(self) -> bool:
        return self.rounding == "smooth"

    def __call__(self, x: Tensor) -> Tensor:
        if x.shape[1] not in (1, 3):
            raise InputError(f"JPEG takes grey images or RGB, got {x.shape[1]} channels")
        height, width = x.shape[-2:]
        colour = x.shape[1] == 3
        grain = 2 * BLOCK if colour and self.halved_colours else BLOCK
        below = (x - self.low).clamp(max=0)
        x = (x - below - self.low) * (255 / (self.high - self.low))
        x = F.pad(x, (0, -width % grain, 0, -height % grain), mode="replicate")
        if not colour:
            y = self._coded(x - 128, self._tables[0]) + 128
        else:
            ycc = torch.einsum("kc,bchw->bkhw", self._colours.to(x), x)
            luma = self._coded(ycc[:, :1] - 128, self._tables[0]) + 128
            coded = torch.cat([luma, self._chroma(ycc[:, 1:])], 1)
            y = torch.einsum("ck,bkhw->bchw", torch.linalg.inv(self._colours).to(x), coded)
        y = y[..., :height, :width]
        clipped = y.clamp(0, 255) if self.rounding == "smooth" else y + (y.clamp(0, 255) - y).detach()
        return clipped * ((self.high - self.low) / 255) + self.low + below

    def samples(self, y: Tensor, sigma: float | Tensor) -> tuple[LinearOperator, Tensor, float]:
        """The cosine coefficients, of which y is the rounding, weighted so that the noise of all is alike.

        Rounding hides where within a quantum q a coefficient lies. Most are small, and lie near the middle of theirs, so that
        they are taken for samples with noise of variance `ROUNDED` q^2 / 12 (docs/inversion.md).
        """
        unit, noise = (self.high - self.low) / 255, torch.as_tensor(sigma, device=y.device)
        B = all_planes(y, halved=self.halved_colours)
        samples, stds = [], []
        for plane, middle, table in zip(self._planes_of(y, B), (self.low + 128 * unit, 0.0), self._tables, strict=False):
            rows, columns = (side // BLOCK for side in plane.shape[-2:])
            quanta = unit * table.to(y).repeat(rows, columns)[None, None]
            centre = in_place(torch.full_like(plane[:1], middle))
            samples.append(((in_place(plane) - centre) / quanta).round() * quanta + centre)
            stds.append((ROUNDED / 12 * quanta.square() + noise.square()).sqrt().expand(-1, plane.shape[1], -1, -1))
        least = min(float(std.min()) for std in stds)
        weights = tuple(known * least / std for known, std in zip(B.weights, stds, strict=True))
        weighted = [weight * sample for weight, sample in zip(weights, samples, strict=True)]
        if weighted[0].shape == y.shape:
            return CosineSamples(weights[0]), weighted[0], least
        return replace(B, weights=weights), joined(weighted), least

    def _planes_of(self, y: Tensor, B: PlaneSamples) -> list[Tensor]:
        """The planes that were coded, from the image that they became."""
        planes = B.planes(y)
        if len(planes) > 1 and self.halved_colours:
            colours = planes[1]
            for _ in range(UNDONE):  # colours such that halving what they are interpolated to gives those of y
                colours = colours + planes[1] - F.avg_pool2d(_twice_as_large(colours), 2)
            planes[1] = colours
        return planes

    def _chroma(self, colours: Tensor) -> Tensor:
        """The colour channels, centred on 0, after coding."""
        if not self.halved_colours:
            return self._coded(colours, self._tables[1])
        return _twice_as_large(self._coded(F.avg_pool2d(colours, 2), self._tables[1]))

    def _coded(self, x: Tensor, table: Tensor) -> Tensor:
        """Channels (batch, channel, height, width) after rounding their coefficients."""
        table = table.to(x)
        return from_blocks(self._rounded(cosine_coefficients(x) / table) * table, x.shape)

    def _rounded(self, t: Tensor) -> Tensor:
        if self.rounding == "smooth":
            return t - torch.sin(2 * math.pi * t) / (2 * math.pi)
        return t + (t.round() - t).detach()

    @cached_property
    def _tables(self) -> tuple[Tensor, Tensor]:
        return quantisation(self.quality, LUMA), quantisation(self.quality, CHROMA)

    @cached_property
    def _colours(self) -> Tensor:
        return torch.tensor(TO_YCC, device="cpu")


def quantisation(quality: int, base: tuple[int, ...] = LUMA) -> Tensor:
    """The table (8, 8) of a quality, as the IJG library scales it."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return torch.tensor([min(max((value * scale + 50) // 100, 1), 255) for value in base], dtype=torch.float32,
                        device="cpu").reshape(BLOCK, BLOCK)


def _twice_as_large(colours: Tensor) -> Tensor:
    """Colours (batch, 2, h, w) interpolated to sides twice as long."""
    return F.interpolate(colours, scale_factor=2, mode="bilinear", align_corners=False)


def jpeg_quality(y: Tensor, *, low: float = 0.0, high: float = 1.0) -> int:
    """The quality (1 to 100) at which an image was compressed, from its pixels.

    The coefficients of the brightness lie near multiples of the table's entries; of the tables that explain them so, the coarsest
    is the likeliest.

    Args:
        y: (1, channel, height, width), grey or RGB, not cropped, scaled or edited since.
        low, high: the interval of the image.
    """
    pixels = (y[:1] - low) * (255 / (high - low))
    if pixels.shape[1] == 3:
        pixels = torch.einsum("c,bchw->bhw", torch.tensor(TO_YCC[0], device=y.device), pixels)[:, None]
    height, width = (side // BLOCK * BLOCK for side in pixels.shape[-2:])
    if not height * width:
        raise InputError(f"an image of {tuple(y.shape[-2:])} pixels has no block of 8 x 8")
    c = cosine_coefficients(pixels[..., :height, :width] - 128)

    def likelihood(quality: int) -> float:
        table = quantisation(quality).to(c)
        off = c - table * (c / table).round()
        return float((table.log() - off.square() / (2 * ROUNDING_VARIANCE)).double().sum())

    return max(range(1, 101), key=likelihood)
