"""The laws that every operator obeys, as functions that find the broken one.

A law takes an operator, images to try it on, and a relative tolerance for quantities that a cutoff of singular values
changes. `check` applies all the laws of an operator's capabilities.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..allocator import is_out_of_memory
from ..errors import InputError
from .base import CoIsometry, LinearOperator, Operator, PseudoInvertible, ResolventOperator, SpectralOperator
from .local import LocalOperator

Law = Callable[[Any, Tensor, float], None]
EXACT = 3e-5  # relative, for float32
STEP, DIFFERENCES = 2e-3, 1e-2  # of finite differences, for white noise of std 1, and how near they must come to the gradient


class BrokenLaw(InputError):
    """An operator breaks a law; the message names the law and by how much."""


def check(A: Operator, shape: tuple[int, int, int], *, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu",
          tolerance: float = EXACT) -> None:
    """Tests the laws of an operator on white noise: adjoint, normal, support, spectrum, resolvent, windows, as it has them.

    Args:
        A: any operator.
        shape: (channel, height, width) of an image.
        dtype: of the images: float32, or complex64 for MRI encodings.
        device: of the operator's tensors.
        tolerance: relative, of the spectrum; wider where singular values below a cutoff count as null space.

    Raises:
        InputError: the first law that is broken, and by how much.
    """
    x = white((2, *shape), dtype, seed=8).to(device)
    for law in laws_of(A):
        try:
            with torch.device(device):
                law(A, x, tolerance)
        except BrokenLaw as error:
            raise BrokenLaw(f"{A.kind} breaks a law of its {law.__name__.replace('_', ' ')}: {error}") from None
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            raise BrokenLaw(f"{A.kind} cannot be applied to images of shape {tuple(x.shape)}, {x.dtype} "
                            f"({str(error).splitlines()[0]}); give the shape and dtype of its images") from error


def laws_of(A: Operator) -> tuple[Law, ...]:
    """The laws of an operator's capabilities."""
    laws: tuple[Law, ...] = (batch_axis, gradient)
    for capability, own in LAWS:
        if isinstance(A, capability):
            laws += own
    return laws


def white(shape: tuple[int, ...], dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    """White noise of `shape` from a seed, on the CPU."""
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed), device="cpu")


def inner(a: Tensor, b: Tensor) -> float:
    """Re<a, b>."""
    return float((a.conj().cpu().to(torch.complex128) * b.cpu()).real.sum())


def _noise_like(x: Tensor, seed: int) -> Tensor:
    return white(tuple(x.shape), x.dtype, seed).to(x.device)


def _equal(what: str, a: Tensor, b: Tensor, tolerance: float = EXACT) -> None:
    if a.shape != b.shape:
        raise BrokenLaw(f"{what} have shapes {tuple(a.shape)} and {tuple(b.shape)}")
    error, size = float((a - b).abs().square().sum().sqrt()), float(b.abs().square().sum().sqrt())
    if not error <= tolerance * size + 1e-12:
        raise BrokenLaw(f"{what} differ by {error / max(size, 1e-30):.1e} of their norm, and {tolerance:.0e} is allowed")


def _near(what: str, a: float, b: float, scale: float, tolerance: float = EXACT) -> None:
    if not abs(a - b) <= tolerance * scale:
        raise BrokenLaw(f"{what} differ by {abs(a - b) / max(scale, 1e-30):.1e} of their largest value, "
                        f"and {tolerance:.0e} is allowed")


def _true(what: str, holds: bool) -> None:
    if not holds:
        raise BrokenLaw(what)


def batch_axis(A: Operator, x: Tensor, tolerance: float) -> None:
    y = A(x)
    _true(f"A(x) has shape {tuple(y.shape)} for x of shape {tuple(x.shape)}; its first axis must be the batch",
          y.ndim > 1 and len(y) == len(x))
    _true("A(x) has values that are not finite", bool(y.isfinite().all()))


def gradient(A: Operator, x: Tensor, tolerance: float) -> None:
    """The gradient by the image is that of finite differences, along itself and across."""
    with torch.enable_grad():
        z = x.detach().clone().requires_grad_()
        y = A(z)
        if not bool(y.detach().any()):
            return  # nothing is measured
        _true("A(x) has no gradient by x", y.requires_grad)
        weight = _noise_like(y, 13)
        (found,) = torch.autograd.grad(y, z, weight)
    size = float(found.abs().square().sum().sqrt())
    _true("the gradient of A by x is zero or not finite", 0 < size < float("inf"))
    if not A.differentiable:
        return
    with torch.no_grad():
        for seed in (14, 15):
            across = _noise_like(x, seed)
            along = STEP * (found * (float(across.abs().square().sum().sqrt()) / size) + across)
            change = inner(weight, A(x + along)) - inner(weight, A(x - along))
            length = float(along.abs().square().sum().sqrt())
            _near("the gradient and finite differences", inner(found, along), change / 2, size * length, DIFFERENCES)


