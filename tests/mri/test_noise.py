"""Noise: covariance, whitening, and its estimate from undersampled scans."""

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.operators import full
from helpers.phantom import head_and_maps
from torch import Tensor

from medrestore.errors import InputError
from medrestore.fft import ifft2c
from medrestore.mri import (
    dead_coils,
    estimate_noise,
    estimate_trajectory_noise,
    noise_covariance,
    noise_std,
    prewhiten,
    radial,
    rosette,
    sampling_mask,
    simulate_scan,
    spiral,
    whitening,
)
from medrestore.operators import NonCartesianSense

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "kspace"


def correlated(coils, generator):
    mixing = torch.randn(coils, coils, dtype=torch.complex128, generator=generator) + 2 * torch.eye(coils)
    return mixing @ mixing.mH, mixing


def test_covariance_of_known_noise():
    generator = torch.Generator().manual_seed(0)
    psi, mixing = correlated(4, generator)
    samples = mixing @ torch.randn(4, 200_000, dtype=torch.complex128, generator=generator)
    assert torch.allclose(noise_covariance(samples), psi, atol=0.02 * float(psi.abs().max()))
    white = 0.7 * torch.view_as_complex(torch.randn(4, 100_000, 2, generator=generator))
    assert noise_std(noise_covariance(white)) == pytest.approx(0.7, rel=0.01)


def test_whitening_makes_the_covariance_a_multiple_of_the_identity_and_keeps_the_scale():
    psi, mixing = correlated(5, torch.Generator().manual_seed(1))
    psi, mixing = psi * 1e-12, mixing * 1e-6  # the scale of fastMRI's k-space
    W = whitening(psi)
    scale = psi.diagonal().real.mean()
    assert torch.allclose(W @ psi @ W.mH, scale * torch.eye(5, dtype=psi.dtype), atol=1e-12 * float(scale))
    samples = mixing @ torch.randn(5, 64 * 64, dtype=torch.complex128, generator=torch.Generator().manual_seed(2))
    kspace = samples.reshape(1, 5, 64, 64).to(torch.complex64)
    white = prewhiten(kspace, W)
    assert white.dtype == torch.complex64 and white.shape == kspace.shape
    left = noise_covariance(white[0].flatten(1)) / scale
    assert torch.allclose(left, torch.eye(5, dtype=left.dtype), atol=0.1)


def test_singular_and_short_noise_scans_are_refused():
    with pytest.raises(InputError, match="3 samples for 4 coils"):
        noise_covariance(torch.ones(4, 3, dtype=torch.complex64))
    dead = torch.diag(torch.tensor([1.0, 2.0, 0.0])).to(torch.complex64)
    with pytest.raises(InputError, match="singular"):
        whitening(dead)
    with pytest.raises(InputError, match="singular"):
        whitening(torch.ones(3, 3, dtype=torch.complex64))


@pytest.mark.parametrize("snr_db", [20, 30, 40])
@pytest.mark.parametrize(("kind", "accel"), [("uniform1d", 4), ("random1d", 4), ("poisson2d", 8)])
@pytest.mark.parametrize(("shape", "coils"), [((160, 128), 4), ((181, 173), 8)])
def test_noise_of_a_simulated_scan_is_found_within_ten_percent(snr_db, kind, accel, shape, coils):
    image, maps, generator = head_and_maps(shape, coils, seed=snr_db)
    mask = sampling_mask(kind, shape, accel, seed=2).mask
    kspace = simulate_scan(image, maps, mask, snr_db=snr_db, generator=generator)
    true = float(image.abs().square().mean().sqrt()) * 10 ** (-snr_db / 20) / 2**0.5
    found = estimate_noise(kspace, mask)
    assert found.std == pytest.approx(true, rel=0.10), found.source
    assert noise_std(found.covariance) == found.std and found.samples_used >= 128
    assert estimate_noise(3 * kspace, mask).std == pytest.approx(3 * found.std, rel=1e-4)


def test_pure_noise_and_correlated_coils():
    generator = torch.Generator().manual_seed(3)
    psi, mixing = correlated(6, generator)
    noise = torch.einsum("vc,chw->vhw", mixing, torch.randn(6, 96, 96, dtype=torch.complex128, generator=generator))
    for kind in ("uniform1d", "poisson2d"):
        mask = sampling_mask(kind, (96, 96), 3, seed=0).mask
        assert estimate_noise(noise[None].to(torch.complex64) * mask, mask).std == pytest.approx(noise_std(psi), rel=0.1)


def test_only_sampled_entries_count():
    image, maps, generator = head_and_maps((96, 90), 4, seed=5)
    for kind in ("uniform1d", "poisson2d"):
        mask = sampling_mask(kind, (96, 90), 4, seed=0).mask
        full = simulate_scan(image, maps, torch.ones_like(mask), snr_db=30, generator=generator)
        assert estimate_noise(full, mask).std == estimate_noise(full * mask, mask).std


