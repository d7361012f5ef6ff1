"""Supervised baselines take slices of any size, mask and number of coils."""

import pytest
import torch
from helpers.slices import blocks, maps_of, scan
from helpers.trained import SMALL, network

from medrestore.baselines import Supervised, UNet, VarNet, ZeroFilled
from medrestore.errors import InputError
from medrestore.fft import fft2c


@pytest.mark.parametrize("kind", SMALL)
@pytest.mark.parametrize(("height", "width", "coils"), [(33, 26, 3), (16, 47, 4), (9, 12, 1)])
@pytest.mark.parametrize("axes", [1, 2])
def test_any_size_mask_and_number_of_coils(kind, height, width, coils, axes):
    maps = maps_of(height, width, coils)
    mask = torch.zeros(1, width) if axes == 1 else torch.zeros(height, width)
    mask[..., ::2] = 1
    rows = slice(None) if axes == 1 else slice(height // 2 - 2, height // 2 + 2)
    mask[rows, width // 2 - 2 : width // 2 + 2] = 1
    kspace = fft2c(maps * blocks(height, width)) * mask
    baseline = Supervised(network(kind))
    found = baseline.reconstruct(kspace, maps, mask)
    assert found.shape == (1, 1, height, width) and found.dtype == torch.complex64 and torch.isfinite(found).all()
    assert torch.allclose(1e5 * found, baseline.reconstruct(1e5 * kspace, maps, mask), rtol=1e-3, atol=10)
    noisy = kspace + 100 * (1 - mask)
    assert torch.allclose(found, baseline.reconstruct(noisy, maps, mask), atol=1e-5)  # what is not sampled is ignored
    assert not baseline.reconstruct(0 * kspace, maps, mask).any()


@pytest.mark.parametrize("kind", SMALL)
def test_a_new_network_is_the_zero_filled_image(kind):
    kspace, maps, mask, _ = scan(31, 26)
    found = Supervised(network(kind, trained=False)).reconstruct(kspace, maps, mask)
    assert torch.allclose(found, ZeroFilled().reconstruct(kspace, maps, mask), atol=1e-5)


@pytest.mark.parametrize(("kind", "arguments"), [("unet", {"channels": 0}), ("unet", {"channels": 10**9}),
                                                 ("varnet", {"cascades": 0}), ("varnet", {"cascades": 10**6})])
def test_networks_that_make_no_sense_are_refused(kind, arguments):
    with pytest.raises(InputError, match=r"Net: c[a-z]+ must be at least 1 and at most"):
        {"unet": UNet, "varnet": VarNet}[kind](**arguments)
