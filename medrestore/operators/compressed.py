"""Compressed sensing: random patterns over the whole image."""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from .base import FromSpectrum, Spectrum
from .image import share


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


def walsh_hadamard(x: Tensor) -> Tensor:
    """The orthonormal Walsh-Hadamard transform of the last axis, in Hadamard's order: its own inverse."""
    length, half = x.shape[-1], 1
    while half < length:
        pairs = x.reshape(*x.shape[:-1], -1, 2, half)
        a, b = pairs[..., 0, :], pairs[..., 1, :]
        x = torch.stack([a + b, a - b], -2).reshape(x.shape)
        half *= 2
    return x / length**0.5
