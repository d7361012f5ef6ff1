"""Cartesian MRI encoding."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ..devices import decomposing
from ..errors import InputError
from ..fft import fft2c, ifft2c
from .coils import CoilEncoding
from .sense_exact import ResolvedSense, SpectralSense, span

LEAST = 0.05  # share of the largest entry of the preconditioner's diagonal that none is below
BLOCK_BYTES = 2**20  # coil images handled at once on a CPU: about what stays in its cache


@dataclass(frozen=True)
class Sense(CoilEncoding):
    """M F S: image (batch, 1, h, w) complex -> k-space (batch, coil, h, w). Pruessmann et al., MRM 42, 1999.

    Args:
        maps: coil sensitivities (1, coil, h, w) complex, zero where there is no object.
        mask: (1, w) when only the phase-encode axis (the last) is undersampled, (h, w) otherwise; 0 where not sampled, 1
            elsewhere, or the weights of the samples, for data weighted alike whose noise would else differ.
    """

    maps: Tensor
    mask: Tensor

    def __post_init__(self) -> None:
        if self.maps.ndim != 4 or not (self.maps.is_complex() or self.maps.is_floating_point()):
            raise InputError(f"coil maps are (1, coil, height, width) complex, and these have shape {tuple(self.maps.shape)} "
                             f"and type {self.maps.dtype}; give maps such as mri.espirit makes")
        height, width = self.maps.shape[-2:]
        if self.mask.ndim < 2 or self.mask.shape[-1] != width or self.mask.shape[-2] not in (1, height):
            raise InputError(f"the mask has shape {tuple(self.mask.shape)}, and maps of {height} x {width} need (1, {width}) or "
                             f"({height}, {width})")

    @cached_property
    def support(self) -> Tensor:
        return (self.maps[0].abs().amax(0) > 0).float()

    @property
    def one_axis(self) -> bool:
        """Whether the mask undersamples the phase-encode axis only."""
        return self.mask.shape[-2] == 1

    def __call__(self, x: Tensor) -> Tensor:
        return self.mask * fft2c(self.maps * x)

    def adjoint(self, y: Tensor) -> Tensor:
        return (self.maps.conj() * ifft2c(self.mask * y)).sum(1, keepdim=True)

    def normal(self, x: Tensor) -> Tensor:
        """Ah A x, without the shifts and, for a mask along one axis, without the readout transform.

        Masking k-space is a circular convolution of the image; convolutions commute with the cyclic shifts of the
        centred transforms, and along a fully sampled axis there is nothing to convolve.
        """
        axes, out = self._axes, torch.zeros_like(x)
        for rows, maps in self._blocks:
            conjugate = maps.conj().resolve_conj()
            images = max(1, BLOCK_BYTES // maps.nbytes) if x.device.type == "cpu" else len(x)
            for image, result in zip(x.split(images), out.split(images), strict=True):
                coils = torch.fft.fftn(maps * image[:, :, rows], dim=axes)
                coils *= self._uncentred_power
                coils = torch.fft.ifftn(coils, dim=axes, norm="forward")
                if maps.shape[1] == 1:  # one pass over memory instead of three
                    result[:, :, rows].addcmul_(conjugate, coils)
                else:
                    coils *= conjugate
                    result[:, :, rows] += coils.sum(1, keepdim=True)
        return out

    def preconditioner(self, gamma: float | Tensor) -> Callable[[Tensor], Tensor]:
        """The circulant matrix that has the diagonal of Ah A in k-space, I / gamma added, inverted.

        After Chan, SIAM J. Sci. Stat. Comput. 9:766, 1988: of all circulant matrices the nearest to Ah A. It takes frequencies
        far from all that were sampled for nearly unmeasured, which the coils make them less than they look; so the diagonal is
        held above a share of its largest entry. That saves a fifth to two fifths of the steps to a residual of 1e-2, and 40 to
        50 % of those to 1e-4, for every kind of mask (docs/speed.md).
        """
        inverse = 1 / (1 / gamma + self._circulant)

        def about_inverse(x: Tensor) -> Tensor:
            return self.support * torch.fft.ifftn(inverse * torch.fft.fftn(x, dim=self._axes), dim=self._axes)

        return about_inverse

    @property
    def _axes(self) -> tuple[int, ...]:
        return undersampled_axes(self.mask)

    @cached_property
    def _circulant(self) -> Tensor:
        """(h, w): see `circulant`."""
        return circulant(self.maps[0], self.mask, self._axes)

    @cached_property
    def _uncentred_power(self) -> Tensor:
        return uncentred_power(self.mask)

    @cached_property
    def _blocks(self) -> tuple[tuple[slice, Tensor], ...]:
        """Rows and maps (1, coil, row, w) that together make Ah A: blocks of rows, or coils; one block on a GPU."""
        coils, height = self.maps.shape[1:3]
        block = BLOCK_BYTES if self.maps.device.type == "cpu" else self.maps.nbytes
        if not self.one_axis:
            step = max(1, block * coils // self.maps.nbytes)
            return tuple((slice(None), maps) for maps in self.maps.split(step, dim=1))
        step = max(1, 2 * block * height // self.maps.nbytes)  # virtual coils are about half as many
        seen = span(self.support.any(1))
        blocks = (slice(i, min(i + step, seen.stop)) for i in range(seen.start, seen.stop, step))
        return tuple((rows, virtual_maps(self.maps[0, :, rows])[None]) for rows in blocks)

    def spectral(self, *, cutoff: float = 1e-3) -> SpectralSense:
        """The same operator with its exact singular value decomposition; for masks along the phase-encode axis only.

        Args:
            cutoff: singular values below this (they lie in 0..1 for unit-norm maps) count as null space. The spectrum
                has no gap, so a noise-free pseudo-inverse needs the choice; methods that know the noise hardly feel it.

        Raises:
            TypeError: when both axes are undersampled; nothing smaller than the whole image then factorises.
        """
        self._check_one_axis("an exact spectrum")
        return SpectralSense.of(self, cutoff=cutoff)

    def resolvent(self, gamma: float) -> ResolvedSense:
        """The same operator with its exact data step at one gamma; for masks along the phase-encode axis only.

        A third of the set-up of `spectral` and half the time of its data steps, for methods that never change gamma.

        Args:
            gamma: weight of the data, finite and positive.

        Raises:
            TypeError: when both axes are undersampled.
            ValueError: gamma is not finite and positive.
        """
        self._check_one_axis("an exact resolvent")
        if not 0 < gamma < math.inf:
            raise ValueError(f"a resolvent needs a finite positive gamma, got {gamma}")
        return ResolvedSense.of(self, gamma)

    def _check_one_axis(self, what: str) -> None:
        if not self.one_axis:
            raise TypeError(f"Sense has {what} only for masks along one phase-encode axis; "
                            "take a method that needs a LinearOperator or less")


def undersampled_axes(mask: Tensor) -> tuple[int, ...]:
    """The axes along which a mask (1, w) or (h, w) undersamples."""
    return (-1,) if mask.shape[-2] == 1 else (-2, -1)


def uncentred_power(mask: Tensor) -> Tensor:
    """A mask squared for transforms without shifts, over the factor that a pair of them without any leaves behind."""
    return torch.fft.ifftshift(mask.square(), dim=(-2, -1)) / mask.numel()


def circulant(maps: Tensor, mask: Tensor, axes: tuple[int, ...]) -> Tensor:
    """(h, w): diagonal of F Ah A Fh, held up, without shifts: the squared mask correlated with the power of the maps.

    Args:
        maps: (coil, h, w).
        axes: along which the mask undersamples.
    """
    power = torch.fft.fftn(maps, dim=axes, norm="ortho").abs().square().sum(0)
    power, weights = (torch.fft.fftn(each, dim=axes) for each in (power, uncentred_power(mask)))
    diagonal = torch.fft.ifftn(power.conj() * weights, dim=axes).real
    return torch.maximum(diagonal, LEAST * diagonal.amax(axes, keepdim=True))


def virtual_maps(maps: Tensor) -> Tensor:
    """As few maps as have the Gram matrices of these in every row: (coil, row, w) to (virtual coil, row, w).

    Where the readout transform cancels, the coils of each row may be mixed by a unitary matrix of its own, and along the
    principal axes the last are nearly empty. Ah A changes by no more, in norm, than the most energy left out at a pixel,
    which is held to the rounding of the transforms.
    """
    rows = maps.transpose(0, 1).to(decomposing(maps.device)).to(torch.complex128)
    rows = torch.linalg.eigh(rows @ rows.mH)[1].flip(-1).mH @ rows
    energy = rows.abs().square().flip(1).cumsum(1).flip(1).amax((0, 2))  # of each virtual coil and those after it
    needed = max(1, int((energy > 2.5 * torch.finfo(maps.dtype).eps * energy[0]).sum()))
    return rows[:, :needed].transpose(0, 1).to(maps.dtype).contiguous().to(maps.device)
