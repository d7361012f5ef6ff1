"""Cartesian MRI encoding."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ..fft import fft2c, ifft2c
from .base import FromSpectrum, LinearOperator, SpectralOperator, Spectrum

BLOCK_BYTES = 2**21  # coil images handled at once on a CPU: about what stays in its cache


@dataclass(frozen=True)
class SingleCoil(FromSpectrum):
    """M F: image (batch, 1, h, w) complex -> k-space of the same shape, zero where not sampled.

    Args:
        mask: (1, w) or (h, w), 0 or 1.
    """

    mask: Tensor

    @property
    def sampled(self) -> Tensor:
        return self.mask

    @property
    def spectrum(self) -> Spectrum:
        return Spectrum(self.mask, fft2c, ifft2c, lambda c: self.mask * c, lambda y: self.mask * y)


@dataclass(frozen=True)
class Sense(LinearOperator):
    """M F S: image (batch, 1, h, w) complex -> k-space (batch, coil, h, w). Pruessmann et al., MRM 42, 1999.

    Args:
        maps: coil sensitivities (1, coil, h, w) complex, zero where there is no object.
        mask: (1, w) when only the phase-encode axis (the last) is undersampled, (h, w) otherwise; 0 or 1.
    """

    maps: Tensor
    mask: Tensor

    @cached_property
    def support(self) -> Tensor:
        return (self.maps[0].abs().amax(0) > 0).float()

    @property
    def sampled(self) -> Tensor:
        return self.mask

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
        axes = (-1,) if self.one_axis else (-2, -1)
        out = torch.zeros_like(x)
        for rows, coils in self._blocks(x):
            maps = self.maps[:, coils, rows]
            kspace = torch.fft.fftn(maps * x[:, :, rows], dim=axes)
            kspace *= self._uncentred_mask
            out[:, :, rows] += (maps.conj() * torch.fft.ifftn(kspace, dim=axes)).sum(1, keepdim=True)
        return out

    @cached_property
    def _uncentred_mask(self) -> Tensor:
        return torch.fft.ifftshift(self.mask, dim=(-2, -1))

    def _blocks(self, x: Tensor) -> Iterator[tuple[slice, slice]]:
        """(rows, coils) that together cover every coil image; one block on a GPU."""
        coils, height = self.maps.shape[1:3]
        everything = slice(None)
        if x.device.type != "cpu":
            yield everything, everything
        elif self.one_axis:
            step = max(1, BLOCK_BYTES // (x[:, :, :1].nbytes * coils))
            yield from ((slice(i, i + step), everything) for i in range(0, height, step))
        else:
            step = max(1, BLOCK_BYTES // x.nbytes)
            yield from ((everything, slice(i, i + step)) for i in range(0, coils, step))

    def spectral(self, *, cutoff: float = 1e-3) -> "SpectralSense":
        """The same operator with its exact singular value decomposition; for masks along the phase-encode axis only.

        Args:
            cutoff: singular values below this (they lie in 0..1 for unit-norm maps) count as null space. The spectrum
                has no gap, so a noise-free pseudo-inverse needs the choice; methods that know the noise hardly feel it.

        Raises:
            TypeError: when both axes are undersampled; nothing smaller than the whole image then factorises.
        """
        if not self.one_axis:
            raise TypeError("Sense has an exact spectrum only for masks along one phase-encode axis; "
                            "DDS, DiffPIR and DPS need no spectrum")
        return SpectralSense.of(self, cutoff=cutoff)


@dataclass(frozen=True)
class SpectralSense(SpectralOperator):
    """`Sense` for masks along one phase-encode axis, diagonalised.

    The readout transform cancels in Ah A. What is left is, for every readout position r, one Hermitian matrix over the
    phase-encode axis, (circulant of the mask) o (Gram matrix of the maps at r); its eigenvectors are V, the square
    roots of its eigenvalues s.

    Args:
        sense: the operator itself.
        vectors: (h, w, w) complex: column k of matrix r is the k-th right singular vector of readout position r.
        s: (h, w) singular values, 0 in the null space.
    """

    sense: Sense
    vectors: Tensor
    s: Tensor

    @classmethod
    def of(cls, sense: Sense, *, cutoff: float) -> "SpectralSense":
        """Diagonalises `sense`; see `Sense.spectral`."""
        maps = sense.maps[0]  # (coil, h, w)
        height, width = maps.shape[1:]
        kernel = torch.fft.ifft(sense._uncentred_mask[0].to(maps.dtype))
        index = torch.arange(width, device=maps.device)
        circulant = kernel[(index[:, None] - index) % width]
        vectors = torch.empty(height, width, width, dtype=maps.dtype, device=maps.device)
        s = torch.empty(height, width, device=maps.device)
        for r in range(height):
            row = maps[:, r].to(torch.complex64)
            eigenvalues, vectors[r] = torch.linalg.eigh(circulant * (row.conj().T @ row))
            s[r] = eigenvalues.clamp(min=0).sqrt()
        return cls(sense, vectors, torch.where(s > cutoff, s, 0.0))

    @property
    def support(self) -> Tensor:
        return self.sense.support

    @property
    def sampled(self) -> Tensor:
        return self.sense.mask

    def __call__(self, x: Tensor) -> Tensor:
        return self.sense(x)

    def adjoint(self, y: Tensor) -> Tensor:
        return self.sense.adjoint(y)

    def normal(self, x: Tensor) -> Tensor:
        return self.sense.normal(x)

    def _analyse(self, x: Tensor) -> Tensor:
        rows = x[:, 0].transpose(0, 1).conj().resolve_conj()  # conjugate the image, not the far larger vectors
        return torch.matmul(rows, self.vectors).transpose(0, 1)[:, None].conj().resolve_conj()

    def _synthesise(self, c: Tensor) -> Tensor:
        return torch.matmul(c[:, 0].transpose(0, 1), self.vectors.mT).transpose(0, 1)[:, None]

    @property
    def spectrum(self) -> Spectrum:
        inverse = torch.where(self.s > 0, 1 / self.s.where(self.s > 0, 1.0), 0.0)
        return Spectrum(
            self.s,
            self._analyse,
            self._synthesise,
            lambda c: self.sense(self._synthesise(inverse * c)),  # U = A V / s
            lambda y: inverse * self._analyse(self.sense.adjoint(y)),
        )
