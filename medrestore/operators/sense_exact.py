"""`Sense` for masks along one phase-encode axis, solved exactly.

The readout transform cancels in Ah A. What is left is, for every readout position r, one Hermitian matrix over the
phase-encode axis: (circulant of the squared mask) o (Gram matrix of the maps at r). Its eigendecomposition gives the singular
values and every data step; its inverse, with the identity added, one data step at half the price.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor

from ..devices import decomposing
from .base import ResolventOperator, SpectralOperator, Spectrum, Window
from .coils import CoilEncoding
from .sense_rows import by_row, by_row_adjoint, corrected_by_row

if TYPE_CHECKING:
    from .sense import Sense

SINGLE = 100.0  # largest gamma at which a matrix is inverted in single precision: the error is about 1e-7 gamma

Item = TypeVar("Item")
Result = TypeVar("Result")


class KnownSense(CoilEncoding):
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
        seen: the columns of the box in which any row has a singular value: eigenvalues ascend, so the null space comes first.
    """

    sense: "Sense"
    box: Window
    basis: Tensor
    s: Tensor
    seen: slice

    @classmethod
    def of(cls, sense: "Sense", *, cutoff: float) -> "SpectralSense":
        """Diagonalises `sense`; see `Sense.spectral`."""
        box, values, basis = _decomposed(sense)
        s = torch.zeros(sense.maps.shape[2:], device=sense.maps.device)
        s[box] = values.clamp(min=0).sqrt()
        s = torch.where(s > cutoff, s, 0.0)
        return cls(sense, box, basis, s, span((s[box] > 0).any(0)))

    def _analyse(self, x: Tensor) -> Tensor:
        c, here = x.clone(), (..., *self.box)
        c[here] = by_row(self.basis, x[here])
        return c

    def _synthesise(self, c: Tensor) -> Tensor:
        x, here = c.clone(), (..., *self.box)
        x[here] = by_row_adjoint(self.basis, c[here])
        return x

    def _correct(self, x: Tensor, trust: Tensor, target: Tensor) -> Tensor:
        """`Spectrum.correct` without the coefficients of the null space, which stay as they are."""
        (rows, columns), seen = self.box, self.seen
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
        return cls(sense, gamma, *_inverted(sense, gamma))

    def resolve(self, x: Tensor) -> Tensor:
        out, here = x.clone(), (..., *self.box)
        out[here] = by_row(self.inverses, x[here])
        return out


def _decomposed(sense: "Sense") -> tuple[Window, Tensor, Tensor]:
    """The box of `SpectralSense`, the eigenvalues (rows, columns) of Ah A in it, ascending, and the basis."""
    rows = Rows.of(sense, torch.complex64)
    if rows.batched:
        values, vectors = eigh(rows.matrices())
        return rows.box, values, vectors.mH.contiguous()
    values, basis = torch.zeros(rows.shape[:2], device="cpu"), rows.identities()
    for row, here, (eigenvalues, vectors) in rows.each(eigh):
        basis[row, here, here] = vectors.mH
        values[row, here] = eigenvalues
    return rows.box, values.to(sense.maps.device), basis.to(sense.maps.device)


def _inverted(sense: "Sense", gamma: float) -> tuple[Window, Tensor]:
    """The box and the inverses of `ResolvedSense`."""

    def invert(matrix: Tensor) -> Tensor:
        matrix *= gamma
        matrix.diagonal(dim1=-2, dim2=-1).add_(1)
        return torch.cholesky_inverse(torch.linalg.cholesky(matrix))

    rows = Rows.of(sense, torch.complex64 if gamma <= SINGLE else torch.complex128)
    if rows.batched:
        return rows.box, invert(rows.matrices()).to(torch.complex64)
    inverses = rows.identities()
    for row, here, inverse in rows.each(invert):
        inverses[row, here, here] = inverse.to(inverses.dtype)
    return rows.box, inverses.to(sense.maps.device)


@dataclass(frozen=True)
class Rows:
    """The matrix of each readout row in Ah A, over the columns that hold the object.

    Attributes:
        maps: (coil, rows, columns) complex, of the box.
        circulant: (columns, columns) of the mask, of the box.
        box: the rows and columns that hold the object.
    """

    maps: Tensor
    circulant: Tensor
    box: Window

    @classmethod
    def of(cls, sense: "Sense", dtype: torch.dtype) -> "Rows":
        """Those of an operator, where they can be decomposed (`devices.decomposing`)."""
        place = decomposing(sense.maps.device)
        maps = sense.maps[0].to(place).to(dtype)
        box = _box((maps != 0).any(0))
        kernel = torch.fft.ifft(torch.fft.ifftshift(sense.mask[0].square().to(place), dim=-1).to(dtype))
        index = torch.arange(maps.shape[-1], device=place)
        circulant = kernel[(index[:, None] - index) % len(index)]
        return cls(maps[(..., *box)], circulant[box[1], box[1]], box)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(rows, columns, columns)."""
        _, rows, columns = self.maps.shape
        return rows, columns, columns

    @property
    def batched(self) -> bool:
        """Whether one decomposition of all matrices is better than one for each row."""
        return self.maps.device.type != "cpu"

    def matrices(self) -> Tensor:
        """All of them, (rows, columns, columns); zero in columns of a row where there is no object."""
        coils = self.maps.permute(1, 0, 2)
        return self.circulant * (coils.mH @ coils)

    def identities(self) -> Tensor:
        """An identity matrix (rows, columns, columns) complex64 for every row."""
        rows, columns, _ = self.shape
        return torch.eye(columns, dtype=torch.complex64, device=self.maps.device).repeat(rows, 1, 1)

    def each(self, work: Callable[[Tensor], Result]) -> Iterator[tuple[int, slice, Result]]:
        """For every row its number, its columns that hold the object, and `work` of its matrix over these."""
        seen = (self.maps != 0).any(0)

        def solve(row: int) -> tuple[int, slice, Result]:
            here = span(seen[row])
            coils = self.maps[:, row, here]
            return row, here, work(self.circulant[here, here] * (coils.conj().T @ coils))

        return in_threads(solve, range(len(seen)))


def eigh(matrices: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues and eigenvectors of Hermitian complex64 matrices (..., n, n), both in single precision.

    Divide and conquer in single precision now and then fails to converge where many eigenvalues are nearly equal, as
    those in the null space are, and not every library says so: some return eigenvectors that are not numbers. In double
    precision it converges.
    """
    try:
        values, vectors = torch.linalg.eigh(matrices)
        if vectors.isfinite().all():
            return values, vectors
    except torch.linalg.LinAlgError:
        pass
    values, vectors = torch.linalg.eigh(matrices.to(torch.complex128))
    return values.float(), vectors.to(matrices.dtype)


def _box(seen: Tensor) -> Window:
    """The rows and columns from the first to the last that hold something, of (height, width) bool; read back once."""
    rows, columns = seen.any(1), seen.any(0)
    both = torch.cat([rows, columns]).cpu()
    return span(both[: len(rows)]), span(both[len(rows) :])


def span(seen: Tensor) -> slice:
    """From the first to the last that is not zero."""
    where = seen.cpu().nonzero()[:, 0].tolist()
    return slice(where[0], where[-1] + 1) if where else slice(0, 0)


def in_threads(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """`work` of each item, in order, for many matrices of a few hundred rows on a CPU.

    In as many Python threads as torch has, each with one thread for its linear algebra, which gains nothing from
    more at this size; torch has one thread as long as results are awaited, so that none spin on the cores of these. The
    results have the same bits for any number of threads.
    """
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield from pool.map(work, items)
    finally:
        torch.set_num_threads(threads)
