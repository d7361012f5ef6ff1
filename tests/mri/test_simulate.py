"""Simulated scans: noise, phase, and what is refused."""

import pytest
import torch
from helpers.phantom import head_and_maps

from medrestore.errors import InputError
from medrestore.fft import fft2c
from medrestore.mri import add_smooth_phase, sampling_mask, simulate_scan, simulated_maps

SHAPE = (80, 75)


def test_a_simulated_scan_has_noise_of_the_asked_std_on_sampled_entries_only():
    image, maps, _ = head_and_maps(SHAPE, 4, seed=1)
    mask = sampling_mask("poisson2d", SHAPE, 4, seed=0).mask
    clean = fft2c(maps * image) * mask
    noise = simulate_scan(image, maps, mask, noise_std=0.3, generator=torch.Generator().manual_seed(0)) - clean
    assert (noise[..., mask == 0] == 0).all()
    assert torch.view_as_real(noise[..., mask > 0]).std() == pytest.approx(0.3, rel=0.03)
    by_snr = simulate_scan(image, maps, mask, snr_db=20, generator=torch.Generator().manual_seed(0)) - clean
    rms = float(image.abs().square().mean().sqrt())
    assert by_snr[..., mask > 0].abs().square().mean().sqrt() == pytest.approx(0.1 * rms, rel=0.03)
    with pytest.raises(InputError, match="either noise_std or snr_db"):
        simulate_scan(image, maps, mask, generator=torch.Generator())


def test_noise_by_snr_is_the_rms_inside_the_support_over_that_of_the_noise():
    generator = torch.Generator().manual_seed(1)
    maps = simulated_maps(4, (64, 64), generator=generator)
    maps[..., :20] = 0
    image = torch.full((1, 1, 64, 64), 3.0, dtype=torch.complex64)
    image[..., :20] = 100.0  # outside the support
    empty = torch.zeros_like(image)
    noisy = simulate_scan(image, maps, torch.ones(1, 64), snr_db=20.0, generator=torch.Generator().manual_seed(2))
    clean = simulate_scan(image, maps, torch.ones(1, 64), noise_std=0.0, generator=torch.Generator().manual_seed(2))
    assert float((noisy - clean).abs().square().mean().sqrt()) == pytest.approx(0.3, rel=0.03)
    assert not simulate_scan(empty, maps, torch.ones(1, 64), noise_std=0.0, generator=generator).any()


@pytest.mark.parametrize("options", [{}, {"noise_std": 1.0, "snr_db": 20.0}])
def test_one_measure_of_the_noise_is_needed(options):
    with pytest.raises(InputError, match="either noise_std or snr_db"):
        simulate_scan(torch.ones(1, 1, 8, 8), torch.ones(1, 1, 8, 8), torch.ones(1, 8), generator=torch.Generator(), **options)


def test_the_phase_is_smooth_of_the_asked_strength_and_leaves_magnitudes():
    image = torch.rand(1, 1, 40, 48, generator=torch.Generator().manual_seed(3)) + 0.5
    with_phase = add_smooth_phase(image, torch.Generator().manual_seed(4), strength=0.7)
    torch.testing.assert_close(with_phase.abs(), image)
    phase = with_phase.angle()
    assert float(phase.square().mean().sqrt()) == pytest.approx(0.7, rel=1e-3)
    assert float(phase.diff(dim=-1).abs().max()) < 0.35
