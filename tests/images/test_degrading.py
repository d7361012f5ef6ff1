"""Degraded images: what is left, the noise, and what is refused."""

import pytest
import torch
from helpers.frames import picture
from helpers.pictured import grey
from laws import close

from medrestore.errors import InputError
from medrestore.images.degradation import Degradation
from medrestore.images.degrading import cropped, degraded
from medrestore.images.plan import DegradePlan
from medrestore.operators import AveragePool

X = grey(size=(20, 27)).float()[None, None]
SR = Degradation(task="sr", factor=4)


def test_sides_that_a_factor_does_not_divide() -> None:
    with pytest.raises(InputError, match="27 columns do not divide by a factor of 4; pass `crop`"):
        degraded(X, DegradePlan(SR))
    plan = DegradePlan(SR, crop=True)
    assert cropped((20, 27), plan) == (20, 24)
    close(degraded(X, plan), AveragePool(4, (20, 24))(X[..., :24]))
    with pytest.raises(InputError, match="none left"):
        cropped((3, 27), plan)


def test_noise_is_white_and_of_its_seed() -> None:
    plan = DegradePlan(Degradation(task="denoise"), noise_std=5.0)
    both = degraded(X.expand(2, -1, -1, -1), plan) - X
    assert float(both.std()) == pytest.approx(5, rel=0.1) and not torch.equal(both[0], both[1])
    assert torch.equal(degraded(X, plan, numbers=[1])[0], degraded(X.expand(2, -1, -1, -1), plan)[1])
    hidden = degraded(X, DegradePlan(Degradation(task="cs", keep=0.5), noise_std=5.0))
    assert int((hidden != 0).sum()) == 270


def test_complex_images_have_complex_noise() -> None:
    x = torch.complex(X, X)
    off = degraded(x, DegradePlan(noise_std=3.0)) - x
    assert float(off.real.std()) == pytest.approx(3, rel=0.1) == float(off.imag.std())


def test_nothing_to_do_is_refused() -> None:
    for image, plan, words in (
        (X, DegradePlan(), "nothing is to be done"),
        (X, DegradePlan(Degradation(task="denoise")), "denoise needs noise"),
        (X, DegradePlan(Degradation(task="colorize")), "grey already"),
    ):
        with pytest.raises(InputError, match=words):
            degraded(image, plan)
    assert degraded(picture()[None].float(), DegradePlan(Degradation(task="colorize"))).shape[1] == 1
