"""Augmented crops: right sizes, repeatable, varied, in range, as a scanner or a camera would have it."""

import math
import pickle

import pytest
import torch
from helpers.crops import head, stream
from torch import Tensor

from medrestore.datasets import augmentation, images
from medrestore.datasets.augment import ComplexMR, Frames, check_light, truncate, window
from medrestore.datasets.base import Symmetric
from medrestore.errors import InputError
from medrestore.fft import fft2c

MONAI = [{"RandFlip": {"prob": 0.5, "spatial_axis": 1}}, {"RandRotate": {"range_x": 0.3, "prob": 1.0}}, "RandGaussianNoise"]


@pytest.mark.parametrize("side", [32, 64])
@pytest.mark.parametrize("size", [(96, 80), (217, 182), (300, 512)])
@pytest.mark.parametrize("channels", [1, 2])
def test_complex_crops_of_any_slice_have_about_unit_brightness(size: tuple[int, int], side: int, channels: int) -> None:
    image = head(*size)
    image = image if channels == 1 else torch.cat([0.6 * image, 0.8 * image])
    crops = torch.stack([ComplexMR()(image, side, stream(i)) for i in range(40)])
    assert crops.shape == (40, 2, side, side) and crops.dtype == torch.float32 and torch.isfinite(crops).all()
    brightest = crops.square().sum(1).sqrt().flatten(1).amax(1)
    assert 0.7 < brightest.median() < 1.9
    assert brightest.max() < 6


def test_a_crop_beyond_the_slice_is_dark_there() -> None:
    crop = ComplexMR()(torch.ones(1, 96, 96), 256, stream(3))
    magnitude = crop.square().sum(0).sqrt()
    assert (magnitude == 0).float().mean() > 0.5 and magnitude.max() > 0.5


def test_the_phase_of_a_complex_slice_is_kept_under_a_smooth_one() -> None:
    phase = torch.zeros(128, 128)
    phase[:, ::2] = math.pi  # as far from smooth as can be
    image = torch.stack([phase.cos(), phase.sin()])
    flat = torch.stack([torch.ones(128, 128), torch.zeros(128, 128)])
    rough, smooth = (_roughness(ComplexMR(contrast=0.0)(x, 64, stream(2))) for x in (image, flat))
    assert rough > 5 * smooth


def _roughness(crop: Tensor) -> float:
    z = torch.complex(crop[0], crop[1])
    return float((z[:, 1:] * z[:, :-1].conj()).angle().abs().mean())


def test_contrast_leaves_air_dark_and_can_be_switched_off() -> None:
    image = head(128, 128)
    spread = []
    for contrast in (0.0, 1.0):
        ratios = []
        for i in range(40):
            magnitude = ComplexMR(contrast=contrast)(image, 128, stream(i)).square().sum(0).sqrt()
            ratios.append(float(magnitude.quantile(0.6) / magnitude.quantile(0.99)))
            assert magnitude.quantile(0.05) < 0.15
        spread.append(torch.tensor(ratios).std())
    assert spread[1] > spread[0]


def test_pictures_are_refused_by_complex_crops() -> None:
    with pytest.raises(InputError, match="magnitude: true"):
        ComplexMR()(-torch.ones(1, 64, 64), 32, stream())


def test_truncation_is_the_centre_of_k_space_and_keeps_the_mean() -> None:
    image = torch.rand(1, 90, 76, generator=stream())
    small = truncate(image, 2.0)
    assert small.shape in ((1, 44, 38), (1, 46, 38))
    assert small.mean().real == pytest.approx(float(image.mean()), rel=1e-4)
    m, n = small.shape[-2:]
    whole = fft2c(image.to(torch.complex64))[..., 45 - m // 2 : 45 - m // 2 + m, 38 - n // 2 : 38 - n // 2 + n]
    torch.testing.assert_close(fft2c(small), whole * (m * n / (90 * 76)) ** 0.5, rtol=0, atol=1e-4)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [32, 100])
