"""Alg. 2: image and kernel together."""

import pytest
import torch
from helpers.priors import smooth
from laws import close, white

from medrestore.codecs import CalibratedComplex, Interval
from medrestore.errors import InputError
from medrestore.inversion import Blind, kernel_correlation, restore_blind
from medrestore.levels import karras
from medrestore.operators import CircularBlur
from medrestore.priors.base import WrappedPrior

SIDE = 16
LEVELS = karras(3, 10.0, 0.1)
CODEC = Interval(-1.0, 1.0)
KERNEL = torch.tensor([[0.0, 0.1, 0.0], [0.2, 0.4, 0.2], [0.0, 0.1, 0.0]])
FAST = dict(lr=0.05, kernel_lr=5e-3, iterations=40)


def blurred(channels: int = 1) -> torch.Tensor:
    x = smooth(SIDE).sample(white((1, channels, SIDE, SIDE), seed=1))
    return CircularBlur(KERNEL, (SIDE, SIDE))(x)


@pytest.mark.parametrize("edges", ["circular", "unknown"])
def test_image_and_kernel_explain_the_data(edges: str) -> None:
    y, prior = blurred(2), smooth(SIDE, channels=2)
    first = restore_blind(y, prior, Blind((5,), edges=edges, **FAST | {"iterations": 1}), codec=CODEC, levels=LEVELS)
    made = restore_blind(y, prior, Blind((5,), edges=edges, **FAST), codec=CODEC, levels=LEVELS, samples=2)
    assert made.samples.shape == (2, 2, SIDE, SIDE) and made.kernels.shape == (2, 5, 5)
    close(made.kernels.sum((1, 2)), torch.ones(2))
    assert float(made.misfit.max()) < 0.5 * float(first.misfit[0])
    best = int(made.misfit.argmin())
    assert torch.equal(made.best, made.samples[best]) and torch.equal(made.kernel, made.kernels[best])
    off = CircularBlur(made.kernels[0], (SIDE, SIDE))(made.samples[:1]) - y
    inside = off if edges == "circular" else off[..., 2:-2, 2:-2]
    reference = y if edges == "circular" else y[..., 2:-2, 2:-2]
    assert float(made.misfit[0]) == pytest.approx(float(inside.norm() / reference.norm()), rel=1e-3)


def test_starts_do_not_depend_on_one_another() -> None:
    y, prior = blurred(), smooth(SIDE)
    method = Blind((5,), **FAST | {"iterations": 3})
    both = restore_blind(y, prior, method, codec=CODEC, levels=LEVELS, samples=2, seed=4)
    close(restore_blind(y, prior, method, codec=CODEC, levels=LEVELS, seed=5).samples[0], both.samples[1])
    assert both.seeds == (4, 5) and len(both.history[0]) == 3


def test_noise_ends_it() -> None:
    y, prior = blurred(), smooth(SIDE)
    made = restore_blind(y, prior, Blind((5,), **FAST), sigma=0.5, codec=CODEC, levels=LEVELS)
    assert len(made.history[0]) < 40 and float(made.misfit) <= 1.02


def test_of_several_sizes_the_smallest_that_does_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    y, prior = blurred(), smooth(SIDE)
    method = Blind((7, 5, 3), **FAST | {"iterations": 2})
    monkeypatch.setattr("medrestore.inversion.blind.CLOSE", 1e6)
    assert restore_blind(y, prior, method, codec=CODEC, levels=LEVELS).kernels.shape[-1] == 3
    monkeypatch.setattr("medrestore.inversion.blind.CLOSE", 1.0)
    least = min((restore_blind(y, prior, Blind((size,), **FAST | {"iterations": 2}), codec=CODEC, levels=LEVELS)
                 for size in (3, 5, 7)), key=lambda one: float(one.misfit))
    assert restore_blind(y, prior, method, codec=CODEC, levels=LEVELS).kernels.shape == least.kernels.shape


def test_complex_images_take_their_scale_from_the_data() -> None:
    class Complex(WrappedPrior):
        recipe = CalibratedComplex(1.0)

        def __init__(self) -> None:
            super().__init__(smooth(SIDE, channels=2))
            self.recipe = CalibratedComplex(1.0)

        def __call__(self, x: torch.Tensor, sigma: float) -> torch.Tensor:
            return self.prior(x, sigma)

    y = 100 * torch.complex(blurred(), blurred())
    made = restore_blind(y, Complex(), Blind((5,), **FAST), levels=LEVELS)
    assert made.samples.is_complex() and float(made.misfit) < 0.5
    with pytest.raises(InputError, match="no scale"):
        restore_blind(0 * y, Complex(), Blind((5,)), levels=LEVELS)


def test_the_kernel_is_in_the_middle() -> None:
    y = blurred().roll((1, 2), (2, 3))
    made = restore_blind(y, smooth(SIDE), Blind((9,), **FAST), codec=CODEC, levels=LEVELS)
    middle = torch.arange(9.0) - 4
    assert abs(float((made.kernel.sum(0) * middle).sum())) <= 0.51 and abs(float((made.kernel.sum(1) * middle).sum())) <= 0.51
    assert 0 < kernel_correlation(made.kernel, KERNEL) <= 1


@pytest.mark.parametrize(("y", "method", "says"), [
    (torch.zeros(2, 1, SIDE, SIDE), Blind((5,)), "must be one image"),
    (torch.zeros(1, 3, SIDE, SIDE), Blind((5,)), "take a prior of such images"),
    (torch.zeros(1, 1, SIDE, SIDE, dtype=torch.complex64), Blind((5,)), "take a prior of such images"),
    (torch.zeros(1, 1, 8, 8), Blind((5,)), "crop it"),
    (torch.zeros(1, 1, SIDE, SIDE), Blind((17,)), "too large"),
    (torch.full((1, 1, SIDE, SIDE), torch.nan), Blind((5,)), "finite"),
])
def test_what_is_no_image_of_the_prior_is_refused(y: torch.Tensor, method: Blind, says: str) -> None:
    with pytest.raises(InputError, match=says):
        restore_blind(y, smooth(SIDE), method, codec=CODEC, levels=LEVELS)


def test_settings_are_checked() -> None:
    with pytest.raises(InputError, match="missing"):
        Blind(())
    with pytest.raises(InputError, match="lr"):
        Blind(lr=-1.0)
    with pytest.raises(InputError, match="codec"):
        restore_blind(blurred(), smooth(SIDE), Blind((5,)), levels=LEVELS)
