"""Operators on pixels and neighbourhoods: local, so that a window of the image is a problem of its own."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from ..devices import has_doubles
from ..errors import InputError
from .base import CoIsometry, FromSpectrum, NumbersOperator, Operator, Spectrum, Window, same
from .local import Identity, LocalOperator, PixelOperator

Span = tuple[int, int]  # first and last + 1


def edges(window: Window, size: tuple[int, int]) -> tuple[Span, Span]:
    """(first and last row + 1, the same for columns) of a window of an image of `size`."""
    (top, bottom, _), (left, right, _) = window[0].indices(size[0]), window[1].indices(size[1])
    return (top, bottom), (left, right)


@dataclass(frozen=True)
class Mask(LocalOperator, FromSpectrum):
    """Keeps the pixels where `keep` is 1: inpainting.

    Args:
        keep: (height, width), or (batch, 1, height, width) for one mask an image; 0 or 1.
    """

    keep: Tensor

    def __post_init__(self) -> None:
        if self.keep.ndim < 2:
            raise InputError(f"the mask of pixels has shape {tuple(self.keep.shape)}, and (height, width) is needed")
        if self.keep.device.type == "cpu" and not ((self.keep == 0) | (self.keep == 1)).all():  # a GPU would be waited for
            raise InputError(f"the mask of pixels holds values such as {float(self.keep.max()):g}, and 0 (hidden) or 1 (kept) "
                             "are needed; give (mask > 0).float()")

    @property
    def sampled(self) -> Tensor:
        return self.keep

    @property
    def spectrum(self) -> Spectrum:
        return Spectrum(self.keep, same, same, lambda c: self.keep * c, lambda y: self.keep * y)

    def stacked(self, operators: Sequence[Operator]) -> Operator | None:
        masks = [one for one in operators if isinstance(one, Mask) and type(one) is type(self)]
        if len(masks) < len(operators) or any(one.keep.numel() != one.keep.shape[-2:].numel() for one in masks):
            return None
        if any(replace(one, keep=self.keep) != replace(self, keep=self.keep) for one in masks):
            return None  # a subclass whose further fields differ
        return replace(self, keep=torch.cat([one.keep.reshape(1, 1, *one.keep.shape[-2:]) for one in masks]))

    def restrict(self, window: Window) -> "Mask":
        return Mask(self.keep[(..., *window)])

    def footprint(self, window: Window) -> Window:
        return window

    def coarsen(self, factor: int) -> tuple["Mask", int]:
        """A coarse pixel is known when all of its children are."""
        height, width = self.keep.shape[-2:]
        return Mask((AveragePool(factor, (height, width))(self.keep) == 1).to(self.keep)), factor


def sample_pixels(size: tuple[int, int], fraction: float, *, generator: torch.Generator) -> Mask:
    """A mask that keeps exactly round(fraction * height * width) pixels, drawn at random without replacement.

    Args:
        size: (height, width).
        fraction: of the pixels, 0 to 1.
        generator: on the CPU.
    """
    pixels = math.prod(size)
    keep = torch.zeros(pixels, device="cpu")
    keep[torch.randperm(pixels, generator=generator, device="cpu")[: share(pixels, fraction)]] = 1
    return Mask(keep.reshape(size))


def share(total: int, fraction: float) -> int:
    """How many of `total` a fraction is."""
    if not 0 <= fraction <= 1:
        raise ValueError(f"a fraction lies in 0..1, got {fraction}")
    return round(fraction * total)


@dataclass(frozen=True)
class Crop(NumbersOperator, LocalOperator, CoIsometry):
    """A part of a larger image, by default its centre; its adjoint pads with zeros.

    Args:
        size: (height, width) of the large image.
        inner: (height, width) of the part.
        corner: (row, column) where the part starts; None for (size - inner) // 2.
    """

    size: tuple[int, int]
    inner: tuple[int, int]
    corner: tuple[int, int] | None = None

    scale = 1.0

    @cached_property
    def _corner(self) -> tuple[int, int]:
        if self.corner is not None:
            return self.corner
        return (self.size[0] - self.inner[0]) // 2, (self.size[1] - self.inner[1]) // 2

    @cached_property
    def _padding(self) -> tuple[int, int, int, int]:
        (h, w), (m, n), (top, left) = self.size, self.inner, self._corner
        return left, w - n - left, top, h - m - top

    def __call__(self, x: Tensor) -> Tensor:
        return self._cut(x)

    def adjoint(self, y: Tensor) -> Tensor:
        return self._pad(y)

    def _cut(self, c: Tensor) -> Tensor:
        left, _, top, _ = self._padding
        return c[..., top : top + self.inner[0], left : left + self.inner[1]]

    def _pad(self, y: Tensor) -> Tensor:
        return F.pad(y.expand(*y.shape[:-2], *self.inner), self._padding)

    @property
    def spectrum(self) -> Spectrum:
        return Spectrum(self._pad(torch.ones(1, 1)), same, same, self._cut, self._pad)

    def restrict(self, window: Window) -> "Crop | Identity":
        (top, bottom), (left, right) = edges(window, self.size)
        (first, last), (west, east) = self._overlap(window)
        size, inner = (bottom - top, right - left), (last - first, east - west)
        corner = min(max(first, top), bottom) - top, min(max(west, left), right) - left  # of nothing, where they do not meet
        return Identity() if inner == size else Crop(size, inner, corner)

    def footprint(self, window: Window) -> Window:
        rows, columns = ((a - at, b - at) for (a, b), at in zip(self._overlap(window), self._corner, strict=True))
        return slice(*rows), slice(*columns)

    def _overlap(self, window: Window) -> tuple[Span, Span]:
        """The rows, then columns, of the large image that window and part share."""
        rows, columns = edges(window, self.size)
        (top, left), (height, width) = self._corner, self.inner
        return _clamped(rows, top, top + height), _clamped(columns, left, left + width)

    def coarsen(self, factor: int) -> tuple["Crop", int]:
        sides = (*self.size, *self.inner, *self._corner)
        if any(side % factor for side in sides):
            raise ValueError(f"a crop of {self.inner} from {self.size} pixels at {self._corner} does not follow from means over "
                             f"{factor} x {factor} pixels; sizes and corner must be multiples of the factor")
        h, w, m, n, top, left = (side // factor for side in sides)
        return Crop((h, w), (m, n), (top, left)), factor


def _clamped(span: Span, low: int, high: int) -> Span:
    first, last = (min(max(edge, low), high) for edge in span)
    return first, last


@dataclass(frozen=True)
class AveragePool(NumbersOperator, LocalOperator, CoIsometry):
    """The mean of every patch of factor x factor pixels: super-resolution. Its scale is 1 / factor.

    V is the cosine transform of each patch, whose coefficient (i, j) lies at the patch's pixel (i, j); A sees the
    first.

    Args:
        factor: side of a patch, in pixels.
        size: (height, width) of the image, multiples of the factor.
    """

    factor: int
    size: tuple[int, int]

    def __post_init__(self) -> None:
        if self.factor < 1 or any(side % self.factor for side in self.size):
            raise ValueError(f"an image of {self.size} pixels does not divide into patches of {self.factor} x {self.factor}; "
                             "crop or pad it to a multiple of the factor")

    @property
    def scale(self) -> float:
        return 1 / self.factor

    @property
    def grain(self) -> int:
        return self.factor

    def __call__(self, x: Tensor) -> Tensor:
        return self._patches(x).mean((-3, -1))

    def adjoint(self, y: Tensor) -> Tensor:
        return y.repeat_interleave(self.factor, -2).repeat_interleave(self.factor, -1) / self.factor**2

    def _patches(self, x: Tensor) -> Tensor:
        """(..., h, w) -> (..., h/r, r, w/r, r)."""
        (h, w), r = self.size, self.factor
        return x.reshape(*x.shape[:-2], h // r, r, w // r, r)

    def _cosines(self, x: Tensor) -> Tensor:
        """The orthonormal cosine transform (type II) as a matrix, (frequency, pixel)."""
        r, dtype = self.factor, torch.float64 if has_doubles(x.device) else torch.float32
        frequency, pixel = torch.arange(r, dtype=dtype, device=x.device), torch.arange(r, dtype=dtype, device=x.device)
        D = torch.cos(math.pi / r * frequency[:, None] * (pixel + 0.5)) * (2 / r) ** 0.5
        D[0] /= 2**0.5
        return D.to(x.dtype)

    def _analyse(self, x: Tensor) -> Tensor:
        D = self._cosines(x)
        return torch.einsum("...yaxb,ia,jb->...yixj", self._patches(x), D, D).reshape(x.shape)

    def _synthesise(self, c: Tensor) -> Tensor:
        D = self._cosines(c)
        return torch.einsum("...yixj,ia,jb->...yaxb", self._patches(c), D, D).reshape(c.shape)

    def _unmeasure(self, y: Tensor) -> Tensor:
        c = y.new_zeros(*y.shape[:-2], *self.size)
        c[..., :: self.factor, :: self.factor] = y
        return c

    @property
    def spectrum(self) -> Spectrum:
        s = self._unmeasure(torch.full((1, 1), self.scale))
        every = slice(None, None, self.factor)
        return Spectrum(s, self._analyse, self._synthesise, lambda c: c[..., every, every], self._unmeasure)

    def restrict(self, window: Window) -> "AveragePool":
        rows, columns = self.footprint(window)
        return AveragePool(self.factor, ((rows.stop - rows.start) * self.factor, (columns.stop - columns.start) * self.factor))

    def footprint(self, window: Window) -> Window:
        rows, columns = edges(window, self.size)
        if any(edge % self.factor for edge in (*rows, *columns)):
            raise ValueError(f"a window of rows {rows[0]}-{rows[1]} and columns {columns[0]}-{columns[1]} cuts through patches "
                             f"of {self.factor} x {self.factor} pixels; its edges must be multiples of the factor")
        return slice(rows[0] // self.factor, rows[1] // self.factor), slice(columns[0] // self.factor, columns[1] // self.factor)

    def coarsen(self, factor: int) -> "tuple[AveragePool | Identity, int]":
        r = self.factor
        if r % factor and factor % r:
            raise ValueError(f"means over {r} x {r} pixels do not follow from means over {factor} x {factor}; "
                             "one factor must be a multiple of the other")
        if r <= factor:
            return Identity(), factor // r
        return AveragePool(r // factor, (self.size[0] // factor, self.size[1] // factor)), 1


@dataclass(frozen=True)
class Grayscale(NumbersOperator, PixelOperator, CoIsometry):
    """A weighted sum of the channels: colorization. Its scale is the norm of the weights.

    V reflects the channels so that the first becomes the direction of the weights (Householder).

    Args:
        weights: one number a channel, not all zero.
    """

    weights: tuple[float, ...] = (1 / 3, 1 / 3, 1 / 3)

    def __post_init__(self) -> None:
        if not any(self.weights):
            raise ValueError("weights that are all zero measure nothing; give one channel a weight")

    @property
    def scale(self) -> float:
        return math.hypot(*self.weights)

    def __call__(self, x: Tensor) -> Tensor:
        return _weighted_channels(self.weights, x)

    def adjoint(self, y: Tensor) -> Tensor:
        return _times(self.weights, y)

    def _reflect(self, x: Tensor) -> Tensor:
        """Q x along the channels: Q is symmetric, its own inverse, and its first row is weights / scale."""
        u = [weight / self.scale for weight in self.weights]
        sign = 1.0 if u[0] < 0 else -1.0  # of the two reflections the one whose mirror is not degenerate
        v = [u[0] - sign, *u[1:]]
        return sign * (x - _times([2 * one / math.hypot(*v) ** 2 for one in v], _weighted_channels(v, x)))

    def _unmeasure(self, y: Tensor) -> Tensor:
        return F.pad(y, (0, 0, 0, 0, 0, len(self.weights) - 1))

    @property
    def spectrum(self) -> Spectrum:
        s = self._unmeasure(torch.full((1, 1, 1), self.scale))
        return Spectrum(s, self._reflect, self._reflect, lambda c: c[:, :1], self._unmeasure)


@dataclass(frozen=True)
class Chroma(NumbersOperator, PixelOperator, FromSpectrum):
    """What `Grayscale` of the same weights does not see: the channels across the direction of the weights.

    Its measurement is (batch, channels - 1, height, width); where it is zero all channels are multiples of the weights.

    Args:
        weights: one number a channel, at least two, not all zero.
    """

    weights: tuple[float, ...] = (1 / 3, 1 / 3, 1 / 3)

    @property
    def spectrum(self) -> Spectrum:
        reflect = Grayscale(self.weights)._reflect
        s = F.pad(torch.ones(len(self.weights) - 1, 1, 1), (0, 0, 0, 0, 1, 0))
        return Spectrum(s, reflect, reflect, lambda c: c[:, 1:], lambda y: F.pad(y, (0, 0, 0, 0, 1, 0)))


def _weighted_channels(weights: Sequence[float], x: Tensor) -> Tensor:
    """The weighted sum of the channels, (batch, 1, h, w), by numbers on the host: nothing is copied to the device."""
    if x.shape[1] != len(weights):
        raise InputError(f"{len(weights)} channels are weighed, and the image has {x.shape[1]}; give as many weights as channels")
    first, *others = (weight * channel for weight, channel in zip(weights, x.split(1, 1), strict=True))
    return sum(others, first)


def _times(weights: Sequence[float], y: Tensor) -> Tensor:
    """A channel (batch, 1, h, w) times each of the weights, as so many channels."""
    if y.shape[1] != 1:
        raise InputError(f"a weighted sum of channels is one channel, and the data have {y.shape[1]}")
    return torch.cat([weight * y for weight in weights], 1)