def test_hopeless_scans_are_refused():
    with pytest.raises(InputError, match="too few samples"):
        estimate_noise(torch.zeros(1, 2, 16, 16, dtype=torch.complex64), torch.ones(1, 16))
    with pytest.raises(InputError, match="not finite"):
        estimate_noise(torch.full((1, 2, 16, 16), float("nan"), dtype=torch.complex64), torch.ones(1, 16))


@pytest.mark.skipif(not DATA.is_dir(), reason="real scans are not here")
def test_noise_of_a_real_scan_is_that_of_the_air_in_its_full_image():
    h5py = pytest.importorskip("h5py")
    with h5py.File(DATA / "brain_16ch_full" / "raw_data.mat") as file:
        raw = file["raw"][()]
    kspace = torch.from_numpy((raw["real"] + 1j * raw["imag"]).astype(np.complex64)).permute(1, 0, 2, 3)
    air = ifft2c(kspace)[0, :, [0, 1, 2, 3, -4, -3, -2, -1]][..., [0, 1, 2, 3, -4, -3, -2, -1]]
    std = float((air.abs().square().mean() / 2).sqrt())
    lines = sampling_mask("random1d", (96, 96), 4, seed=1).mask
    assert estimate_noise(kspace * lines, lines).std == pytest.approx(std, rel=0.15)
    points = sampling_mask("poisson2d", (96, 96), 4, seed=1).mask  # no readout to separate faint signal from air
    assert std * 0.9 < estimate_noise(kspace * points, points).std < std * 2


def test_dead_coils_have_no_signal_or_no_noise():
    generator = torch.Generator().manual_seed(3)
    kspace = torch.randn(1, 4, 16, 12, dtype=torch.complex64, generator=generator)
    noise = torch.randn(4, 64, dtype=torch.complex64, generator=generator)
    assert not dead_coils(kspace).any() and not dead_coils(kspace, noise).any()
    kspace[0, 1], noise[3] = 0, 0
    assert dead_coils(kspace).tolist() == [False, True, False, False]
    assert dead_coils(kspace, noise).tolist() == [False, True, False, True]
    assert dead_coils(torch.zeros(1, 2, 4, 4, dtype=torch.complex64)).all()
    quiet = kspace.clone()
    quiet[0, 2] *= 1e-3  # a weak coil is not dead
    assert not dead_coils(quiet)[2]


@pytest.mark.parametrize(("kind", "accel"), [("gaussian2d", 4), ("poisson2d", 6), ("full", 1)])
@pytest.mark.parametrize("seed", [0, 1])
def test_noise_of_a_single_coil(kind, accel, seed):
    """A smooth complex head at high signal, whose corners of k-space hold signal too."""
    image, _, generator = head_and_maps((160, 128), 1, seed=seed)
    mask = torch.ones(1, 128) if kind == "full" else sampling_mask(kind, (160, 128), accel, seed=0).mask
    kspace = simulate_scan(image, torch.ones(1, 1, 160, 128, dtype=torch.complex64), mask, noise_std=0.002, generator=generator)
    found = estimate_noise(kspace, mask)
    assert 0.002 / 1.5 < found.std < 0.002 * 1.5 and "corners" not in found.source, found


def test_an_estimate_from_the_corners_is_said_to_be_at_most_that():
    mask = torch.zeros(24, 24)
    mask[9:15, 9:15] = 1
    mask[::3, ::2] = 1
    noise = torch.randn(1, 1, 24, 24, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
    found = estimate_noise(noise * mask, mask)
    assert found.source == "the corners of k-space, which hold signal too: at most this"


@pytest.mark.parametrize("trajectory", [radial(40, (64, 60)), spiral(8, (64, 60)), rosette(60, (64, 60))])
@pytest.mark.parametrize("std", [0.001, 0.05])
def test_noise_along_a_trajectory(trajectory: Tensor, std: float) -> None:
    image, maps, random = head_and_maps((64, 60), 4, 0)
    y = NonCartesianSense(maps, trajectory, full(trajectory))(image.to(torch.complex64))
    y = y + std * torch.view_as_complex(torch.randn(*y.shape, 2, generator=random))
    found = estimate_trajectory_noise(y, trajectory)
    assert found.std == pytest.approx(std, rel=0.08) and "readout" in found.source
    short = torch.ones(trajectory.shape[:2])
    short[:, -1] = 0
    assert estimate_trajectory_noise(y, trajectory, short).std == pytest.approx(std, rel=0.5)


def test_samples_along_a_trajectory_that_are_no_use() -> None:
    with pytest.raises(InputError, match="not finite"):
        estimate_trajectory_noise(torch.full((1, 2, 3, 4), complex(float("nan"))), radial(3, (2, 2)))
    with pytest.raises(InputError, match="too few samples"):
        estimate_trajectory_noise(torch.ones(1, 1, 1, 4, dtype=torch.complex64), radial(1, (2, 2)))
