"""Filters: blurs and antialiased downsampling, with exact spectra."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from ..devices import decomposing
from .base import SpectralOperator, Spectrum, Window
from .image import edges
from .local import LocalOperator, no_window

CUTOFF = 1e-3  # relative to the largest singular value: what is weaker counts as null space
LEAST = 0.05  # share of its largest entry that no entry of a preconditioner's diagonal is below


@dataclass(frozen=True)
class Separable(LocalOperator, SpectralOperator):
    """y = R x C^T: one filter down the columns, another along the rows.

    Its singular vectors are the products of those of R and C, which two small decompositions give. A window of the image
    explains those entries of the measurement whose filters lie in it.

    Args:
        rows: R, (m, height).
        columns: C, (n, width).
        cutoff: singular values below this, relative to the largest, count as null space. The spectrum of a blur falls
            without a gap, so an inverse needs the choice; A itself is not touched.
    """

    rows: Tensor
    columns: Tensor
    cutoff: float = CUTOFF

    def __call__(self, x: Tensor) -> Tensor:
        return self.rows.to(x.dtype) @ x @ self.columns.to(x.dtype).T

    def adjoint(self, y: Tensor) -> Tensor:
        return self.rows.to(y.dtype).T @ y @ self.columns.to(y.dtype)

    @property
    def grain(self) -> int:
        return math.lcm(*(_stride(matrix) for matrix in (self.rows, self.columns)))

    @cached_property
    def halo(self) -> int:
        return max(_halo(matrix) for matrix in (self.rows, self.columns))

    def restrict(self, window: Window) -> "Separable":
        (top, bottom), (left, right) = edges(window, (self.rows.shape[1], self.columns.shape[1]))
        down, along = self.footprint(window)
        return Separable(self.rows[down, top:bottom], self.columns[along, left:right], self.cutoff)

    def footprint(self, window: Window) -> Window:
        spans = edges(window, (self.rows.shape[1], self.columns.shape[1]))
        down, along = (_filters_inside(matrix, span) for matrix, span in zip((self.rows, self.columns), spans, strict=True))
        return down, along

    @cached_property
    def _factors(self) -> tuple[tuple[Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]:
        return _svd(self.rows), _svd(self.columns)

    @cached_property
    def spectrum(self) -> Spectrum:
        (U_r, s_r, V_r), (U_c, s_c, V_c) = self._factors
        s = torch.outer(s_r, s_c)
        seen = s > self.cutoff * s.max()

        def analyse(x: Tensor) -> Tensor:
            return V_r.to(x.dtype).T @ x @ V_c.to(x.dtype)

        def synthesise(c: Tensor) -> Tensor:
            return V_r.to(c.dtype) @ c @ V_c.to(c.dtype).T

        def measure(c: Tensor) -> Tensor:
            return U_r.to(c.dtype) @ (seen * c) @ U_c.to(c.dtype).T

        def unmeasure(y: Tensor) -> Tensor:
            return seen * (U_r.to(y.dtype).T @ y @ U_c.to(y.dtype))

        return Spectrum(seen * s, analyse, synthesise, measure, unmeasure)


def _stride(matrix: Tensor) -> int:
    """How many pixels lie between the filters of one entry and the next."""
    m, n = matrix.shape
    return n // m if n % m == 0 else 1


def _reach(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """(first, last) pixel of each row's filter."""
    there, pixels = matrix != 0, torch.arange(matrix.shape[1], device=matrix.device)
    return pixels.where(there, matrix.shape[1]).amin(1), pixels.where(there, -1).amax(1)


def _halo(matrix: Tensor) -> int:
    """Half of the widest filter."""
    first, last = _reach(matrix)
    return int((last - first).max() + 1) // 2


def _filters_inside(matrix: Tensor, span: tuple[int, int]) -> slice:
    """The entries whose filters lie within a span of pixels."""
    first, last = _reach(matrix)
    rows = ((first >= span[0]) & (last < span[1])).nonzero().flatten().tolist()
    if not rows:
        raise no_window(span[1] - span[0], int((last - first).max()) + 1)
    return slice(rows[0], rows[-1] + 1)


