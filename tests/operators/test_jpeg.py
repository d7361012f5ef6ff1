"""JPEG as an operator, against the files that a library writes."""

import io

import numpy as np
import pytest
import torch
from laws import close, white
from PIL import Image
from torch import Tensor

from medrestore.errors import InputError
from medrestore.operators import JPEG, check, jpeg_quality
from medrestore.operators.jpeg import CHROMA, quantisation


def picture(channels: int, height: int = 32, width: int = 48) -> Tensor:
    """A smooth image with an edge, whole numbers of 255."""
    rows, columns = torch.meshgrid(torch.arange(height) / height, torch.arange(width) / width, indexing="ij")
    waves = [0.5 + 0.3 * torch.sin(5 * rows + 7 * columns + k) * torch.cos(9 * rows * columns) for k in range(channels)]
    x = torch.stack(waves)[None] + 0.15 * (columns > rows)
    return (x * 255).round() / 255


def written(x: Tensor, quality: int, subsampling: int) -> Tensor:
    """What Pillow makes of it."""
    array = (x[0].permute(1, 2, 0) * 255).round().byte().numpy()
    file = io.BytesIO()
    Image.fromarray(array if array.shape[-1] == 3 else array[..., 0]).save(file, "JPEG", quality=quality, subsampling=subsampling)
    decoded = np.asarray(Image.open(file)).copy()
    return torch.from_numpy(decoded.reshape(*x.shape[-2:], -1)).permute(2, 0, 1)[None] / 255


@pytest.mark.parametrize("quality", [10, 50, 90])
@pytest.mark.parametrize(("channels", "halved"), [(1, False), (3, False), (3, True)])
def test_it_is_what_a_library_writes(quality: int, channels: int, halved: bool) -> None:
    """To the rounding of the library's integer arithmetic."""
    x = picture(channels)
    off = JPEG(quality, halved)(x) - written(x, quality, 2 if halved else 0)
    assert float(off.abs().mean()) < 1.2 / 255 and float(off.abs().quantile(0.95)) < 4 / 255


def test_tables_are_those_of_the_library() -> None:
    file = io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(file, "JPEG", quality=30)
    for table, ours in zip(Image.open(file).quantization.values(), (quantisation(30), quantisation(30, CHROMA)), strict=True):
        assert [int(value) for value in ours.flatten()] == list(table)


@pytest.mark.parametrize("channels", [1, 3])
def test_laws(channels: int) -> None:
    check(JPEG(20, rounding="smooth", low=-4.0, high=4.0), (channels, 16, 32))
    check(JPEG(20, low=-4.0, high=4.0), (channels, 16, 32))


def test_the_straight_gradient_is_that_without_rounding() -> None:
    """Without rounding, and away from the ends of the interval, the operator is the identity."""
    x = picture(1).requires_grad_()
    weight = white(tuple(x.shape))
    y = JPEG(30)(x)
    assert bool(((y > 0) & (y < 1)).all())
    (gradient,) = torch.autograd.grad((weight * y).sum(), x)
    close(gradient, weight, 1e-4)


def test_images_whose_sides_are_no_multiples() -> None:
    x = picture(3, 21, 30)
    y = JPEG(90)(x)
    assert y.shape == x.shape and float((y - x).abs().mean()) < 0.02


@pytest.mark.parametrize("quality", [10, 35, 60, 85])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_quality_is_found(quality: int, channels: int) -> None:
    noisy = (picture(channels, 64, 96) + 0.02 * white((1, channels, 64, 96))).clamp(0, 1)
    assert jpeg_quality(written(noisy, quality, 2)) == quality


def test_refusals() -> None:
    with pytest.raises(InputError, match="1 to 100"):
        JPEG(0)
    with pytest.raises(InputError, match="must rise"):
        JPEG(50, low=1.0, high=0.0)
    with pytest.raises(InputError, match="2 channels"):
        JPEG(50)(white((1, 2, 8, 8)))
    with pytest.raises(InputError, match="no block"):
        jpeg_quality(white((1, 1, 7, 9)))


def test_below_black_an_estimate_is_seen_and_above_white_it_is_clipped() -> None:
    """Else black that is measured would hold for any value below it."""
    jpeg, black = JPEG(10), torch.zeros(1, 1, 8, 8)
    assert torch.allclose(jpeg(black - 0.8), jpeg(black) - 0.8, atol=1e-6)
    assert float(jpeg(black + 1.5).max()) <= 1
