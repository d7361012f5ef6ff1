"""The deep image prior: better than zero-filled, the same every time, and stopped by samples that it has not fitted."""

import pytest
import torch
from helpers.slices import blocks, error, maps_of, scan

from medrestore.baselines import DeepImagePrior, ZeroFilled
from medrestore.baselines.deep_image_prior import _split_samples
from medrestore.errors import InputError
from medrestore.fft import fft2c
from medrestore.mri.sampling import calibration_region

SMALL = DeepImagePrior(channels=12, steps=260)


def test_it_beats_zero_filling_and_repeats_itself():
    kspace, maps, mask, image = scan(44, 37)
    before = torch.get_rng_state()
    found = SMALL.reconstruct(kspace, maps, mask)
    assert error(found, image) < 0.8 * error(ZeroFilled().reconstruct(kspace, maps, mask), image)
    first, again, other = (DeepImagePrior(channels=12, steps=20, seed=seed).reconstruct(kspace, maps, mask) for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(before, torch.get_rng_state())  # nobody else's random numbers change


@pytest.mark.parametrize(("height", "width", "coils"), [(21, 33, 3), (40, 18, 1), (9, 8, 2)])
def test_any_size_and_number_of_coils(height, width, coils):
    maps = maps_of(height, width, coils)
    mask = torch.ones(height, width)
    mask[::2, ::3] = 0
    kspace = fft2c(maps * blocks(height, width)) * mask
    found = DeepImagePrior(channels=4, layers=3, steps=5).reconstruct(kspace, maps, mask)
    assert found.shape == (1, 1, height, width) and found.dtype == torch.complex64 and torch.isfinite(found).all()


def test_it_scales_with_the_data():
    kspace, maps, mask, _ = scan(24, 20)
    few = DeepImagePrior(channels=4, layers=3, steps=10)
    assert torch.allclose(1e4 * few.reconstruct(kspace, maps, mask), few.reconstruct(1e4 * kspace, maps, mask), rtol=1e-3, atol=1)
    assert not few.reconstruct(0 * kspace, maps, mask).any()


def test_what_is_held_out_stops_the_fit(monkeypatch):
    """Noise has no structure to be predicted, so the fit ends at once; and the calibration region is always fitted."""
    drawn = []
    own = DeepImagePrior._decoder

    def counted(self, *arguments):
        draw, weights = own(self, *arguments)
        return lambda: (drawn.append(None), draw())[1], weights

    monkeypatch.setattr(DeepImagePrior, "_decoder", counted)
    _, maps, mask, _ = scan(24, 20)
    noise = torch.randn(maps.shape, dtype=torch.complex64, generator=torch.Generator().manual_seed(0)) * mask
    DeepImagePrior(channels=8, layers=3, steps=300, patience=20, held_out=0.2).reconstruct(noise, maps, mask)
    assert 20 < len(drawn) < 150
    drawn.clear()
    DeepImagePrior(channels=8, layers=3, steps=30, patience=1, held_out=0).reconstruct(noise, maps, mask)
    assert len(drawn) == 30
    drawn.clear()
    DeepImagePrior(channels=8, layers=3, steps=30, patience=1).reconstruct(noise, maps, torch.ones(1, 20))
    assert len(drawn) == 30  # nothing outside the calibration region to hold out
    fitted, predicted = _split_samples(mask, (24, 20), 0.3, torch.Generator().manual_seed(0))
    assert torch.equal(fitted + predicted, mask.expand(24, 20)) and not (fitted * predicted).any()
    _, columns = calibration_region(mask)
    assert columns.stop - columns.start == 7 and fitted[:, columns].all()
    assert 0.2 < predicted.sum() / (mask.sum() - 7) / 24 < 0.4


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"held_out": 1.0}, {"lr": -1.0}, {"average": float("nan")}, {"layers": 1}])
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        DeepImagePrior(**wrong)


def test_a_fit_that_diverges_is_no_image():
    kspace, maps, mask, _ = scan(20, 16)
    with pytest.raises(InputError, match="diverged at lr 1e\\+30"):
        DeepImagePrior(channels=4, layers=2, steps=12, lr=1e30).reconstruct(kspace, maps, mask)
