"""Cartesian MRI encoding."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import torch
from torch import Tensor

from ..fft import fft2c, ifft2c
from .base import FromSpectrum, LinearOperator, SpectralOperator, Spectrum, Window

BLOCK_BYTES = 2**20  # coil images handled at once on a CPU: about what stays in its cache

Item = TypeVar("Item")
Result = TypeVar("Result")


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
        for rows, maps in self._blocks:
            conjugate = maps.conj().resolve_conj()
            images = max(1, BLOCK_BYTES // maps.nbytes) if x.device.type == "cpu" else len(x)
            for image, result in zip(x.split(images), out.split(images), strict=True):
                coils = torch.fft.fftn(maps * image[:, :, rows], dim=axes)
                coils *= self._uncentred_mask
                coils = torch.fft.ifftn(coils, dim=axes, norm="forward")
                if maps.shape[1] == 1:  # one pass over memory instead of three
                    result[:, :, rows].addcmul_(conjugate, coils)
                else:
                    coils *= conjugate
                    result[:, :, rows] += coils.sum(1, keepdim=True)
        return out

    @cached_property
    def _uncentred_mask(self) -> Tensor:
        """The mask for transforms without shifts, over the factor that a pair of them without any leaves behind."""
        return torch.fft.ifftshift(self.mask, dim=(-2, -1)) / self.mask.numel()

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
        return tuple((rows, virtual_coils(self.maps[0, :, rows])[None]) for rows in blocks)

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
        box: the rows and columns that hold the object; outside, V is the identity and s is 0.
        vectors: (rows, columns, columns) complex: column k of matrix r is the k-th right singular vector of row r.
        s: (h, w) singular values, 0 in the null space.
    """

    sense: Sense
    box: Window
    vectors: Tensor
    s: Tensor

    @classmethod
    def of(cls, sense: Sense, *, cutoff: float) -> "SpectralSense":
        """Diagonalises `sense`; see `Sense.spectral`."""
        maps = sense.maps[0].to(torch.complex64)  # (coil, h, w)
        seen = (maps != 0).any(0)
        rows, columns = span(seen.any(1)), span(seen.any(0))
        kernel = torch.fft.ifft(sense._uncentred_mask[0].to(maps.dtype), norm="forward")
        index = torch.arange(maps.shape[-1], device=maps.device)
        circulant = kernel[(index[:, None] - index) % len(index)]

        def diagonalise(r: int) -> tuple[slice, Tensor, Tensor]:
            inside = span(seen[r])
            row = maps[:, r, inside]
            return inside, *eigh(circulant[inside, inside] * (row.conj().T @ row))

        nothing = torch.eye(columns.stop - columns.start, dtype=maps.dtype, device=maps.device)
        vectors = nothing.repeat(rows.stop - rows.start, 1, 1)
        s = torch.zeros(maps.shape[1:], device=maps.device)
        lines = range(rows.start, rows.stop)
        for r, (inside, eigenvalues, basis) in zip(lines, in_threads(diagonalise, lines, maps.device), strict=True):
            here = slice(inside.start - columns.start, inside.stop - columns.start)
            vectors[r - rows.start, here, here] = basis
            s[r, inside] = eigenvalues.clamp(min=0).sqrt()
        return cls(sense, (rows, columns), vectors, torch.where(s > cutoff, s, 0.0))

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
        c, here = x.clone(), (..., *self.box)
        rows = x[here][:, 0].transpose(0, 1).conj().resolve_conj()  # conjugate the image, not the far larger vectors
        c[here] = (rows @ self.vectors).transpose(0, 1)[:, None].conj()
        return c

    def _synthesise(self, c: Tensor) -> Tensor:
        x, here = c.clone(), (..., *self.box)
        rows = c[here][:, 0].transpose(0, 1)
        # one image: a matrix that is read in its own order, times a vector, takes two thirds of the time
        product = (self.vectors @ rows.mT).mT if len(c) == 1 else rows @ self.vectors.mT
        x[here] = product.transpose(0, 1)[:, None]
        return x

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


def eigh(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues and eigenvectors of a Hermitian complex64 matrix, both in single precision.

    Divide and conquer in single precision now and then fails to converge where many eigenvalues are nearly equal, as
    those in the null space are; in double precision it does.
    """
    try:
        return torch.linalg.eigh(matrix)
    except torch.linalg.LinAlgError:
        values, vectors = torch.linalg.eigh(matrix.to(torch.complex128))
        return values.float(), vectors.to(matrix.dtype)


def virtual_coils(maps: Tensor) -> Tensor:
    """As few maps as have the Gram matrices of these in every row: (coil, row, w) to (virtual coil, row, w).

    Where the readout transform cancels, the coils of each row may be mixed by a unitary matrix of its own, and along the
    principal axes the last are nearly empty. Ah A changes by no more, in norm, than the most energy left out at a pixel,
    which is held to the rounding of the transforms.
    """
    rows = maps.transpose(0, 1).to(torch.complex128)
    rows = torch.linalg.eigh(rows @ rows.mH)[1].flip(-1).mH @ rows
    energy = rows.abs().square().flip(1).cumsum(1).flip(1).amax((0, 2))  # of each virtual coil and those after it
    needed = max(1, int((energy > 2.5 * torch.finfo(maps.dtype).eps * energy[0]).sum()))
    return rows[:, :needed].transpose(0, 1).to(maps.dtype).contiguous()


def span(seen: Tensor) -> slice:
    """From the first to the last that is not zero."""
    where = seen.nonzero()[:, 0].tolist()
    return slice(where[0], where[-1] + 1) if where else slice(0, 0)


def in_threads(work: Callable[[Item], Result], items: Iterable[Item], device: torch.device) -> Iterator[Result]:
    """`work` of each item, in order, for many matrices of a few hundred rows.

    On a CPU in as many Python threads as torch has, each with one thread for its linear algebra, which gains nothing from
    more at this size; torch has one thread as long as results are awaited, so that none spin on the cores of these. The
    results have the same bits for any number of threads.
    """
    if device.type != "cpu":
        yield from map(work, items)
        return
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield from pool.map(work, items)
    finally:
        torch.set_num_threads(threads)
