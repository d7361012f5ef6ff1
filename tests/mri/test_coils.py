"""Coil maps: they explain the scan, they come from the calibration region alone, the cache can be trusted."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from helpers.phantom import folded, head_and_maps
from sigpy.mri.app import EspiritCalib

from medrestore.errors import InputError
from medrestore.fft import fft2c, ifft2c
from medrestore.mri import calibration_scale, espirit, low_resolution, sampling_mask, simulate_scan, simulated_maps

SHAPE = (80, 75)


@pytest.fixture(scope="module")
def scan():
    image, maps, generator = head_and_maps(SHAPE, 6, seed=0)
    mask = sampling_mask("uniform1d", SHAPE, 3, acs=20, seed=0).mask
    full = simulate_scan(image, maps, torch.ones(1, SHAPE[1]), snr_db=40, generator=generator)
    return image, maps, mask, full


def energy(x):
    return float(x.abs().square().sum())


def test_maps_explain_the_fully_sampled_scan(scan):
    image, true, mask, full = scan
    maps = espirit(full * mask, mask=mask)
    assert maps.shape == true.shape and maps.dtype == torch.complex64
    coils = ifft2c(full)
    residual = coils - maps * (maps.conj() * coils).sum(1, keepdim=True)
    assert energy(residual) < 0.005 * energy(coils)
    support = (maps != 0).any(1)
    rss = maps.abs().square().sum(1).sqrt()
    assert torch.allclose(rss[support], torch.ones(()), atol=1e-5)
    assert (rss[~support] == 0).all() and (~support).any()
    object_ = image[0].abs() > 0.1
    assert support[object_].float().mean() > 0.98
    alignment = (maps.conj() * true).sum(1).abs()[object_ & support]
    assert alignment.quantile(0.05) > 0.99


def sigpys(calibration: torch.Tensor, shape: tuple[int, int], crop: float) -> torch.Tensor:
    """sigpy's maps (coil, h, w) of a square calibration region (coil, n, n), up to their phase."""
    width = calibration.shape[-1]
    kspace = np.zeros((len(calibration), *shape), np.complex64)
    rows, columns = (slice(n // 2 - width // 2, n // 2 - width // 2 + width) for n in shape)
    kspace[:, rows, columns] = calibration
    with np.errstate(invalid="ignore", divide="ignore"):  # 0 / 0 where its first coil is 0
        app = EspiritCalib(kspace, calib_width=width, kernel_width=6, thresh=0.02, crop=crop, show_pbar=False)
        return torch.from_numpy(np.nan_to_num(app.run()))


@pytest.mark.parametrize(("shape", "coils", "lines"), [((80, 75), 6, 20), ((75, 96), 3, 24), ((64, 64), 15, 32)])
def test_maps_are_those_of_sigpy(shape, coils, lines):
    image, maps, generator = head_and_maps(shape, coils, seed=1)
    full = simulate_scan(image, maps, torch.ones(1, shape[1]), snr_db=35, generator=generator)
    ours = espirit(full, mask=torch.ones(1, shape[1]), acs=(lines, lines))[0]
    rows, columns = (slice(n // 2 - lines // 2, n // 2 - lines // 2 + lines) for n in shape)
    theirs = sigpys(full[0, :, rows, columns], shape, 0.8)
    inside = (ours != 0).any(0)
    assert (inside != (theirs != 0).any(0)).float().mean() < 1e-3
    phase = (ours * theirs.conj()).sum(0).sgn()  # theirs is that of the first coil
    difference = (ours - phase * theirs).abs().amax(0)
    assert (difference[inside] < 1e-3).float().mean() > 0.99  # where two eigenvalues meet, sigpy's 100 steps are too few
    seen = inside & (image[0, 0].abs() > 0.1)
    assert difference[seen].max() < 1e-3 and seen.float().mean() > 0.2


def test_maps_do_not_depend_on_how_much_is_held_at_once(scan, monkeypatch):
    _, _, mask, full = scan
    whole = espirit(full * mask, mask=mask)
    monkeypatch.setattr("medrestore.mri.coils._BLOCK_BYTES", 1)
    assert torch.allclose(espirit(full * mask, mask=mask), whole, atol=1e-5)


def test_phase_of_the_maps_is_smooth(scan):
    _, _, mask, full = scan
    maps = espirit(full * mask, mask=mask)
    support = (maps != 0).any(1)[0]
    both = support[1:] & support[:-1]
    step = (maps[0, :, 1:] * maps[0, :, :-1].conj()).sum(0)[both]  # 1 where nothing changes from row to row
    assert step.angle().abs().max() < 0.3 and step.abs().min() > 0.9


def test_nothing_outside_the_calibration_region_leaks_in(scan):
    _, _, mask, full = scan
    alone = torch.zeros(1, SHAPE[1])
    alone[0, 37 - 10 : 37 + 10] = 1
    reference = espirit(full * alone, mask=alone)
    assert torch.equal(espirit(full * mask, mask=mask, acs=20), reference)
    assert torch.equal(espirit(full, mask=alone), reference)
    assert torch.equal(espirit(full * alone), reference)  # the mask read off the zeros


@pytest.mark.parametrize("lines", [8, 10, 13])
def test_few_lines_still_give_a_support(scan, lines):
    image, _, _, full = scan
    support = (espirit(full, mask=torch.ones(1, SHAPE[1]), acs=lines) != 0).any(1)
    assert support[image[0].abs() > 0.1].float().mean() > 0.8


def test_a_dead_first_coil_does_no_harm(scan):
    _, _, mask, full = scan
    full = full.clone()
    full[:, 0] = 0
    maps = espirit(full * mask, mask=mask)
    assert torch.isfinite(torch.view_as_real(maps)).all()
    assert maps[0, 0].abs().max() < 1e-3 and (maps != 0).any(1).float().mean() > 0.3


def test_cache_returns_the_same_maps_and_survives_damage(scan, tmp_path):
    _, _, mask, full = scan
    kspace = full * mask
    first = espirit(kspace, mask=mask, cache=tmp_path)
    (file,) = tmp_path.iterdir()
    assert torch.equal(espirit(kspace, mask=mask, cache=tmp_path), first)
    np.save(file, np.ones((1, 6, *SHAPE), np.complex64))  # a hit is really read: what lies there comes back
    assert (espirit(kspace, mask=mask, cache=tmp_path) == 1).all()
    whole = b"\x93NUMPY" + b"\0" * 50
    wrong_shape, pickled = tmp_path / "shape.npy", tmp_path / "pickled.npy"
    np.save(wrong_shape, np.ones(3, np.complex64))
    np.save(pickled, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    for damage in (b"", b"garbage", whole, wrong_shape.read_bytes(), pickled.read_bytes()):
        file.write_bytes(damage)
        assert torch.equal(espirit(kspace, mask=mask, cache=tmp_path), first)
    espirit(kspace, mask=mask, crop=0.9, cache=tmp_path)
    assert len(list(tmp_path.glob("espirit-*.npy"))) == 2 and not list(tmp_path.glob("*.part"))


def test_a_scan_without_enough_calibration_lines_is_refused(scan):
    full = scan[3]
    hole = torch.ones(1, SHAPE[1])
    hole[0, SHAPE[1] // 2] = 0
    narrow = torch.zeros(1, SHAPE[1])
    narrow[0, 35:40] = 1
    for mask, words in ((hole, "not sampled"), (narrow, "needs 8 calibration lines but finds 5")):
        with pytest.raises(InputError, match=f"{words}.*give coil maps"):
            espirit(full * mask, mask=mask)
    with pytest.raises(InputError, match="no signal"):
        espirit(torch.zeros_like(full), mask=torch.ones(1, SHAPE[1]))


def test_low_resolution_image_is_the_blurred_image_whatever_is_sampled_around(scan):
    image, true, mask, full = scan
    low = low_resolution(full * mask, mask, true)
    assert low.shape == image.shape and low.dtype == torch.complex64
    window = torch.zeros(SHAPE)
    window[:, 27:47] = torch.hamming_window(SHAPE[0], periodic=False)[:, None] * torch.hamming_window(20, periodic=False)
    blurred = ifft2c(fft2c(image) * window)
    assert energy(low - blurred) < 0.02 * energy(blurred)
    without = low_resolution(full * mask, mask)
    assert energy(without.abs() - low.abs()) < 0.01 * energy(low)
    other = sampling_mask("random1d", SHAPE, 3, acs=20, seed=9).mask
    other[0, [26, 27, 47, 48]] = mask[0, [26, 27, 47, 48]]
    assert calibration_scale(full * mask, mask, true) == calibration_scale(full * other, other, true)
    truth = np.quantile(image.abs(), 0.99)
    assert 0.6 * truth < calibration_scale(full * mask, mask, true) < 1.05 * truth
    assert calibration_scale(7 * full * mask, mask, true) == pytest.approx(7 * calibration_scale(full * mask, mask, true))


def test_simulated_maps_are_smooth_normalised_and_reproducible():
    make = [simulated_maps(5, (33, 40), generator=torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert make[0].shape == (1, 5, 33, 40) and make[0].dtype == torch.complex64
    assert torch.equal(make[0], make[1]) and not torch.equal(make[0], make[2])
    assert torch.allclose(make[0].abs().square().sum(1), torch.ones(()), atol=1e-5)
    assert (make[0][..., 1:] - make[0][..., :-1]).abs().max() < 0.2
    assert simulated_maps(1, (8, 8), generator=torch.Generator()).abs().eq(1).all()


def test_importing_the_room_does_not_import_sigpy():
    code = "import sys, medrestore.mri; sys.exit('sigpy' in sys.modules or 'numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_single_coil_needs_no_calibration(scan):
    single = fft2c(scan[0])
    for middle in (0, 5):  # no central line, and few
        mask = (torch.arange(SHAPE[1]) % 4 == 1).float()[None]
        mask[0, SHAPE[1] // 2] = 0
        mask[0, SHAPE[1] // 2 : SHAPE[1] // 2 + middle] = 1
        assert torch.equal(espirit(single * mask, mask=mask), torch.ones_like(single))


@pytest.mark.parametrize("lines", [0, 1, 3])
def test_the_scale_of_a_scan_without_calibration_lines_is_that_of_one_with_them(scan, lines):
    """With maps from elsewhere."""
    _, true, _, full = scan
    mask = torch.zeros(1, SHAPE[1])
    mask[0, (SHAPE[1] // 2 + 1) % 2 :: 2] = 1
    mask[0, SHAPE[1] // 2] = 0
    if lines:
        mask[0, SHAPE[1] // 2 - lines // 2 : SHAPE[1] // 2 + lines // 2 + 1] = 1
    central = torch.zeros(1, SHAPE[1])
    central[0, SHAPE[1] // 2 - 12 : SHAPE[1] // 2 + 12] = 1
    assert calibration_scale(full * mask, mask, true) == pytest.approx(calibration_scale(full * central, central, true), rel=0.1)


@pytest.fixture(scope="module")
def wrapped():
    """A scan whose field of view is narrower than the head, and the coil images behind it."""
    image, maps, _ = head_and_maps((48, 60), 8, seed=1)
    coils = folded(maps * image, 32)
    return coils, fft2c(coils)


def test_two_sets_explain_an_object_larger_than_the_field_of_view(wrapped):
    coils, kspace = wrapped
    left = []
    for sets in (1, 2):
        maps = espirit(kspace, acs=24, sets=sets)
        assert maps.shape == (sets, *kspace.shape[1:])
        images = (maps.conj() * coils).sum(1)
        left.append(energy(coils - (maps * images[:, None]).sum(0)) / energy(coils))
    assert left[0] > 0.01 and left[1] < 0.1 * left[0]


def test_sets_are_orthonormal_and_the_second_is_where_the_object_wraps(wrapped):
    maps = espirit(wrapped[1], acs=24, sets=2)
    size = maps.abs().square().sum(1)
    assert torch.allclose(size[size > 0], torch.ones(()), atol=1e-4)
    assert float((maps[0].conj() * maps[1]).sum(0).abs().max()) < 1e-4
    second = size[1] > 0
    assert second[:, :3].any() and second[:, -3:].any() and not second[:, 13:19].any()


def test_the_first_of_two_sets_varies_as_smoothly_where_there_are_two(wrapped):
    """Any two vectors of the plane explain the scan; the eigenvalues alone choose ones that jump."""
    maps = espirit(wrapped[1], acs=24, sets=2)
    both = (maps[1] != 0).any(0)
    inner = both[:, 1:] & both[:, :-1]
    steps = (maps[0][..., 1:] * maps[0][..., :-1].conj()).sum(0)[inner]
    assert float(steps.real.min()) > 0.9


def test_a_second_set_is_all_but_empty_where_nothing_wraps(scan, tmp_path):
    _, _, mask, full = scan
    one, two = (espirit(full * mask, mask=mask, sets=sets, cache=tmp_path) for sets in (1, 2))
    assert float((two[1] != 0).any(0).float().mean()) < 0.02
    alone = ~(two[1] != 0).any(0)
    assert torch.allclose(two[0][:, alone], one[0][:, alone], atol=1e-5)
    assert torch.equal(espirit(full * mask, mask=mask, sets=2, cache=tmp_path), two)


def test_the_scale_of_two_sets_is_that_of_the_larger_image(wrapped):
    _, kspace = wrapped
    mask = torch.ones(1, kspace.shape[-1])
    maps = espirit(kspace, acs=24, sets=2)
    image = low_resolution(kspace, mask, maps)
    assert image.shape == (1, 2, *kspace.shape[-2:])
    one = calibration_scale(kspace, mask, maps[:1])
    assert 0.7 * one < calibration_scale(kspace, mask, maps) < 1.1 * one


@pytest.mark.parametrize(("coils", "shape"), [(8, (12, 9)), (3, (7, 16))])
def test_simulated_maps_are_the_birdcage_of_sigpy(coils, shape):
    """Up to the constant phase of each coil."""
    from sigpy.mri import birdcage_maps

    generator = torch.Generator().manual_seed(3)
    ours = simulated_maps(coils, shape, generator=generator)[0].to(torch.complex128)
    generator = torch.Generator().manual_seed(3)
    torch.rand(coils + 1, generator=generator, dtype=torch.float64)
    theirs = torch.from_numpy(birdcage_maps((coils, *shape), r=1.2 + 0.6 * float(torch.rand((), generator=generator))))
    turned = (ours * theirs.conj()).sgn()
    assert torch.allclose(ours.abs(), theirs.abs(), atol=1e-6)
    assert (turned - turned[:, :1, :1]).abs().max() < 1e-5
