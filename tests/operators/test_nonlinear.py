"""Operators that are differentiable and no more."""

import torch
from laws import close, white

from medrestore.operators import AveragePool, Decoded, LinearOperator, LocalOperator, Mask, check


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
