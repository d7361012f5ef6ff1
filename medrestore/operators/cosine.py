"""Samples of an image by the cosine transform of its blocks, as JPEG takes them before it rounds."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .base import FromSpectrum, LinearOperator, Spectrum, same

BLOCK = 8
TO_YCC = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))


@dataclass(frozen=True, repr=False)
class CosineSamples(FromSpectrum):
    """The cosine coefficients of the 8 x 8 blocks of a grey image, each in the place of a pixel and times a weight.

    Args:
        weights: (1 or batch, 1, height, width), above 0; sides are multiples of 8.
    """

    weights: Tensor

    @property
    def spectrum(self) -> Spectrum:
        return Spectrum(self.weights, in_place, image_of_coefficients, same, same)


@dataclass(frozen=True, repr=False)
class PlaneSamples(LinearOperator):
    """The same of an image with sides of any length, continued by its last pixels, or of colours: (batch, 1, number).

    Args:
        size: (height, width) of the image.
        weights: of the brightness, (1 or batch, 1, h, w), and for RGB of its two colours, (1 or batch, 2, h, w), or half as
            large along both axes where colours are at half the resolution. 0 where a block has one value along an axis alone,
            the last one continued, so that its waves along it are none; see `all_planes`.
    """

    size: tuple[int, int]
    weights: tuple[Tensor, ...]

    @property
    def sampled(self) -> Tensor:
        return joined([(weight != 0).to(weight) for weight in self.weights])

    def __call__(self, x: Tensor) -> Tensor:
        return joined([weight * in_place(plane) for weight, plane in zip(self.weights, self.planes(x), strict=True)])

    def planes(self, x: Tensor) -> list[Tensor]:
        """Brightness, and the two colours of RGB as one, of images (batch, 1 or 3, height, width); sides are multiples of 8."""
        x = F.pad(x, (0, -self.size[1] % self._grain, 0, -self.size[0] % self._grain), mode="replicate")
        if len(self.weights) == 1:
            return [x]
        ycc = torch.einsum("kc,bchw->bkhw", _to_ycc(x), x)
        return [ycc[:, :1], F.avg_pool2d(ycc[:, 1:], 2) if self._halved else ycc[:, 1:]]

    def adjoint(self, y: Tensor) -> Tensor:
        parts = y[:, 0].split([weight[0].numel() for weight in self.weights], 1)
        planes = [image_of_coefficients(weight * part.reshape(-1, *weight.shape[1:]))
                  for weight, part in zip(self.weights, parts, strict=True)]
        x = planes[0]
        if len(planes) > 1:
            colours = planes[1]
            if self._halved:
                colours = colours.repeat_interleave(2, -1).repeat_interleave(2, -2) / 4
            x = torch.einsum("kc,bkhw->bchw", _to_ycc(x), torch.cat([x, colours], 1))
        return _continuation_folded(_continuation_folded(x, self.size[0], -2), self.size[1], -1)

    @property
    def _halved(self) -> bool:
        return self.weights[0].shape[-1] > self.weights[-1].shape[-1]

    @property
    def _grain(self) -> int:
        return 2 * BLOCK if self._halved else BLOCK


def all_planes(x: Tensor, *, halved: bool) -> PlaneSamples:
    """All coefficients of images like x, (batch, 1 or 3, height, width), of weight 1.

    Args:
        halved: of RGB, whether its colours are at half the resolution.
    """
    (height, width), colour = (x.shape[-2], x.shape[-1]), x.shape[1] == 3
    grain = 2 * BLOCK if colour and halved else BLOCK
    rows, columns = height + -height % grain, width + -width % grain
    weights = [torch.outer(_varying(rows, height, x), _varying(columns, width, x))[None, None]]
    if colour and halved:
        half = torch.outer(_varying(rows // 2, height // 2 + 1, x), _varying(columns // 2, width // 2 + 1, x))
        weights.append(half.expand(1, 2, -1, -1))
    elif colour:
        weights.append(weights[0].expand(1, 2, -1, -1))
    return PlaneSamples((height, width), tuple(weights))


def _varying(length: int, different: int, like: Tensor) -> Tensor:
    """(length,) 1 for waves along an axis that there can be, of values of which those after so many are all alike."""
    at = torch.arange(length, device=like.device)
    return ((at % BLOCK == 0) | (at // BLOCK * BLOCK < different - 1)).to(like)


def joined(planes: list[Tensor]) -> Tensor:
    """Planes (batch, channel, h, w) as (batch, 1, number)."""
    return torch.cat([plane.flatten(1) for plane in planes], 1)[:, None]


def _continuation_folded(x: Tensor, length: int, axis: int) -> Tensor:
    """The adjoint of continuing an axis by its last value."""
    inside, beyond = x.narrow(axis, 0, length), x.narrow(axis, length, x.shape[axis] - length)
    last = inside.narrow(axis, length - 1, 1) + beyond.sum(axis, keepdim=True)
    return torch.cat([inside.narrow(axis, 0, length - 1), last], axis)


def _to_ycc(like: Tensor) -> Tensor:
    return torch.tensor(TO_YCC, device=like.device, dtype=like.dtype)


def _dct(x: Tensor) -> Tensor:
    """The orthonormal cosine transform as a matrix (8, 8)."""
    n = torch.arange(BLOCK, device=x.device, dtype=x.dtype)
    matrix = torch.cos(math.pi * (n + 0.5) * n[:, None] / BLOCK) * (2 / BLOCK) ** 0.5
    return torch.cat([matrix[:1] / 2**0.5, matrix[1:]])


def cosine_coefficients(x: Tensor) -> Tensor:
    """(batch, channel, row, column, 8, 8) cosine coefficients of the blocks of images whose sides are multiples of 8."""
    batch, channels, height, width = x.shape
    blocks = x.reshape(batch, channels, height // BLOCK, BLOCK, width // BLOCK, BLOCK).transpose(3, 4)
    D = _dct(x)
    return D @ blocks @ D.T


def from_blocks(c: Tensor, shape: torch.Size) -> Tensor:
    """Images of the shape from the coefficients of their blocks."""
    D = _dct(c)
    return (D.T @ c @ D).transpose(3, 4).reshape(shape)


def in_place(x: Tensor) -> Tensor:
    """The coefficients of images, each block's in the place of its pixels."""
    return cosine_coefficients(x).transpose(3, 4).reshape(x.shape)


def image_of_coefficients(c: Tensor) -> Tensor:
    """The images of such coefficients."""
    batch, channels, height, width = c.shape
    blocks = c.reshape(batch, channels, height // BLOCK, BLOCK, width // BLOCK, BLOCK).transpose(3, 4)
    return from_blocks(blocks, c.shape)
