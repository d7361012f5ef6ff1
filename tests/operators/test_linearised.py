"""The derivative of an operator, as an operator with an adjoint."""

import pytest
import torch
from helpers.operators import COMPLEX, coil_maps, lines
from laws import close, white

from medrestore.operators import AveragePool, Decoded, Magnitude, Operator, PhaseRetrieval, Saturation, Sense, check
from medrestore.operators.linearised import Linearised


@pytest.mark.parametrize(("A", "dtype"), [
    (PhaseRetrieval(), torch.float32), (PhaseRetrieval(1.5), COMPLEX), (Magnitude(Sense(coil_maps(12, 11), lines(11))), COMPLEX),
    (Decoded(AveragePool(2, (12, 12)), torch.tanh), torch.float32),
], ids=["phase", "phase, complex", "k-space", "decoded"])
def test_it_is_the_derivative_and_its_adjoint(A: Operator, dtype: torch.dtype) -> None:
    size = (12, 11) if isinstance(A, Magnitude) else (12, 12)
    x, d = white((2, 1, *size), dtype), white((2, 1, *size), dtype, seed=1)
    J = Linearised(A, x.double() if dtype == torch.float32 else x)
    if J.at.dtype == torch.float64:
        step = 1e-6
        close(J(d.double()), (A(J.at + step * d) - A(J.at - step * d)) / (2 * step), 1e-4)
    check(Linearised(A, x), (1, *size), dtype=dtype)
    close(J.value, A(J.at))
    assert J.kind == A.kind and J.sampled is A.sampled


def test_beyond_the_ends_of_a_saturation_the_ends_are_not_felt() -> None:
    x = torch.tensor([[[[-1.0, 0.2, 0.8]]]])
    J = Linearised(Saturation(2.0), x)
    assert J.value.flatten().tolist() == pytest.approx([0.0, 0.4, 1.0])
    close(J(torch.ones_like(x)), torch.full_like(x, 2.0))
    close(J.adjoint(torch.ones_like(x)), torch.full_like(x, 2.0))
