"""The noise budget balances, and the gains meet exact data."""

import pytest
import torch

from medrestore.methods.budget import ddim_split, fixed_split, justified_gamma, spectral_gains


@pytest.mark.parametrize("eta", [0.0, 0.5, 0.85, 1.0])
@pytest.mark.parametrize("tau", [5.0, 1.0, 0.3, 0.1, 0.01, 0.0])
def test_the_budget_balances(tau, eta):
    for kept, fresh in (ddim_split(6.0, tau, eta), fixed_split(tau, eta)):
        assert kept**2 + fresh**2 == pytest.approx(tau**2, abs=1e-12)
    s = torch.tensor([0.0, 0.01, 0.1, 0.5, 1.0, 3.0])
    for sigma_y in (0.0, 0.2):
        for eta_b in (0.0, 0.7, 1.0):
            trust, kept, fresh = spectral_gains(s, sigma_y, tau, eta, eta_b)
            brought = torch.where(s > 0, trust * sigma_y / s.clamp(min=1e-9), 0.0)
            torch.testing.assert_close(brought**2 + kept**2 + fresh**2, torch.full_like(s, tau**2), rtol=1e-5, atol=1e-9)
            assert (kept[s > 0] == 0).all() and trust[0] == 0


def test_the_justified_weight_is_that_of_the_noise_levels():
    assert justified_gamma(3.0, 0.5, 2.0) == pytest.approx(9 / (2 * 0.25))
    assert justified_gamma(3.0, 0.0, 2.0) == float("inf")


def test_all_of_the_noise_can_be_fresh_however_close_the_levels_are():
    assert ddim_split(1.0, 0.99, None) == (0.0, 0.99) and ddim_split(1.0, 0.0, None) == (0.0, 0.0)
    kept, fresh = ddim_split(1.0, 0.99, 2.0)
    assert kept > fresh > 0  # a number does not get there
