"""`repr` in a line."""

from dataclasses import dataclass

import pytest
import torch

from medrestore.operators import AveragePool, Grayscale, Identity, LinearOperator, Mask, Sense, stack
from medrestore.operators.representation import short
from medrestore.problem import Problem

MASK = Mask(torch.ones(8, 8))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (MASK, "Mask(keep=float32[8, 8])"),
        (Identity(), "Identity()"),
        (AveragePool(2, (8, 8)), "AveragePool(factor=2, size=(8, 8))"),
        (
            Sense(torch.zeros(1, 4, 8, 8, dtype=torch.complex64), torch.ones(1, 8)),
            "Sense(maps=complex64[1, 4, 8, 8], mask=float32[1, 8])",
        ),
        (
            Problem(MASK, torch.zeros(1, 1, 8, 8), 0.1),
            "Problem(operator=Mask(keep=float32[8, 8]), y=float32[1, 1, 8, 8], sigma=0.1)",
        ),
        (stack([MASK, Identity()]), "(operators=(Mask(keep=float32[8, 8]), Identity()), counts=(1, 1))"),
    ],
)
def test_tensors_are_shown_as_shapes(value: object, text: str) -> None:
    assert repr(value).endswith(text)


def test_compositions_fit_a_line() -> None:
    assert len(repr(MASK @ Grayscale() @ AveragePool(2, (16, 16)))) < 150


def test_long_sequences_and_single_numbers() -> None:
    assert (
        short(tuple(range(5))) == "<5 items>" and short((1,)) == "(1,)" and short(torch.tensor(0.5)) == "0.5"
    )


def test_a_class_of_a_user_is_short_too_and_keeps_its_own() -> None:
    @dataclass(frozen=True)
    class Mine(Mask):
        more: int = 3

    class Spoken(Mine):
        def __repr__(self) -> str:
            return "mine"

    @dataclass(frozen=True)
    class Child(Spoken):
        pass

    assert repr(Mine(torch.ones(2, 2))) == "Mine(keep=float32[2, 2], more=3)"
    assert repr(Spoken(torch.ones(2, 2))) == repr(Child(torch.ones(2, 2))) == "mine"
    assert issubclass(Mine, LinearOperator)
