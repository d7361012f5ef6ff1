"""The laws of operators that `medrestore.operators.check` applies, and an assertion on tensors that are nearly equal."""

from torch import Tensor

from medrestore.operators.laws import EXACT, LAWS, Law, inner, laws_of, white

__all__ = ["EXACT", "LAWS", "Law", "close", "inner", "laws_of", "white"]


def close(a: Tensor, b: Tensor, tolerance: float = EXACT) -> None:
    """|a - b| is within `tolerance` of |b|."""
    assert a.shape == b.shape
    error, size = float((a - b).abs().square().sum().sqrt()), float(b.abs().square().sum().sqrt())
    assert error <= tolerance * size + 1e-12, f"off by {error / max(size, 1e-30):.2e}, allowed {tolerance:.0e}"
