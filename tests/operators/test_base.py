"""Capabilities and refusals."""

from dataclasses import replace

import pytest
import torch
from helpers.operators import coil_maps, generator, lines, pixels
from laws import white

from medrestore.operators import (
    AveragePool,
    CircularBlur,
    Encoding,
    Grayscale,
    Mask,
    PseudoInvertible,
    Sense,
    SingleCoil,
    SpectralOperator,
    WalshHadamard,
    bicubic_downsample,
    gaussian_blur,
    gaussian_kernel,
    motion_kernel,
    sample_pixels,
)
from medrestore.operators.base import on_device, required


@pytest.mark.parametrize(
    "make",
    [
        lambda: AveragePool(4, (10, 12)),
        lambda: Grayscale((0.0, 0.0)),
        lambda: bicubic_downsample((10, 12), 4),
        lambda: gaussian_blur((8, 8), 0.0),
        lambda: CircularBlur(torch.ones(3, 9), (8, 8)),
        lambda: motion_kernel(0.0, 0.0),
        lambda: WalshHadamard.random((6, 8), 0.5, generator=generator()),
        lambda: gaussian_kernel(-1.0),
        lambda: sample_pixels((8, 8), 1.5, generator=generator()),
    ],
)
def test_impossible_operators_are_refused(make) -> None:
    with pytest.raises(ValueError, match=r"\w+ \w+ \w+"):
        make()


def test_capabilities_are_types() -> None:
    for A in (Mask(pixels(4, 4)), Grayscale(), gaussian_blur((8, 8), 1.0)):
        assert required(A, SpectralOperator) is A and isinstance(A, PseudoInvertible)
    with pytest.raises(TypeError, match="a SpectralOperator is needed, and Sense is not one"):
        required(Sense(coil_maps(8, 8), pixels(8, 8)), SpectralOperator)


def test_encodings_show_their_mask_and_maps() -> None:
    sense = Sense(coil_maps(8, 8), lines(8))
    for A in (sense, sense.spectral(), sense.resolvent(2.0)):
        assert isinstance(A, Encoding) and A.mask is sense.mask and A.maps is sense.maps
    alone = SingleCoil(lines(8))
    assert isinstance(alone, Encoding) and alone.maps is None and not isinstance(Mask(pixels(4, 4)), Encoding)


def test_inverting_singular_values_skips_the_null_space() -> None:
    S = Mask(pixels(4, 4)).spectrum
    c = white((1, 1, 4, 4))
    assert torch.equal(replace(S, s=2 * S.s).invert(c), S.s * c / 2)


def test_operators_move_with_all_their_tensors() -> None:
    operator = Mask(torch.ones(4, 4)) @ AveragePool(2, (8, 8))
    there = on_device(operator, "meta")
    assert there.outer.keep.device.type == "meta" and there.inner == operator.inner
    assert on_device(operator, "cpu") is operator