def test_frames_stay_in_range_and_change(channels: int, side: int) -> None:
    image = 2 * torch.rand(channels, 70, 120, generator=stream()) - 1
    crops = torch.stack([augmentation({"kind": "frames", "turns": True})(image, side, stream(i)) for i in range(20)])
    assert crops.shape == (20, channels, side, side)
    assert crops.min() >= -1 and crops.max() <= 1 and crops.flatten(1).mean(1).std() > 0.005


def test_frames_without_any_change_are_windows() -> None:
    image = 2 * torch.rand(3, 50, 60, generator=stream()) - 1
    crop = Frames(zoom_out=0, flip=False, brightness=0, contrast=0, balance=0)(image, 24, stream(5))
    windows = image.unfold(1, 24, 1).unfold(2, 24, 1).permute(1, 2, 0, 3, 4).reshape(-1, 3, 24, 24)
    assert (windows - crop).abs().amax((1, 2, 3)).min() < 1e-5


def test_zooming_out_averages_fine_detail_away() -> None:
    board = (torch.arange(256)[:, None] + torch.arange(256)) % 2 * 2.0 - 1
    crops = [Frames(brightness=0, contrast=0, balance=0)(board.expand(3, -1, -1), 32, stream(i)) for i in range(20)]
    assert min(float(crop.abs().mean()) for crop in crops) < 0.1


@pytest.mark.parametrize("spec", ["complex_mr", "frames", "crop", None, {"kind": "frames", "flip": False}, MONAI])
def test_the_generator_decides_every_crop_in_every_process(spec: object) -> None:
    augment = pickle.loads(pickle.dumps(augmentation(spec)))
    image = head(96, 96)
    first, again, other = (augment(image, 40, stream(seed)) for seed in (1, 1, 2))
    assert type(first) is Tensor and first.shape[-2:] == (40, 40)
    assert torch.equal(first, again) and not torch.equal(first, other)


@pytest.mark.parametrize(("spec", "message"), [
    ("mirror", "kind must be one of"),
    ({"kind": "frames", "flips": True}, "augment frames: flips is no option; did you mean flip"),
    ({"kind": "frames", "flip": 1.5}, "true or false"),
    ({"kind": "frames", "brightness": 2}, "must be at least 0 and at most 1"),
    ({"kind": "complex_mr", "contrast": 7}, "must be at least 0 and at most 1"),
    ([], "empty"),
    (["LoadImage"], "not allowed"),
    (["RandFlipd"], "not allowed"),
    (["RandNothing"], "not allowed"),
    ([{"RandFlip": {"wrong": 1}}], "refuses"),
    ([{"RandFlip": {}, "RandZoom": {}}], "a MONAI transform is"),
])
def test_wrong_augmentations_are_refused(spec: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        augmentation(spec)


def test_a_window_pads_small_images_with_dark() -> None:
    image = torch.rand(3, 10, 12, generator=stream()) + 1
    out = window(image, 20, stream())
    assert out.shape == (3, 20, 20) and torch.equal(out[:, 5:15, 4:16], image) and out[0, 0, 0] == image.min()


def test_light_is_changed_of_pictures_alone() -> None:
    for form in ("magnitude", "complex"):
        with pytest.raises(InputError, match="frames is for pictures"):
            check_light(Frames(), images({"kind": "phantoms", "count": 1, "size": 24, "form": form}))
    check_light(ComplexMR(), images({"kind": "phantoms", "count": 1, "size": 24}))
    check_light(Frames(), images({"kind": "photographs", "names": ["rocket"]}))


def test_a_slice_one_pixel_high_has_another_resolution_too() -> None:
    assert truncate(torch.ones(1, 1, 200), 2.0).shape == (1, 1, 100)


@pytest.mark.parametrize(("spec", "expected"), [
    ("complex_mr", ("left-right", "up-down", "phase")), ("frames", ("left-right",)), ({"kind": "frames", "flip": False}, ()),
    ({"kind": "frames", "turns": True}, ("left-right", "up-down")), ("crop", ()),
])
def test_what_crops_are_turned_by_is_said(spec: object, expected: tuple[str, ...]) -> None:
    augment = augmentation(spec)
    assert (augment.symmetries if isinstance(augment, Symmetric) else ()) == expected
