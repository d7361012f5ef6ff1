"""Conjugate gradients on callables. Knows nothing of operators."""

from collections.abc import Callable

import torch
from torch import Tensor


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Re<a, b> of each sample, shaped to broadcast against it."""
    return (a.conj() * b).real.flatten(1).sum(1).reshape(-1, *[1] * (a.ndim - 1))


def cg(A: Callable[[Tensor], Tensor], b: Tensor, *, max_steps: int, rtol: float = 1e-6) -> Tensor:
    """Solves A x = b for Hermitian A > 0, each sample on its own, starting from zero (Hestenes & Stiefel 1952).

    To start elsewhere, solve for the correction: `x + cg(A, b - A(x))` takes the same steps and loses fewer digits.

    Args:
        A: the system, on tensors shaped like `b` (batch, ...).
        max_steps: most applications of A.
        rtol: a sample rests once its residual is below `rtol * ||b||`.
    """
    x, r, p = torch.zeros_like(b), b, b
    rr = _dot(b, b)
    stop = rtol**2 * rr
    for _ in range(max_steps):
        active = rr > stop
        if not active.any():
            break
        Ap = A(p)
        alpha = torch.where(active, rr / _dot(p, Ap).where(active, 1.0), 0.0)
        x, r = x + alpha * p, r - alpha * Ap
        rr, rr_old = _dot(r, r), rr
        p = r + torch.where(active, rr / rr_old.where(active, 1.0), 0.0) * p
    return x
