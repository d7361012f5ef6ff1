"""Cartesian MRI encoding with several sets of coil maps."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ..fft import fft2c, ifft2c
from .coils import Encoding
from .sense import Sense, circulant, uncentred_power, undersampled_axes


@dataclass(frozen=True)
class SoftSense(Encoding):
    """M F (S1 x1 + S2 x2 + ...): images (batch, set, h, w) complex -> k-space (batch, coil, h, w).

    Uecker et al., MRM 71, 2014 (soft-SENSE). Where the field of view is smaller than the object, two places share a pixel, each
    with sensitivities of its own: one image for each set of maps explains both. The sets take the channel place of the image.
    What a set does not see it has the map zero for, and its image is zero there.

    Args:
        maps: coil sensitivities (set, coil, h, w) complex, orthogonal to each other in each pixel.
        mask: as for `Sense`.
    """

    maps: Tensor
    mask: Tensor

    @cached_property
    def support(self) -> Tensor:
        """(1, set, h, w)."""
        return (self.maps.abs().amax(1) > 0).float()[None]

    def __call__(self, x: Tensor) -> Tensor:
        return self.mask * fft2c(images_of_coils(self.maps, x))

    def adjoint(self, y: Tensor) -> Tensor:
        return images_of_sets(self.maps, ifft2c(self.mask * y))

    def normal(self, x: Tensor) -> Tensor:
        """Ah A x, as `Sense.normal` has it."""
        axes = undersampled_axes(self.mask)
        coils = torch.fft.fftn(images_of_coils(self.maps, x), dim=axes)
        coils *= uncentred_power(self.mask)
        return images_of_sets(self.maps, torch.fft.ifftn(coils, dim=axes, norm="forward"))

    def preconditioner(self, gamma: float | Tensor) -> Callable[[Tensor], Tensor]:
        """That of `Sense` for each set, as if the others were not there."""
        inverse, axes = 1 / (1 / gamma + self._circulants), undersampled_axes(self.mask)

        def about_inverse(x: Tensor) -> Tensor:
            return self.support * torch.fft.ifftn(inverse * torch.fft.fftn(x, dim=axes), dim=axes)

        return about_inverse

    @cached_property
    def _circulants(self) -> Tensor:
        """(set, h, w)."""
        return torch.stack([circulant(maps, self.mask, undersampled_axes(self.mask)) for maps in self.maps])


def images_of_coils(maps: Tensor, x: Tensor) -> Tensor:
    """The images of the coils, (batch, coil, h, w), from an image (batch, set, h, w) of each set of maps (set, coil, h, w)."""
    coils = maps[0] * x[:, :1]
    for k in range(1, len(maps)):
        coils = coils.addcmul(maps[k], x[:, k : k + 1])
    return coils


def images_of_sets(maps: Tensor, coils: Tensor) -> Tensor:
    """The adjoint of `images_of_coils`."""
    return torch.stack([(one.conj() * coils).sum(1) for one in maps], 1)


def encoding(maps: Tensor, mask: Tensor) -> Sense | SoftSense:
    """The Cartesian encoding of coil maps (set, coil, h, w): `Sense` of one set, `SoftSense` of several."""
    return Sense(maps, mask) if len(maps) == 1 else SoftSense(maps, mask)
