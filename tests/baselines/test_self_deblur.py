"""Blind deblurring by two untrained networks."""

import pytest
import torch
from laws import white

from medrestore.baselines import SelfDeblur
from medrestore.errors import InputError
from medrestore.operators import CircularBlur, gaussian_kernel

SIDE = 24


def blurred(channels: int = 1) -> torch.Tensor:
    squares = torch.zeros(1, channels, SIDE, SIDE)
    squares[..., 5:12, 6:15] = 1
    squares[..., 14:20, 3:9] = 0.5
    return 200 * CircularBlur(gaussian_kernel(1.0), (SIDE, SIDE))(squares)


@pytest.mark.parametrize("is_complex", [False, True])
def test_image_and_kernel_make_the_data(is_complex: bool) -> None:
    y = blurred(2)
    y = torch.complex(y, 0.5 * y) if is_complex else y
    image, kernel = SelfDeblur(9, steps=80, channels=8, kernel_lr=1e-3).deblur(y)
    assert image.shape == y.shape and image.dtype == y.dtype and kernel.shape == (9, 9)
    assert float(kernel.sum()) == pytest.approx(1, abs=1e-5)
    off = CircularBlur(kernel, (SIDE, SIDE))(image) - y
    assert float(off.abs().square().sum().sqrt() / y.abs().square().sum().sqrt()) < 0.4
    again, _ = SelfDeblur(9, steps=80, channels=8, kernel_lr=1e-3).deblur(y)
    assert torch.equal(again, image)


@pytest.mark.parametrize(("y", "says"), [
    (torch.zeros(1, 1, SIDE, SIDE), "not all zero"),
    (white((2, 1, SIDE, SIDE)), "one image"),
    (white((1, 1, 8, SIDE)), "larger than"),
])
def test_refusals(y: torch.Tensor, says: str) -> None:
    with pytest.raises(InputError, match=says):
        SelfDeblur(9).deblur(y)
    with pytest.raises(InputError, match="odd"):
        SelfDeblur(10, steps=1).deblur(white((1, 1, SIDE, SIDE)))