def linearity(A: LinearOperator, x: Tensor, tolerance: float) -> None:
    z = _noise_like(x, 7)
    _equal("A(2 x - 3 z) and 2 A(x) - 3 A(z)", A(2 * x - 3 * z), 2 * A(x) - 3 * A(z))


def adjoint(A: LinearOperator, x: Tensor, tolerance: float) -> None:
    Ax = A(x)
    y = _noise_like(Ax, 1)
    Ahy = A.adjoint(y)
    _true(f"Ah y is {Ahy.dtype} {tuple(Ahy.shape)} for images {x.dtype} {tuple(x.shape)}",
          Ahy.shape == x.shape and Ahy.dtype == x.dtype)
    _near("<A x, y> and <x, Ah y>", inner(Ax, y), inner(x, Ahy), float(Ax.norm() * y.norm()))


def normal(A: LinearOperator, x: Tensor, tolerance: float) -> None:
    _equal("A.normal(x) and Ah A x", A.normal(x), A.adjoint(A(x)))


def support(A: LinearOperator, x: Tensor, tolerance: float) -> None:
    if A.support is None:
        return
    _true(f"the support is {tuple(A.support.shape)} for images of {tuple(x.shape)}", A.support.shape[-2:] == x.shape[-2:])
    _equal("A(support x) and A(x)", A(A.support * x), A(x))
    _true("Ah A x is not zero outside the support", not bool(((1 - A.support) * A.adjoint(A(x))).any()))


def sampled(A: LinearOperator, x: Tensor, tolerance: float) -> None:
    """Exactly the entries of `sampled` are reached."""
    y = A(x)
    reached = torch.ones_like(y, dtype=torch.bool) if A.sampled is None else torch.broadcast_to(A.sampled != 0, y.shape)
    parts = torch.view_as_real(y) if y.is_complex() else y[..., None]
    wrong = int(((parts != 0) != reached[..., None]).sum())
    _true(f"{wrong} of {parts.numel()} numbers of A(x) are zero where `sampled` is 1, or the reverse", wrong == 0)


def preconditioner(A: LinearOperator, x: Tensor, tolerance: float) -> None:
    """Hermitian, and positive on the support."""
    M = A.preconditioner(30.0)
    if M is None:
        return
    x, z = (each if A.support is None else A.support * each for each in (x, _noise_like(x, 12)))
    Mx = M(x)
    _true("M x is not shaped like x", Mx.shape == x.shape and Mx.dtype == x.dtype)
    _near("<M x, z> and <x, M z>", inner(Mx, z), inner(x, M(z)), float(Mx.norm() * z.norm()))
    _true(f"<M x, x> is {inner(Mx, x):.1e}, and must be positive", inner(Mx, x) > 0)


def unitary(A: SpectralOperator, x: Tensor, tolerance: float) -> None:
    S = A.spectrum
    c = S.analyse(x)
    _true("coefficients are not shaped like the image", c.shape == x.shape and c.dtype == x.dtype)
    _equal("V Vh x and x", S.synthesise(c), x)
    _equal("Vh V c and c", S.analyse(S.synthesise(x)), x)
    _near("|Vh x|^2 and |x|^2", inner(c, c), inner(x, x), inner(x, x))


def singular_values(A: SpectralOperator, x: Tensor, tolerance: float) -> None:
    s = A.spectrum.s
    try:
        fits = torch.broadcast_shapes(s.shape, x.shape) == x.shape
    except RuntimeError:
        fits = False
    _true(f"s is {tuple(s.shape)} and does not broadcast against coefficients {tuple(x.shape)}", fits)
    _true("s is complex or negative", not s.is_complex() and bool((s >= 0).all()))


def spectrum(A: SpectralOperator, x: Tensor, tolerance: float) -> None:
    """The factors make A and Ah."""
    S, y = A.spectrum, A(x)
    _equal("U s Vh x and A x", S.measure(S.s * S.analyse(x)), y, tolerance)
    _equal("V s Uh y and Ah y", S.synthesise(S.s * S.unmeasure(y)), A.adjoint(y), tolerance)


def correction(A: SpectralOperator, x: Tensor, tolerance: float) -> None:
    """A shortcut moves coefficients as moving them one by one does, also where images are moved differently."""
    S = A.spectrum
    s = S.s.reshape((1,) * (4 - S.s.ndim) + S.s.shape).expand(len(x), *[-1] * 3)
    target, c = _noise_like(x, 10)[:1], S.analyse(x)
    for trust in (torch.where(S.s > 0, _noise_like(S.s, 9), 0.0), torch.where(s > 0, white(tuple(s.shape), seed=9).to(s), 0.0)):
        _equal("spectrum.correct and V (c + trust (target - c))", S.correct(x, trust, target),
               S.synthesise(c + trust * (target - c)))


