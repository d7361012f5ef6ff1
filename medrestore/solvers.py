"""Conjugate gradients on callables. Knows nothing of operators."""

from collections.abc import Callable

import torch
from torch import Tensor

LOOK = 8  # steps to the first test of the residual, and between two, on a GPU: each test waits for all that it was asked before


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Re<a, b> of each sample, shaped to broadcast against it."""
    return (a.conj() * b).real.flatten(1).sum(1).reshape(-1, *[1] * (a.ndim - 1))


def cg(A: Callable[[Tensor], Tensor], b: Tensor, *, max_steps: int, rtol: float | Tensor = 1e-6,
       precondition: Callable[[Tensor], Tensor] | None = None) -> Tensor:
    """Solves A x = b for Hermitian A > 0, each sample on its own, starting from zero.

    Hestenes & Stiefel 1952; with a preconditioner, Saad, Iterative Methods for Sparse Linear Systems (2003), Alg. 9.1.

    To start elsewhere, solve for the correction: `x + cg(A, b - A(x))` takes the same steps and loses fewer digits.

    Args:
        A: the system, on tensors shaped like `b` (batch, ...).
        max_steps: most applications of A.
        rtol: a sample's steps end once its residual is below `rtol * ||b||`; one number, or (batch, 1, ...) for each sample.
        precondition: an approximation of the inverse of A, Hermitian and positive.
    """
    x, r = torch.zeros_like(b), b
    p = z = r if precondition is None else precondition(r)
    rr = _dot(r, r)
    rz = rr if precondition is None else _dot(r, z)
    stop = rtol**2 * rr
    every = 1 if b.device.type == "cpu" else LOOK
    for step in range(max_steps):
        active = rr > stop
        if (step > 0 or every == 1) and step % every == 0 and not active.any():
            break
        Ap = A(p)
        alpha = torch.where(active, rz / _dot(p, Ap).where(active, 1.0), 0.0)
        x, r = x + alpha * p, r - alpha * Ap
        z = r if precondition is None else precondition(r)
        rr, rz_old = _dot(r, r), rz
        rz = rr if precondition is None else _dot(r, z)
        p = z + torch.where(active, rz / rz_old.where(active, 1.0), 0.0) * p
    return x
