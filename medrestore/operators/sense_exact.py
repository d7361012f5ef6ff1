"""`Sense` for masks along one phase-encode axis, solved exactly.

The readout transform cancels in Ah A. What is left is, for every readout position r, one Hermitian matrix over the
phase-encode axis: (circulant of the squared mask) o (Gram matrix of the maps at r). Its eigendecomposition gives the singular
values and every data step; its inverse, with the identity added, one data step at half the price.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor

from .base import Encoding, ResolventOperator, SpectralOperator, Spectrum, Window
from .sense_rows import by_row, by_row_adjoint, corrected_by_row

if TYPE_CHECKING:
    from .sense import Sense

SINGLE = 100.0  # largest gamma at which a matrix is inverted in single precision: the error is about 1e-7 gamma

Item = TypeVar("Item")
Result = TypeVar("Result")


class KnownSense(Encoding):
    """`sense` itself, with an exact data step.

    Attributes:
        sense: the operator.
    """

    if TYPE_CHECKING:

        @property
        def sense(self) -> "Sense": ...

    @property
    def mask(self) -> Tensor:
        return self.sense.mask

    @property
    def maps(self) -> Tensor:
        return self.sense.maps

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

    def preconditioner(self, gamma: float | Tensor) -> Callable[[Tensor], Tensor]:
        return self.sense.preconditioner(gamma)


@dataclass(frozen=True)
class SpectralSense(KnownSense, SpectralOperator):
    """`Sense` for masks along one phase-encode axis, diagonalised: the eigenvectors are V, the roots of the eigenvalues s.

    Args:
        sense: the operator itself.
        box: the rows and columns that hold the object; outside, V is the identity and s is 0.
        basis: (rows, columns, columns) complex: Vh of every row, so row k of matrix r is the k-th right singular vector of
            row r, conjugated.
        s: (h, w) singular values, 0 in the null space.
    """

    sense: "Sense"
    box: Window
    basis: Tensor
    s: Tensor

    @classmethod
    def of(cls, sense: "Sense", *, cutoff: float) -> "SpectralSense":
        """Diagonalises `sense`; see `Sense.spectral`."""
        box, solved = each_row(sense, eigh, torch.complex64)
        maps = sense.maps
        basis, s = identities(box, maps.to(torch.complex64)), torch.zeros(maps.shape[2:], device=maps.device)
        for row, inside, (eigenvalues, vectors) in solved:
            here = slice(inside.start - box[1].start, inside.stop - box[1].start)
            basis[row - box[0].start, here, here] = vectors.mH
            s[row, inside] = eigenvalues.clamp(min=0).sqrt()
        return cls(sense, box, basis, torch.where(s > cutoff, s, 0.0))

    def _analyse(self, x: Tensor) -> Tensor:
        c, here = x.clone(), (..., *self.box)
        c[here] = by_row(self.basis, x[here])
        return c

    def _synthesise(self, c: Tensor) -> Tensor:
        x, here = c.clone(), (..., *self.box)
        x[here] = by_row_adjoint(self.basis, c[here])
        return x

    @cached_property
    def _seen(self) -> slice:
        """The columns of the box in which any row has a singular value: eigenvalues ascend, so the null space comes first."""
        return span((self.s[self.box] > 0).any(0))

    def _correct(self, x: Tensor, trust: Tensor, target: Tensor) -> Tensor:
        """`Spectrum.correct` without the coefficients of the null space, which stay as they are."""
        (rows, columns), seen = self.box, self._seen
        range_ = (..., rows, slice(columns.start + seen.start, columns.start + seen.stop))
        out = x.clone()
        out[..., rows, columns] = corrected_by_row(self.basis[:, seen], x[..., rows, columns], trust[range_], target[range_])
        return out

    @property
    def spectrum(self) -> Spectrum:
        inverse = torch.where(self.s > 0, 1 / self.s.where(self.s > 0, 1.0), 0.0)
        return Spectrum(
            self.s,
            self._analyse,
            self._synthesise,
            lambda c: self.sense(self._synthesise(inverse * c)),  # U = A V / s
            lambda y: inverse * self._analyse(self.sense.adjoint(y)),
            self._correct,
        )


@dataclass(frozen=True)
class ResolvedSense(KnownSense, ResolventOperator):
    """`Sense` for masks along one phase-encode axis, with its data step at one gamma: a product by one matrix for each row.

    Args:
        sense: the operator itself.
        gamma: the weight of the data.
        box: the rows and columns that hold the object; outside, a data step changes nothing.
        inverses: (rows, columns, columns) complex: (I + gamma Ah A)^-1 of every row.
    """

    sense: "Sense"
    gamma: float
    box: Window
    inverses: Tensor

    @classmethod
    def of(cls, sense: "Sense", gamma: float) -> "ResolvedSense":
        """Inverts for one gamma; see `Sense.resolvent`."""

        def invert(matrix: Tensor) -> Tensor:
            matrix *= gamma
            matrix.diagonal().add_(1)
            return torch.cholesky_inverse(torch.linalg.cholesky(matrix))

        box, solved = each_row(sense, invert, torch.complex64 if gamma <= SINGLE else torch.complex128)
        inverses = identities(box, sense.maps.to(torch.complex64))
        for row, inside, inverse in solved:
            here = slice(inside.start - box[1].start, inside.stop - box[1].start)
            inverses[row - box[0].start, here, here] = inverse.to(inverses.dtype)
        return cls(sense, gamma, box, inverses)

    def resolve(self, x: Tensor) -> Tensor:
        out, here = x.clone(), (..., *self.box)
        out[here] = by_row(self.inverses, x[here])
        return out


def identities(box: Window, like: Tensor) -> Tensor:
    """An identity matrix (rows, columns, columns) for every row of the box."""
    rows, columns = (side.stop - side.start for side in box)
    return torch.eye(columns, dtype=like.dtype, device=like.device).repeat(rows, 1, 1)


def each_row(sense: "Sense", work: Callable[[Tensor], Result],
             dtype: torch.dtype) -> tuple[Window, Iterator[tuple[int, slice, Result]]]:
    """`work` of every readout row's matrix in Ah A, restricted to the columns that hold the object.

    Returns:
        The rows and columns that hold the object, and for each of these rows its number, its columns and the result.
    """
    maps = sense.maps[0].to(dtype)  # (coil, h, w)
    seen = (maps != 0).any(0)
    rows, columns = span(seen.any(1)), span(seen.any(0))
    kernel = torch.fft.ifft(torch.fft.ifftshift(sense.mask[0].square(), dim=-1).to(dtype))
    index = torch.arange(maps.shape[-1], device=maps.device)
    circulant = kernel[(index[:, None] - index) % len(index)]

    def solve(row: int) -> tuple[int, slice, Result]:
        inside = span(seen[row])
        coils = maps[:, row, inside]
        return row, inside, work(circulant[inside, inside] * (coils.conj().T @ coils))

    return (rows, columns), in_threads(solve, range(rows.start, rows.stop), maps.device)


def eigh(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues and eigenvectors of a Hermitian complex64 matrix, both in single precision.

    Divide and conquer in single precision now and then fails to converge where many eigenvalues are nearly equal, as
    those in the null space are, and not every library says so: some return eigenvectors that are not numbers. In double
    precision it converges.
    """
    try:
        values, vectors = torch.linalg.eigh(matrix)
        if vectors.isfinite().all():
            return values, vectors
    except torch.linalg.LinAlgError:
        pass
    values, vectors = torch.linalg.eigh(matrix.to(torch.complex128))
    return values.float(), vectors.to(matrix.dtype)


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
