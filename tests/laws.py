"""What every operator promises. A law takes an operator, images to try it on, and how exact it has to be."""

from collections.abc import Callable

import torch
from torch import Tensor

from medrestore.operators import CoIsometry, LinearOperator, ResolventOperator, SpectralOperator
from medrestore.problem import Problem

Law = Callable[[LinearOperator, Tensor, float], None]
EXACT = 3e-5  # float32, relative


def white(shape: tuple[int, ...], dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    """White noise of `shape` that is the same every time."""
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def inner(a: Tensor, b: Tensor) -> float:
    """Re<a, b>."""
    return float((a.conj().to(torch.complex128) * b).real.sum())


def close(a: Tensor, b: Tensor, tolerance: float = EXACT) -> None:
    """|a - b| is within `tolerance` of |b|."""
    assert a.shape == b.shape
    error, size = float((a - b).abs().square().sum().sqrt()), float(b.abs().square().sum().sqrt())
    assert error <= tolerance * size + 1e-12, f"off by {error / max(size, 1e-30):.2e}, allowed {tolerance:.0e}"


def linear(A: LinearOperator, x: Tensor, tolerance: float) -> None:
    z = white(x.shape, x.dtype, seed=7)
    close(A(2 * x - 3 * z), 2 * A(x) - 3 * A(z))


def adjoint(A: LinearOperator, x: Tensor, tolerance: float) -> None:
    y = white(A(x).shape, A(x).dtype, seed=1)
    scale = float(A(x).norm() * y.norm())
    assert abs(inner(A(x), y) - inner(x, A.adjoint(y))) <= EXACT * scale
    assert A.adjoint(y).shape == x.shape and A.adjoint(y).dtype == x.dtype


def normal(A: LinearOperator, x: Tensor, tolerance: float) -> None:
    close(A.normal(x), A.adjoint(A(x)))


def support(A: LinearOperator, x: Tensor, tolerance: float) -> None:
    if A.support is not None:
        assert A.support.shape == x.shape[-2:]
        close(A(A.support * x), A(x))
        assert not ((1 - A.support) * A.adjoint(A(x))).any()


def count(A: LinearOperator, x: Tensor, tolerance: float) -> None:
    y = A(x)
    parts = torch.view_as_real(y) if y.is_complex() else y
    assert torch.equal(Problem(A, y).count, (parts != 0).flatten(1).sum(1))


def preconditions(A: LinearOperator, x: Tensor, tolerance: float) -> None:
    """Hermitian, and positive where the image may be."""
    M = A.preconditioner(30.0)
    if M is None:
        return
    x, z = (each if A.support is None else A.support * each for each in (x, white(x.shape, x.dtype, seed=12)))
    assert M(x).shape == x.shape and M(x).dtype == x.dtype
    assert abs(inner(M(x), z) - inner(x, M(z))) <= EXACT * float(M(x).norm() * z.norm())
    assert inner(M(x), x) > 0


def unitary(A: SpectralOperator, x: Tensor, tolerance: float) -> None:
    S = A.spectrum
    c = S.analyse(x)
    assert c.shape == x.shape and c.dtype == x.dtype
    close(S.synthesise(c), x)
    close(S.analyse(S.synthesise(x)), x)
    assert abs(inner(c, c) / inner(x, x) - 1) < EXACT


def broadcasts(A: SpectralOperator, x: Tensor, tolerance: float) -> None:
    s = A.spectrum.s
    assert torch.broadcast_shapes(s.shape, x.shape) == x.shape
    assert not s.is_complex() and (s >= 0).all()


def reproduces(A: SpectralOperator, x: Tensor, tolerance: float) -> None:
    S, y = A.spectrum, A(x)
    close(S.measure(S.s * S.analyse(x)), y, tolerance)
    close(S.synthesise(S.s * S.unmeasure(y)), A.adjoint(y), tolerance)


def corrects(A: SpectralOperator, x: Tensor, tolerance: float) -> None:
    """What moves the coefficients at once is what moves them one by one."""
    S = A.spectrum
    trust = torch.where(S.s > 0, white(S.s.shape, seed=9), 0.0)
    target = white(x.shape, x.dtype, seed=10)[:1]
    c = S.analyse(x)
    close(S.correct(x, trust, target), S.synthesise(c + trust * (target - c)))


def resolves(A: ResolventOperator, x: Tensor, tolerance: float) -> None:
    moved = A.resolve(x)
    close(moved + A.gamma * A.normal(moved), x, EXACT * (1 + A.gamma / 10))
    close(A.resolve(x[:1]), moved[:1])
    other = white(x.shape, x.dtype, seed=11)
    assert abs(inner(moved, other) - inner(x, A.resolve(other))) <= tolerance * float(x.norm() * other.norm())


def orthonormal(A: SpectralOperator, x: Tensor, tolerance: float) -> None:
    """U keeps the inner products of coefficients in the range, and knows nothing of the others."""
    S = A.spectrum
    seen = (S.s > 0) & torch.ones_like(x, dtype=torch.bool)
    c = torch.where(seen, x, 0.0)
    y = S.measure(c)
    strict = max(EXACT, tolerance / 10)
    close(S.measure(x), y, 1e-12)
    close(S.unmeasure(y), c, strict)
    other = white(y.shape, y.dtype, seed=2)
    assert not S.unmeasure(other)[~seen].any()
    assert abs(inner(S.unmeasure(other), x) - inner(other, y)) <= strict * float(other.norm() * y.norm())


def penrose(A: SpectralOperator, x: Tensor, tolerance: float) -> None:
    y = A(x)
    other = white(y.shape, y.dtype, seed=3)
    pinv = A.pinv(other)
    close(A(A.pinv(y)), y, tolerance)
    close(A.pinv(A(pinv)), pinv, tolerance)
    b = white(y.shape, y.dtype, seed=4)
    assert abs(inner(A(A.pinv(b)), other) - inner(b, A(pinv))) <= tolerance * float(b.norm() * other.norm())
    z = white(x.shape, x.dtype, seed=5)
    assert abs(inner(A.pinv(A(z)), x) - inner(z, A.pinv(y))) <= tolerance * float(z.norm() * x.norm())


def coisometry(A: CoIsometry, x: Tensor, tolerance: float) -> None:
    y = white(A(x).shape, A(x).dtype, seed=6)
    close(A(A.adjoint(y)), A.scale**2 * y)


LINEAR: tuple[Law, ...] = (linear, adjoint, normal, support, count, preconditions)
SPECTRAL: tuple[Law, ...] = (unitary, broadcasts, reproduces, corrects, orthonormal, penrose)


def laws_of(A: LinearOperator) -> tuple[Law, ...]:
    """The laws of an operator's kind."""
    laws = LINEAR
    if isinstance(A, SpectralOperator):
        laws += SPECTRAL
    if isinstance(A, ResolventOperator):
        laws += (resolves,)
    return (*laws, coisometry) if isinstance(A, CoIsometry) else laws
