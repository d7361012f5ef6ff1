"""Mask-Shift with operators beyond masks: new ones, those with a halo, and those that cannot be tiled."""

from dataclasses import dataclass

import pytest
import torch
from helpers.fields import Field, Size, natural
from helpers.holes import LADDER, SIZE, WINDOW, holes, problem
from torch import Tensor

from medrestore.consistency import misfit
from medrestore.levels import karras
from medrestore.methods import DDNM, HQS
from medrestore.noise import Noise
from medrestore.operators import (
    AveragePool,
    FromSpectrum,
    LinearOperator,
    LocalOperator,
    Mask,
    SingleCoil,
    Spectrum,
    Window,
    bicubic_downsample,
    check,
    gaussian_blur,
)
from medrestore.problem import Problem
from medrestore.tiling import mask_shift


@pytest.mark.parametrize(("A", "more", "error", "words"), [
    (SingleCoil(torch.ones(1, 28)), {}, TypeError, "SingleCoil is not local"),
    (Mask(holes()), {"shift": (4, 9)}, ValueError, "leaves gaps"),
    (AveragePool(4, SIZE), {"shift": (2, 4)}, ValueError, "cuts through the operator's patches"),
    (AveragePool(4, SIZE), {"window": (8, 10)}, ValueError, "sides must be multiples of 4"),
    (Mask(holes().expand(2, 1, *SIZE)), {}, ValueError, "one mask for all"),
    (Mask(holes()) @ Mask(holes()), {}, TypeError, "needs a SpectralOperator"),
])
def test_what_cannot_be_tiled_says_so(A: LinearOperator, more: dict, error: type, words: str) -> None:
    given = Problem(A, A(torch.zeros(1, 1, *SIZE)))
    prior = Field(natural())
    with pytest.raises(error, match=words):
        mask_shift(given, prior, DDNM(), LADDER, **{"size": SIZE, "window": WINDOW, "noise": Noise([0]), **more})
    assert prior.calls == 0


@dataclass(frozen=True)
class Gain(LocalOperator, FromSpectrum):
    """A positive gain for each pixel, zero where nothing is measured; local, and unknown to the package."""

    gain: Tensor

    @property
    def spectrum(self) -> Spectrum:
        return Spectrum(self.gain, same, same, lambda c: (self.gain > 0) * c, lambda y: (self.gain > 0) * y)

    @property
    def sampled(self) -> Tensor:
        return (self.gain > 0).float()

    def restrict(self, window: Window) -> "Gain":
        return Gain(self.gain[window])

    def footprint(self, window: Window) -> Window:
        return window


def same(x: Tensor) -> Tensor:
    return x


def test_a_new_local_operator_is_batched() -> None:
    """Windows that do not overlap share the calls of the prior, whatever the operator's class."""
    A = Gain(holes() * (0.5 + torch.rand(SIZE, generator=torch.Generator().manual_seed(0))))
    check(A, (1, *SIZE))
    size, few = (8, 64), Field(natural())
    A = Gain(torch.zeros(size))
    A.gain[:, ::16] = 2.0  # 8 windows of 8 x 8, each with something unknown
    given, levels = Problem(A, A(natural_image(size))), [5.0, 2.0, 1.0, 0.5, 0.2, 0.0]
    common = dict(size=size, window=WINDOW, shift=WINDOW, noise=Noise([0]), layout="raster")
    joint = mask_shift(given, few, DDNM(), levels, batch=8, **common)
    assert few.calls == 5 and few.images == 40
    many = Field(natural())
    alone = mask_shift(given, many, DDNM(), levels, batch=1, **common)
    assert many.calls == 40
    torch.testing.assert_close(joint, alone, rtol=1e-4, atol=1e-5)
    assert torch.equal(joint[..., ::16], given.y[..., ::16] / 2)


def natural_image(size: Size) -> Tensor:
    return torch.randn(1, 1, *size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("A", [gaussian_blur((20, 28), 0.3), bicubic_downsample((20, 28), 2)], ids=["blur", "bicubic"])
def test_windows_of_operators_with_a_halo_settle_what_they_explain(A: LocalOperator) -> None:
    """The posterior mean of the whole picture, against that of windows: near, and all data are explained."""
    prior = Field(natural())
    window = (16, 16)
    given = problem(A, 0.05)
    z = mask_shift(given, prior, HQS(lam=1.0), karras(12, 10.0, 0.02), size=SIZE, window=window, noise=Noise([0]))
    whole = mask_shift(given, prior, HQS(lam=1.0), karras(12, 10.0, 0.02), size=SIZE, window=SIZE, noise=Noise([0]))
    assert float(misfit(given, z)) < 1.5 * 0.05 * given.y.numel() ** 0.5
    assert float((z - whole).square().mean()) < 0.5 * float((whole - given.operator.pinv(given.y)).square().mean()) + 0.02


def test_windows_that_a_halo_leaves_nothing_of_are_refused() -> None:
    given = problem(gaussian_blur(SIZE, 2.0), 0.1)
    with pytest.raises(ValueError, match="too small for the operator"):
        mask_shift(given, Field(natural()), HQS(), LADDER, size=SIZE, window=WINDOW, noise=Noise([0]))
    with pytest.raises(ValueError, match="gaps"):
        mask_shift(problem(gaussian_blur(SIZE, 0.3), 0.1), Field(natural()), HQS(), LADDER, size=SIZE, window=(16, 16),
                   shift=(16, 16), noise=Noise([0]))
