"""Windows of local operators."""

import laws
import pytest
import torch
from helpers.operators import COMPLEX, coil_maps, lines, pixels
from laws import close, white

from medrestore.codecs import ComplexChannels
from medrestore.errors import InputError
from medrestore.operators import (
    AveragePool,
    CircularBlur,
    Crop,
    Grayscale,
    Identity,
    LinearOperator,
    LocalOperator,
    Mask,
    Sense,
    SingleCoil,
    check,
    gaussian_kernel,
)
from medrestore.operators.local import as_local
from medrestore.problem import Problem

LOCAL = {
    "identity": (Identity(), (3, 16, 12)),
    "mask": (Mask(pixels(16, 12)), (3, 16, 12)),
    "mask of each image": (Mask(pixels(2, 1, 16, 12)), (3, 16, 12)),
    "pool": (AveragePool(4, (16, 12)), (3, 16, 12)),
    "grey": (Grayscale(), (3, 16, 12)),
    "old photo": (Mask(pixels(4, 3)) @ Grayscale() @ AveragePool(4, (16, 12)), (3, 16, 12)),
    "mask of each image, coarse": (Mask(pixels(2, 1, 4, 3)) @ AveragePool(4, (16, 12)), (3, 16, 12)),
    "part": (Crop((16, 12), (8, 6), (5, 3)), (3, 16, 12)),
    "part beside": (Crop((16, 12), (16, 3), (0, 0)), (3, 16, 12)),
    "pool of a part": (
        Mask(pixels(4, 4)) @ AveragePool(2, (8, 8)) @ Crop((16, 12), (8, 8), (4, 4)),
        (3, 16, 12),
    ),
    "pool of a mask": (AveragePool(4, (16, 12)) @ Mask(pixels(16, 12)), (3, 16, 12)),
    "in units": ((Mask(pixels(16, 12)) @ ComplexChannels(2.0).linear), (2, 16, 12)),
}


@pytest.mark.parametrize(("operator", "shape"), LOCAL.values(), ids=LOCAL)
@pytest.mark.parametrize(
    "window", [(slice(4, 12), slice(0, 8)), (slice(0, 16), slice(8, 12)), (slice(None), slice(4, None))]
)
def test_a_window_of_a_local_problem(operator: LinearOperator, shape: tuple[int, ...], window) -> None:
    x = white((2, *shape))
    part = Problem(operator, operator(x)).restrict(window)
    close(part.operator(x[(..., *window)]), part.y)
    for law in laws.laws_of(part.operator):
        law(part.operator, x[(..., *window)], laws.EXACT)


def test_windows_that_make_no_problem() -> None:
    with pytest.raises(ValueError, match="multiples of the factor"):
        AveragePool(4, (16, 12)).restrict((slice(2, 10), slice(0, 8)))
    y = torch.zeros(1, 1, 16, 12, dtype=COMPLEX)
    with pytest.raises(TypeError, match="SingleCoil is not local"):
        Problem(SingleCoil(lines(12)), y).restrict((slice(0, 4), slice(0, 4)))
    with pytest.raises(TypeError, match="SingleCoil is not local"):
        Problem(SingleCoil(lines(12)), y).encoded(ComplexChannels(2.0)).restrict((slice(0, 4), slice(0, 4)))


@pytest.mark.parametrize(
    "operator",
    [
        SingleCoil(lines(12)),
        CircularBlur(gaussian_kernel(1.0), (16, 12)),
        Sense(coil_maps(16, 12), lines(12)),
    ],
    ids=lambda A: A.kind,
)
def test_global_operators_are_not_local(operator: LinearOperator) -> None:
    assert not isinstance(operator, LocalOperator)
    with pytest.raises(TypeError, match=f"{operator.kind} is not local"):
        as_local(operator)


@pytest.mark.parametrize(("operator", "shape"), LOCAL.values(), ids=LOCAL)
def test_local_operators_obey_the_laws_of_windows(
    operator: LinearOperator, shape: tuple[int, int, int]
) -> None:
    assert as_local(operator) is operator
    check(operator, shape)


def test_a_wrong_window_is_told() -> None:
    class Shifted(Grayscale):
        def footprint(self, window):
            return slice(window[0].start, window[0].stop), slice(0, window[1].stop - window[1].start)

    class Bold(Mask):
        def coarsen(self, factor):
            coarse, rest = super().coarsen(factor)
            return Mask(torch.ones_like(coarse.keep)), rest

    with pytest.raises(
        InputError, match="Shifted breaks a law of its windows: the measurement of the window"
    ):
        check(Shifted(), (3, 8, 8))
    with pytest.raises(InputError, match="Bold breaks a law of its coarser form"):
        check(Bold(pixels(8, 8)), (1, 8, 8))
