"""Operators that are differentiable and no more."""

import pytest
import torch
from helpers.operators import COMPLEX, coil_maps, lines
from helpers.priors import Convolutions
from laws import close, white

from medrestore.errors import InputError
from medrestore.operators import (
    AveragePool,
    Decoded,
    Identity,
    Learned,
    LinearOperator,
    LocalOperator,
    Magnitude,
    Mask,
    Operator,
    PhaseRetrieval,
    Saturation,
    Sense,
    check,
)


def test_an_operator_after_a_decoder() -> None:
    keep = (torch.arange(64).reshape(8, 8) % 3 > 0).float()
    A = Decoded(Mask(keep), torch.tanh)
    x = white((2, 1, 8, 8)).requires_grad_()
    close(A(x).detach(), keep * x.detach().tanh())
    (gradient,) = torch.autograd.grad(A(x).sum(), x)
    close(gradient, keep * (1 - x.detach().tanh() ** 2))
    assert A.sampled is keep and A.kind == "Mask" and A.support is None
    assert not isinstance(A, LinearOperator | LocalOperator)
    check(A, (1, 8, 8))


def test_its_support_is_given() -> None:
    support = torch.zeros(8, 8)
    A = Decoded(AveragePool(2, (8, 8)), torch.abs, support)
    assert A.support is support and A.kind == "AveragePool"


@pytest.mark.parametrize(("A", "shape", "dtype"), [
    (Saturation(1.5, -1.0, 1.0), (3, 8, 6), torch.float32),
    (PhaseRetrieval(), (1, 9, 6), torch.float32),
    (PhaseRetrieval(1.5), (2, 7, 6), COMPLEX),
    (Magnitude(Identity()), (1, 8, 7), COMPLEX),
    (Magnitude(Sense(coil_maps(12, 11), lines(11))), (1, 12, 11), COMPLEX),
    (Learned(torch.nn.Sequential(Convolutions(2, 4).layers[0], torch.nn.Tanh()), "Blur"), (2, 8, 8), torch.float32),
    (Decoded(Mask(torch.ones(8, 8)), torch.tanh), (1, 8, 8), torch.float32),
], ids=["saturation", "phase", "phase, complex", "magnitude", "magnitude of k-space", "learned", "decoded"])
def test_laws(A: Operator, shape: tuple[int, int, int], dtype: torch.dtype) -> None:
    check(A, shape, dtype=dtype)
    assert not isinstance(A, LinearOperator)


def test_saturation_cuts_at_both_ends() -> None:
    y = Saturation(2.0)(torch.tensor([[[[-1.0, 0.2, 0.6]]]]))
    assert y.flatten().tolist() == pytest.approx([0.0, 0.4, 1.0])


def test_magnitudes_hide_phase_and_place() -> None:
    x = white((1, 1, 6, 6), COMPLEX)
    close(Magnitude(Identity())(1j * x), x.abs())
    A, y = PhaseRetrieval(), white((1, 1, 8, 8))
    assert A(y).shape == (1, 1, 16, 16)
    close(A(y).square().sum(), y.square().sum())
    padded = torch.zeros(1, 1, 8, 8)
    padded[..., :4, :4] = y[..., :4, :4]
    for same in (-padded, padded.roll((3, 2), (2, 3)), padded.flip(2, 3)):
        close(A(same), A(padded), 1e-5)
    assert float((A(padded.flip(2)) - A(padded)).norm() / A(padded).norm()) > 0.1


def test_support_and_samples_are_those_of_the_inner_operator() -> None:
    sense = Sense(coil_maps(12, 11), lines(11))
    assert Magnitude(sense).sampled is sense.mask and Magnitude(sense).support is sense.support


def test_a_learned_operator_is_evaluated_not_trained() -> None:
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 1), torch.nn.Dropout(0.5)).train()
    A = Learned(net, "Lens")
    assert A.kind == "Lens" and torch.equal(A(torch.ones(1, 1, 4, 4)), A(torch.ones(1, 1, 4, 4)))


def test_refusals() -> None:
    for make in (lambda: Saturation(0.0), lambda: Saturation(1.0, 1.0, 1.0)):
        with pytest.raises(InputError, match="positive gain"):
            make()
    with pytest.raises(InputError, match="at least 1"):
        PhaseRetrieval(0.5)
