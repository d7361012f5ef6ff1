"""JPEG as an operator, against the files that a library writes."""

import io

import numpy as np
import pytest
import torch
from laws import close, white
from PIL import Image
from torch import Tensor

from medrestore.codecs import Interval
from medrestore.consistency import prox
from medrestore.errors import InputError
from medrestore.operators import JPEG, SpectralOperator, check, jpeg_quality
from medrestore.operators.cosine import CosineSamples, image_of_coefficients, in_place
from medrestore.operators.jpeg import CHROMA, LUMA, ROUNDED, quantisation
from medrestore.problem import Problem


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


def quanta(quality: int, rows: int, columns: int, table: tuple[int, ...] = LUMA) -> Tensor:
    return quantisation(quality, table).repeat(rows // 8, columns // 8)[None, None] / 255


@pytest.mark.parametrize("quality", [10, 60])
def test_samples_of_a_file_are_those_of_the_image_within_half_a_quantum(quality: int) -> None:
    """From a file of a library, whose pixels are whole numbers and end at black and white."""
    x = picture(1)
    B, c, least = JPEG(quality).samples(written(x, quality, 0), 0.0)
    q = quanta(quality, 32, 48)
    assert isinstance(B, SpectralOperator) and least == pytest.approx(float((ROUNDED / 12) ** 0.5 * q.min()))
    half = 0.501 * least * (12 / ROUNDED) ** 0.5  # of a quantum, all being weighted alike
    assert float(((B(x) - c).abs() <= half).float().mean()) > 0.99
    close(B(x * 0 + 1)[..., 0, 0], 8 * least / ((ROUNDED / 12) ** 0.5 * q[..., 0, 0]), 1e-5)


@pytest.mark.parametrize("halved", [False, True])
def test_samples_of_colours(halved: bool) -> None:
    """Sides that are no multiples, and colours that are interpolated in the file."""
    x = picture(3, 37, 45)
    B, c, least = JPEG(30, halved).samples(JPEG(30, halved)(x), 0.0)
    half = 0.51 * least * (12 / ROUNDED) ** 0.5  # of a quantum, all being weighted alike
    assert float(((B(x) - c).abs() <= half).float().mean()) > 0.98
    assert c.shape[-1] == (48 * 48 * 3 // 2 if halved else 40 * 48 * 3)


def test_other_noise_adds_to_that_of_rounding() -> None:
    y, quantum = JPEG(50)(picture(1)), quanta(50, 8, 8)[0, 0, 0, 0]
    B, _, least = JPEG(50).samples(y, 0.1)
    assert isinstance(B, CosineSamples)
    assert float(least / B.weights[0, 0, 0, 0]) == pytest.approx(float((ROUNDED / 12 * quantum**2 + 0.01) ** 0.5))


def test_the_interval_is_that_of_the_image() -> None:
    """The same file as another interval: samples in the units of the image."""
    x = picture(1)
    B, c, least = JPEG(20).samples(JPEG(20)(x), 0.0)
    wide = JPEG(20, low=-1.0, high=3.0)
    C, d, more = wide.samples(wide(4 * x - 1), 0.0)
    assert more == pytest.approx(4 * least)
    close(d, 4 * c - B(torch.ones_like(x)), 1e-4)
    close(C(x), B(x))


def test_a_data_step_is_the_mean_given_a_gaussian_prior() -> None:
    """Each coefficient is drawn to its rounded value by the share that its quantum justifies: the closed form."""
    x, before, spread = picture(1), picture(1).flip(2), 0.07
    problem = Problem(JPEG(10), JPEG(10)(x), 0.0).encoded(Interval(0.0, 1.0))
    z = prox(problem, 2 * before - 1, (2 * spread / float(problem.sigma)) ** 2)
    q, offset = quanta(10, 32, 48), in_place(torch.full_like(x, 128 / 255))
    rounded = ((in_place(x) - offset) / q).round() * q + offset
    share = spread**2 / (spread**2 + ROUNDED / 12 * q**2)
    close((z + 1) / 2, image_of_coefficients(in_place(before) + share * (rounded - in_place(before))), 1e-4)
