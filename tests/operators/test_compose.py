"""Compositions keep the capabilities that both parts have."""

import numpy as np
import pytest
import torch
from helpers.operators import coil_maps, lines, pixels
from laws import close, white

from medrestore.codecs import ComplexChannels
from medrestore.operators import (
    AveragePool,
    CircularBlur,
    CoIsometry,
    Crop,
    Grayscale,
    Identity,
    LinearOperator,
    LocalOperator,
    Mask,
    Sense,
    SingleCoil,
    SpectralOperator,
    check,
    gaussian_blur,
    stack,
)

from .test_laws import CASES


def test_which_compositions_are_spectral() -> None:
    kinds = {case.name: type(case.operator).__mro__ for case in CASES}
    for name in (
        "old photo",
        "old photo, bracketed",
        "coarse compressed sensing",
        "grey blur",
        "coarse blur",
    ):
        assert SpectralOperator in kinds[name]
    for name in ("grey coarse", "coarse grey", "coarser", "pool of a crop"):
        assert CoIsometry in kinds[name]
    assert SpectralOperator not in kinds["masked blur"]
    grey, crop = Grayscale(), Crop((9, 8), (4, 5))
    assert Identity() @ grey is grey and grey @ Identity() is grey
    assert isinstance(Mask(pixels(4, 5)) @ (crop @ ComplexChannels(2.0).linear), SpectralOperator)


def test_grey_support_reaches_every_channel() -> None:
    support = pixels(6, 7)
    np.testing.assert_array_equal(Grayscale((0.0, 1.0)).lift(support), support)
    np.testing.assert_array_equal(
        AveragePool(2, (12, 14)).lift(support), support.repeat_interleave(2, 0).repeat_interleave(2, 1)
    )


SIDE = (16, 12)
MASK, GREY, POOL, CROP = Mask(pixels(*SIDE)), Grayscale(), AveragePool(4, SIDE), Crop(SIDE, (8, 8), (4, 4))
COMPLEX_VIEW = ComplexChannels(2.0).linear


@pytest.mark.parametrize(
    ("operator", "local"),
    [
        (MASK @ GREY, True),
        (MASK @ POOL, True),
        (POOL @ MASK, True),
        (AveragePool(2, (8, 8)) @ CROP, True),
        (MASK @ COMPLEX_VIEW, True),
        (GREY @ POOL, True),
        (COMPLEX_VIEW @ Identity(), True),
        (gaussian_blur(SIDE, 1.0) @ GREY, True),
        (MASK @ gaussian_blur(SIDE, 1.0), True),
        (gaussian_blur((8, 8), 1.0) @ CROP, True),
        (CircularBlur(torch.ones(3, 3), SIDE) @ GREY, False),
        (SingleCoil(lines(12)) @ COMPLEX_VIEW, False),
        (Sense(coil_maps(*SIDE), lines(12)).resolvent(5.0) @ COMPLEX_VIEW, False),
        (Sense(coil_maps(*SIDE), lines(12)) @ COMPLEX_VIEW, False),
    ],
    ids=lambda value: value if isinstance(value, bool) else type(value).__name__,
)
def test_a_composition_is_local_exactly_where_both_parts_are(operator: LinearOperator, local: bool) -> None:
    assert isinstance(operator, LocalOperator) == local == hasattr(operator, "restrict")


def test_bracketing_changes_neither_locality_nor_spectrum() -> None:
    one, other = MASK @ (GREY @ Identity()), (MASK @ GREY) @ Identity()
    deep, flat = Mask(pixels(4, 3)) @ (GREY @ POOL), (Mask(pixels(4, 3)) @ GREY) @ POOL
    for a, b in ((one, other), (deep, flat)):
        assert type(a) is type(b) and isinstance(a, LocalOperator) and isinstance(a, SpectralOperator)
    assert deep.grain == 4 and one.grain == 1
    assert deep.kind == "Mask" and (SingleCoil(lines(12)) @ COMPLEX_VIEW).kind == "SingleCoil"


def test_a_composition_stacks_as_its_parts() -> None:
    x = white((2, 3, *SIDE))
    both = stack([Mask(pixels(4, 3, seed=k)) @ GREY @ POOL for k in (0, 1)])
    assert type(both) is type(Mask(pixels(4, 3)) @ GREY @ POOL)
    for k in (0, 1):
        close(both(x)[k : k + 1], (Mask(pixels(4, 3, seed=k)) @ GREY @ POOL)(x[k : k + 1]))
    mixed = stack(
        [Mask(pixels(*SIDE)) @ GREY, Mask(pixels(*SIDE)) @ Grayscale((1.0, 0.0, 0.0))]
    )  # the inner parts differ
    assert isinstance(mixed, LocalOperator) and isinstance(mixed, SpectralOperator)
    check(mixed, (3, *SIDE))