def _svd(A: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(U, s, V) of an (m, n) matrix: U is (m, n) and s is (n,), both zero beyond the rank that m allows; V is (n, n)."""
    U, s, Vh = torch.linalg.svd(A.to(decomposing(A.device)).double(), full_matrices=True)
    n, k = A.shape[1], len(s)
    return F.pad(U[:, :k], (0, n - k)).to(A), F.pad(s, (0, n - k)).to(A), Vh.T.contiguous().to(A)


def _filter_matrix(centres: Tensor, radius: float, weight: Callable[[Tensor], Tensor], length: int) -> Tensor:
    """Row i weighs the pixels within `radius` of centres[i]; rows sum to one.

    Beyond its edges the image is reflected, edge pixels included (d c b a | a b c d | d c b a).
    """
    taps = torch.ceil(centres - radius)[:, None] + torch.arange(math.floor(2 * radius) + 1, dtype=centres.dtype)
    weights = weight(taps - centres[:, None])
    folded = taps.long() % (2 * length)
    folded = torch.where(folded < length, folded, 2 * length - 1 - folded)
    matrix = torch.zeros(len(centres), length, dtype=centres.dtype).scatter_add_(1, folded, weights)
    return (matrix / weights.sum(1, keepdim=True)).float()


def _gaussian_matrix(length: int, std: float) -> Tensor:
    if std <= 0:
        raise ValueError(f"the std of a blur is positive, got {std}")
    centres = torch.arange(length, dtype=torch.float64)
    return _filter_matrix(centres, math.ceil(4 * std), lambda t: torch.exp(-((t / std) ** 2) / 2), length)


def gaussian_blur(size: tuple[int, int], std: float | tuple[float, float], *, cutoff: float = CUTOFF) -> Separable:
    """A Gaussian blur that reflects at the edges of the image.

    Args:
        size: (height, width).
        std: in pixels, one number or (down the rows, along the columns); the filter reaches to 4 std.
        cutoff: see `Separable`.
    """
    down, along = std if isinstance(std, tuple) else (std, std)
    return Separable(_gaussian_matrix(size[0], down), _gaussian_matrix(size[1], along), cutoff)


def bicubic_downsample(size: tuple[int, int], factor: int, *, cutoff: float = CUTOFF) -> Separable:
    """Antialiased bicubic downsampling that reflects at the edges of the image.

    Keys' cubic (a = -1/2; IEEE Trans. ASSP 29, 1981), stretched by the factor, with all of its taps.

    Args:
        size: (height, width), multiples of the factor.
        factor: how many pixels become one, along each axis.
        cutoff: see `Separable`.
    """
    if factor < 1 or any(side % factor for side in size):
        raise ValueError(f"an image of {size} pixels cannot be downsampled by {factor}; crop or pad it to a multiple")
    rows, columns = (
        _filter_matrix((torch.arange(side // factor, dtype=torch.float64) + 0.5) * factor - 0.5, 2 * factor,
                       lambda t: _keys(t / factor), side)
        for side in size
    )
    return Separable(rows, columns, cutoff)


def _keys(t: Tensor) -> Tensor:
    t = t.abs()
    near, far = (1.5 * t - 2.5) * t**2 + 1, ((-0.5 * t + 2.5) * t - 4) * t + 2
    return torch.where(t < 1, near, torch.where(t < 2, far, 0.0))


@dataclass(frozen=True)
class CircularBlur(SpectralOperator):
    """Convolution with a kernel, the image repeating beyond its edges.

    V is the Hartley transform (Bracewell 1983), the real counterpart of the Fourier transform, so that real images have
    real coefficients; s is the modulus of the kernel's transfer function.

    Args:
        kernel: (a, b) real, no larger than the image, its origin at (a // 2, b // 2).
        size: (height, width) of the image.
        cutoff: singular values below this, relative to the largest, count as null space; A itself is not touched.
    """

    kernel: Tensor
    size: tuple[int, int]
    cutoff: float = CUTOFF

    def __post_init__(self) -> None:
        _check_kernel(self.kernel, self.size)

    @cached_property
    def _transfer(self) -> Tensor:
        """(h, w) complex transfer function."""
        a, b = self.kernel.shape
        kernel = self.kernel.to(decomposing(self.kernel.device)).double()
        padded = F.pad(kernel, (0, self.size[1] - b, 0, self.size[0] - a))
        return torch.fft.fftn(padded.roll((-(a // 2), -(b // 2)), (0, 1))).to(torch.complex64).to(self.kernel.device)

    def __call__(self, x: Tensor) -> Tensor:
        return _filtered(x, self._transfer)

    def adjoint(self, y: Tensor) -> Tensor:
        return _filtered(y, self._transfer.conj())

    @cached_property
    def spectrum(self) -> Spectrum:
        s = self._transfer.abs()
        seen = s > self.cutoff * s.max()
        phase = torch.sgn(self._transfer)  # U = A V / s
        return Spectrum(
            seen * s, _hartley, _hartley,
            lambda c: _filtered(_hartley(seen * c), phase),
            lambda y: seen * _hartley(_filtered(y, phase.conj())),
        )


@dataclass(frozen=True)
class ReflectingBlur(LocalOperator):
    """Convolution with a kernel, the image reflected at its edges, edge pixels included (d c b a | a b c d | d c b a).

    Args:
        kernel: (a, b) real, its origin at (a // 2, b // 2).
        size: (height, width) of the image, no smaller than the kernel.
        cut: for each edge (top, bottom, left, right) whether the image was cut there out of a larger one, beyond which
            nothing is known: what the kernel needs from there is not measured.
    """

    kernel: Tensor
    size: tuple[int, int]
    cut: tuple[bool, bool, bool, bool] = (False, False, False, False)

    def __post_init__(self) -> None:
        _check_kernel(self.kernel, self.size)

    @cached_property
    def _reach(self) -> tuple[int, int, int, int]:
        """How far the kernel reaches beyond each edge."""
        a, b = self.kernel.shape
        return a - 1 - a // 2, a // 2, b - 1 - b // 2, b // 2

    @cached_property
    def _folds(self) -> tuple[int, int, int, int]:
        """Over how many pixels the image is reflected at each edge."""
        top, bottom, left, right = (0 if cut else reach for cut, reach in zip(self.cut, self._reach, strict=True))
        return top, bottom, left, right

    @cached_property
    def halo(self) -> int:
        return max(self._reach)

    @cached_property
    def _transfer(self) -> Tensor:
        """Complex transfer function of the kernel on the reflected image."""
        top, bottom, left, right = self._folds
        padded = self.size[0] + top + bottom, self.size[1] + left + right
        kernel = self.kernel.to(decomposing(self.kernel.device)).double()
        return torch.fft.fftn(kernel, s=padded, dim=(-2, -1)).to(torch.complex64).to(self.kernel.device)

    def __call__(self, x: Tensor) -> Tensor:
        top, bottom, left, right = self._folds
        padded = torch.cat([x[..., :top, :].flip(-2), x, x[..., x.shape[-2] - bottom :, :].flip(-2)], -2)
        padded = torch.cat([padded[..., :left].flip(-1), padded, padded[..., padded.shape[-1] - right :].flip(-1)], -1)
        a, b = self.kernel.shape
        return _filtered(padded, self._transfer)[..., a - 1 :, b - 1 :]  # what does not repeat across the edges

    def adjoint(self, y: Tensor) -> Tensor:
        (a, b), (top, bottom, left, right) = self.kernel.shape, self._folds
        padded = _filtered(F.pad(y, (b - 1, 0, a - 1, 0)), self._transfer.conj())
        return _folded(_folded(padded, -2, top, bottom), -1, left, right)

    def preconditioner(self, gamma: float | Tensor) -> Callable[[Tensor], Tensor]:
        """That of the blur that repeats the image beyond its edges, held up where its power is below `LEAST` of the largest.

        Its zeros are not those of this blur: gamma there, and steps that end early, would leave waves in the image (motion
        over 9 pixels of a photograph rounded to 8 bits, restored by `HQS`: 20.9 dB, and 40.2 dB held up).
        """
        power = torch.fft.fftn(self.kernel, s=self.size, dim=(-2, -1)).abs().square()
        gain = 1 / (1 / gamma + torch.maximum(power, LEAST * power.max()))
        return lambda x: _filtered(x, gain)

    def restrict(self, window: Window) -> "ReflectingBlur":
        (top, bottom), (left, right) = edges(window, self.size)
        at = (top > 0, bottom < self.size[0], left > 0, right < self.size[1])
        first, second, third, fourth = (mine or now for mine, now in zip(self.cut, at, strict=True))
        return ReflectingBlur(self.kernel, (bottom - top, right - left), (first, second, third, fourth))

    def footprint(self, window: Window) -> Window:
        spans = edges(window, self.size)
        (rows, columns), reach = spans, self._reach
        down = _explained_entries(rows, self.size[0], reach[:2], self.cut[:2])
        return down, _explained_entries(columns, self.size[1], reach[2:], self.cut[2:])


def _check_kernel(kernel: Tensor, size: tuple[int, int]) -> None:
    """Refuses a kernel that an image cannot hold."""
    if any(k > n for k, n in zip(kernel.shape, size, strict=True)):
        raise ValueError(f"a kernel of {tuple(kernel.shape)} is larger than the image of {size} pixels")


def _folded(y: Tensor, axis: int, before: int, after: int) -> Tensor:
    """The adjoint of reflecting an image along an axis."""
    length = y.shape[axis] - before - after
    inner = y.narrow(axis, before, length).clone()
    inner.narrow(axis, 0, before).add_(y.narrow(axis, 0, before).flip(axis))
    inner.narrow(axis, length - after, after).add_(y.narrow(axis, before + length, after).flip(axis))
    return inner


def _explained_entries(span: tuple[int, int], length: int, reach: tuple[int, ...], cut: tuple[bool, ...]) -> slice:
    """The entries of the measurement, along an axis, that a span of an image's pixels explains."""
    (first, last), (before, after) = span, reach
    lost = before if cut[0] else 0  # entries that the measurement lacks at its beginning
    start = first + before if first > 0 or cut[0] else first
    stop = last - after if last < length or cut[1] else last
    if stop <= start:
        raise no_window(last - first, before + after + 1)
    return slice(start - lost, stop - lost)


def _filtered(x: Tensor, transfer: Tensor) -> Tensor:
    out = torch.fft.ifftn(transfer * torch.fft.fftn(x, dim=(-2, -1)), dim=(-2, -1))
    return out if x.is_complex() else out.real


def _hartley(x: Tensor) -> Tensor:
    """The orthonormal Hartley transform of the last two axes: its own inverse, and real where x is."""
    if x.is_complex():
        return torch.complex(_hartley(x.real), _hartley(x.imag))
    f = torch.fft.fftn(x, dim=(-2, -1), norm="ortho")
    return f.real - f.imag


def gaussian_kernel(std: float) -> Tensor:
    """A Gaussian kernel that reaches to 4 std, in pixels, and sums to one: (2 r + 1, 2 r + 1) with r = ceil(4 std)."""
    if std <= 0:
        raise ValueError(f"the std of a blur is positive, got {std}")
    r = math.ceil(4 * std)
    profile = torch.exp(-((torch.arange(-r, r + 1, dtype=torch.float64) / std) ** 2) / 2)
    kernel = torch.outer(profile, profile)
    return (kernel / kernel.sum()).float()


def motion_kernel(length: float, angle: float) -> Tensor:
    """The kernel of a straight, even motion: each pixel weighs as much as of the path lies within it; sums to one.

    Args:
        length: of the path, in pixels.
        angle: in degrees, counter-clockwise from the row axis pointing right.
    """
    if length <= 0:
        raise ValueError(f"a motion has a positive length, got {length}")
    steps = 1000 * math.ceil(length)
    along = ((torch.arange(steps, dtype=torch.float64) + 0.5) / steps - 0.5) * length
    radians = math.radians(angle)
    r = math.ceil(length / 2 - 0.5)
    row = (-along * math.sin(radians)).round().long() + r
    column = (along * math.cos(radians)).round().long() + r
    side = 2 * r + 1
    return (torch.bincount(row * side + column, minlength=side**2) / steps).reshape(side, side).float()
