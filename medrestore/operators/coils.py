"""MRI encodings, and the images of their coils."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..fft import fft2c, ifft2c
from .base import FromSpectrum, LinearOperator, SpectralOperator, Spectrum, same
from .representation import ShortRepr


@dataclass(frozen=True, repr=False)
class Coils(ShortRepr):
    """The images of all coils, (batch * coil, channel, height, width), those of the first image first.

    Attributes:
        count: of the coils.
        measure: what is measured of the image of a coil, (batch * coil, 1, h, w) in all.
        spread: the images of the coils from the image, S x.
        combine: the adjoint of `spread`, which for maps of unit norm is its pseudo-inverse.
        root: the root of the sum of squares, with the phase that `combine` gives.
    """

    count: int
    measure: SpectralOperator
    spread: Callable[[Tensor], Tensor]
    combine: Callable[[Tensor], Tensor]
    root: Callable[[Tensor], Tensor]


class CoilOperator(LinearOperator):
    """An MRI encoding, in whatever coordinates its image is."""

    @property
    @abstractmethod
    def coils(self) -> Coils:
        """The images of its coils, in the same coordinates."""


class Encoding(LinearOperator):
    """An MRI encoding M F S of a complex image, whose calibration lines give a low-resolution image.

    Attributes:
        mask: (1, w) or (h, w), 0 or 1, or weights of the samples.
        maps: coil sensitivities (set, coil, h, w), or None for a single coil.
    """

    if TYPE_CHECKING:

        @property
        def mask(self) -> Tensor: ...

        @property
        def maps(self) -> Tensor | None: ...

    @property
    def sampled(self) -> Tensor:
        return self.mask

    @property
    def sets(self) -> int:
        """Of coil maps."""
        return 1 if self.maps is None else len(self.maps)


class CoilEncoding(Encoding, CoilOperator):
    """An encoding with one set of maps, which is one image of each coil."""

    @property
    def coils(self) -> Coils:
        maps, measure = self.maps, SingleCoil(self.mask)
        if maps is None:
            return Coils(1, measure, same, same, same)
        count = maps.shape[1]

        def apart(images: Tensor) -> Tensor:
            return images.reshape(-1, count, *images.shape[-2:])

        def combine(images: Tensor) -> Tensor:
            return (maps.conj() * apart(images)).sum(1, keepdim=True)

        return Coils(
            count, measure, lambda x: (maps * x).reshape(-1, 1, *x.shape[-2:]), combine,
            lambda images: torch.linalg.vector_norm(apart(images), dim=1, keepdim=True) * torch.sgn(combine(images)),
        )


@dataclass(frozen=True)
class SingleCoil(FromSpectrum, CoilEncoding):
    """M F: image (batch, 1, h, w) complex -> k-space of the same shape, zero where not sampled.

    Args:
        mask: (1, w) or (h, w), 0 or 1, or weights of the samples.
    """

    mask: Tensor

    @property
    def maps(self) -> None:
        return None

    @property
    def spectrum(self) -> Spectrum:
        seen = (self.mask > 0).to(self.mask.dtype)
        return Spectrum(self.mask, fft2c, ifft2c, lambda c: seen * c, lambda y: seen * y)