def orthonormality(A: SpectralOperator, x: Tensor, tolerance: float) -> None:
    """U keeps the inner products of coefficients in the range, and ignores the others."""
    S = A.spectrum
    seen = (S.s > 0) & torch.ones_like(x, dtype=torch.bool)
    c = torch.where(seen, x, 0.0)
    y = S.measure(c)
    strict = max(EXACT, tolerance / 10)
    _equal("U x and U of x in the range", S.measure(x), y, 1e-12)
    _equal("Uh U c and c", S.unmeasure(y), c, strict)
    other = _noise_like(y, 2)
    _true("Uh y is not zero in the null space", not bool(S.unmeasure(other)[~seen].any()))
    _near("<Uh y, c> and <y, U c>", inner(S.unmeasure(other), x), inner(other, y), float(other.norm() * y.norm()), strict)


def pseudo_inverse(A: PseudoInvertible, x: Tensor, tolerance: float) -> None:
    """The four conditions of Penrose, Math. Proc. Cambridge Phil. Soc. 51, 1955."""
    y = A(x)
    other = _noise_like(y, 3)
    pinv = A.pinv(other)
    _equal("A A+ A x and A x", A(A.pinv(y)), y, tolerance)
    _equal("A+ A A+ y and A+ y", A.pinv(A(pinv)), pinv, tolerance)
    b = _noise_like(y, 4)
    _near("<A A+ b, y> and <b, A A+ y>", inner(A(A.pinv(b)), other), inner(b, A(pinv)), float(b.norm() * other.norm()), tolerance)
    z = _noise_like(x, 5)
    _near("<A+ A z, x> and <z, A+ A x>", inner(A.pinv(A(z)), x), inner(z, A.pinv(y)), float(z.norm() * x.norm()), tolerance)


def resolvent(A: ResolventOperator, x: Tensor, tolerance: float) -> None:
    moved = A.resolve(x)
    _equal("(I + gamma Ah A) R x and x", moved + A.gamma * A.normal(moved), x, EXACT * (1 + A.gamma / 10))
    other = _noise_like(x, 11)
    _near("<R x, z> and <x, R z>", inner(moved, other), inner(x, A.resolve(other)), float(x.norm() * other.norm()), tolerance)


def co_isometry(A: CoIsometry, x: Tensor, tolerance: float) -> None:
    y = _noise_like(A(x), 6)
    _equal("A Ah y and scale^2 y", A(A.adjoint(y)), A.scale**2 * y)


def windows(A: LocalOperator, x: Tensor, tolerance: float) -> None:
    """A window of the image is a problem of its own."""
    y, grain = A(x), A.grain
    height, width = x.shape[-2:]
    row, column = height // 2 // grain * grain, width // 2 // grain * grain
    for here in ((slice(0, row), slice(column, width)), (slice(row, height), slice(0, width))):
        if any(side.start == side.stop for side in here):
            continue
        try:
            part, explained = A.restrict(here), y[(..., *A.footprint(here))]
        except ValueError:
            continue  # a window that it refuses
        if explained.numel():
            _equal(f"the measurement of the window {here} and what A.restrict makes of it", part(x[(..., *here)]), explained)


def coarser_form(A: LocalOperator, x: Tensor, tolerance: float) -> None:
    """The coarser operator measures the means."""
    factor = max(2, A.grain)
    if any(side % factor for side in x.shape[-2:]):
        return
    try:
        B, rest = A.coarsen(factor)
    except (TypeError, ValueError):
        return  # it has none, or none of this factor
    pooled = _block_means(A(x), rest)
    _equal("B(pool(x)) and pool(A(x))", B(_block_means(x, factor)), pooled if B.sampled is None else B.sampled * pooled)


def _block_means(x: Tensor, factor: int) -> Tensor:
    height, width = x.shape[-2:]
    return x.reshape(*x.shape[:-2], height // factor, factor, width // factor, factor).mean((-3, -1))


LAWS: tuple[tuple[type[Operator], tuple[Law, ...]], ...] = (
    (LinearOperator, (linearity, adjoint, normal, support, sampled, preconditioner)),
    (SpectralOperator, (singular_values, unitary, spectrum, correction, orthonormality)),
    (PseudoInvertible, (pseudo_inverse,)),
    (ResolventOperator, (resolvent,)),
    (CoIsometry, (co_isometry,)),
    (LocalOperator, (windows, coarser_form)),
)
