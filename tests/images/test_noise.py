"""The noise that is estimated."""

import pytest
import torch
from laws import white

from medrestore.images.degradation import Degradation
from medrestore.images.noise import can_be_estimated, estimated, is_blurred, rounding
from medrestore.operators import gaussian_blur


def test_white_noise_is_found() -> None:
    clean = gaussian_blur((64, 64), 3.0)(200 * white((1, 1, 64, 64), seed=9))
    assert estimated(clean + 9 * white((1, 1, 64, 64))) == pytest.approx(9, rel=0.15)
    both = torch.complex(clean + 9 * white((1, 1, 64, 64), seed=1), 9 * white((1, 1, 64, 64), seed=2))
    assert estimated(both) == pytest.approx(9, rel=0.2)
    assert estimated(torch.zeros(1, 1, 16, 16)) == 0


def test_of_what_it_can_be_told() -> None:
    for given, can, blurred in (
        (dict(task="sr", factor=2), True, False),
        (dict(task="cs", keep=0.5), False, False),
        (dict(task="deblur", motion=(3.0, 0.0)), True, True),
    ):
        steps = Degradation(**given).steps
        assert can_be_estimated(steps) == can and is_blurred(steps) == blurred


def test_rounding_is_uniform() -> None:
    values = torch.rand(100_000, generator=torch.Generator().manual_seed(0)) * 100
    assert (
        float((values - values.round()).std()) == pytest.approx(rounding(1.0), rel=0.02)
        and rounding(None) == 0
    )
