"""Compressed sensing: random patterns over the whole image."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from .base import CoIsometry, FromSpectrum, Spectrum, Window, same
from .image import edges, share
from .local import LocalOperator


@dataclass(frozen=True)
class WalshHadamard(FromSpectrum):
    """Some Walsh-Hadamard coefficients of the shuffled image: a single-pixel camera. A Ah = I.

    The measurement is (batch, channel, count): no image, so this is not a `CoIsometry` that another operator may follow.

    Args:
        size: (height, width) of the image, a power of two of pixels in all.
        order: (height * width,) the pixel that each place of the shuffled image holds.
        kept: (count,) different coefficients, in the order in which they are measured.
    """

    size: tuple[int, int]
    order: Tensor
    kept: Tensor

    def __post_init__(self) -> None:
        if math.prod(self.size).bit_count() != 1:
            raise ValueError(f"the Walsh-Hadamard transform needs a power of two of pixels, and {self.size} is none; "
                             "compose it with Crop or AveragePool to measure a part or a coarser image")

    @classmethod
    def random(cls, size: tuple[int, int], fraction: float, *, generator: torch.Generator) -> "WalshHadamard":
        """Shuffles the pixels and keeps round(fraction * height * width) coefficients, the mean always among them.

        Args:
            size: (height, width).
            fraction: of the coefficients, 0 to 1.
            generator: on the CPU.
        """
        pixels = math.prod(size)
        order = torch.randperm(pixels, generator=generator, device="cpu")
        others = 1 + torch.randperm(pixels - 1, generator=generator, device="cpu")
        kept = torch.cat([order.new_zeros(1), others])[: share(pixels, fraction)]
        return cls(size, order, kept)

    @cached_property
    def _back(self) -> Tensor:
        return self.order.argsort()

    def _analyse(self, x: Tensor) -> Tensor:
        return walsh_hadamard(x.flatten(-2)[..., self.order]).reshape(x.shape)

    def _synthesise(self, c: Tensor) -> Tensor:
        return walsh_hadamard(c.flatten(-2))[..., self._back].reshape(c.shape)

    def _unmeasure(self, y: Tensor) -> Tensor:
        c = y.new_zeros(*y.shape[:-1], math.prod(self.size))
        c[..., self.kept] = y
        return c.reshape(*y.shape[:-1], *self.size)

    @property
    def spectrum(self) -> Spectrum:
        s = self._unmeasure(torch.ones(len(self.kept), device=self.kept.device))
        return Spectrum(s, self._analyse, self._synthesise, lambda c: c.flatten(-2)[..., self.kept], self._unmeasure)


@dataclass(frozen=True)
class BlockWalsh(LocalOperator, CoIsometry):
    """The Walsh-Hadamard transform of the shuffled pixels of each block, shaped like the image. A Ah = Ah A = I.

    `Mask(keep) @ BlockWalsh(...)` is compressed sensing of images of any size. What blocks leave of a side is cut into
    shorter ones, whose lengths are powers of two.

    Args:
        size: (height, width) of the image.
        order: (side * side,) the pixel of a block that each place of the shuffled block holds; side is a power of two.
    """

    size: tuple[int, int]
    order: Tensor

    scale = 1.0

    def __post_init__(self) -> None:
        side = math.isqrt(len(self.order))
        if side * side != len(self.order) or side.bit_count() != 1:
            raise ValueError(f"blocks of {len(self.order)} pixels are no squares whose sides are powers of two")

    @property
    def side(self) -> int:
        """Of a block, in pixels."""
        return math.isqrt(len(self.order))

    @property
    def grain(self) -> int:
        return self.side

    def __call__(self, x: Tensor) -> Tensor:
        return self._each(x, lambda block, order, _: walsh_hadamard(block[..., order]))

    def adjoint(self, y: Tensor) -> Tensor:
        return self._each(y, lambda block, _, back: walsh_hadamard(block)[..., back])

    def _each(self, x: Tensor, made: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Tensor:
        """Each block, (..., count, pixels), with its shuffling and the way back, put in its place again."""
        out = torch.empty_like(x)
        for rows, height in _block_runs(self.size[0], self.side):
            for columns, width in _block_runs(self.size[1], self.side):
                part = x[..., rows, columns]
                down, along = part.shape[-2] // height, part.shape[-1] // width
                blocks = part.reshape(*x.shape[:-2], down, height, along, width).transpose(-3, -2).flatten(-2)
                order = self.order[self.order < height * width]
                moved = made(blocks, order, order.argsort())
                out[..., rows, columns] = moved.unflatten(-1, (height, width)).transpose(-3, -2).reshape(part.shape)
        return out

    def restrict(self, window: Window) -> "BlockWalsh":
        spans = edges(window, self.size)
        if any(first % self.side or (last % self.side and last < n) for (first, last), n in zip(spans, self.size, strict=True)):
            raise ValueError(f"a window of rows {spans[0]} and columns {spans[1]} cuts through blocks of {self.side} pixels; "
                             "its edges must be multiples of that")
        (top, bottom), (left, right) = spans
        return BlockWalsh((bottom - top, right - left), self.order)

    def footprint(self, window: Window) -> Window:
        return window

    @property
    def spectrum(self) -> Spectrum:
        return Spectrum(torch.ones((), device=self.order.device), self, self.adjoint, same, same)


def _block_runs(length: int, side: int) -> list[tuple[slice, int]]:
    """A side cut into as many blocks of `side` as it holds, then into one block for each power of two in the remainder."""
    whole = length // side * side
    runs = [(slice(0, whole), side)] if whole > 0 else []
    while whole < length:
        side = 1 << ((length - whole).bit_length() - 1)
        runs.append((slice(whole, whole + side), side))
        whole += side
    return runs


def walsh_hadamard(x: Tensor) -> Tensor:
    """The orthonormal Walsh-Hadamard transform of the last axis, in Hadamard's order: its own inverse."""
    length, half = x.shape[-1], 1
    while half < length:
        pairs = x.reshape(*x.shape[:-1], -1, 2, half)
        a, b = pairs[..., 0, :], pairs[..., 1, :]
        x = torch.stack([a + b, a - b], -2).reshape(x.shape)
        half *= 2
    return x / length**0.5
