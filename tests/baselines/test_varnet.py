"""The variational network and its coil maps."""

import pytest
import torch
from helpers.slices import blocks, maps_of, scan
from helpers.trained import network

from medrestore.baselines import Supervised, rss
from medrestore.errors import InputError
from medrestore.fft import fft2c


def test_varnet_is_monais_network():
    """Its last k-space has the root-sum-of-squares that MONAI's own forward gives, where MONAI can run at all."""
    kspace, _, mask, _ = scan(32, 28)
    net = network("varnet")
    with torch.no_grad():
        ours = rss(net.kspace(kspace, mask.expand(1, 1, 32, 28)))
        theirs = net.model(torch.view_as_real(kspace), mask.expand(1, 1, 32, 28)[..., None] > 0)
    assert torch.allclose(ours[:, 0], theirs, atol=1e-5)


def test_varnet_maps_are_those_of_the_calibration_region():
    """Unit root-sum-of-squares, near the true ones before any training for any parity of the sizes; a dead coil stays dead."""
    for height, width in ((80, 77), (77, 80), (40, 31)):
        maps, mask = maps_of(height, width), torch.zeros(1, width)
        mask[:, ::3] = 1
        mask[:, width // 2 - 8 : width // 2 + 8] = 1
        kspace = fft2c(maps * (0.2 + blocks(height, width).abs())) * mask
        kspace[:, 1] = 0
        with torch.no_grad():
            found = torch.view_as_complex(network("varnet", trained=False).model.coil_sensitivity_model(
                torch.view_as_real(kspace), mask.expand(1, 1, height, width)[..., None] > 0))
        assert torch.allclose(found.abs().square().sum(1), torch.ones(1, height, width), atol=1e-4)
        assert not found[:, 1].any()
        maps[:, 1] = 0
        maps = maps / torch.linalg.vector_norm(maps, dim=1, keepdim=True)
        inside = (slice(None), slice(None), slice(4, -4), slice(4, -4))
        alike = (maps.conj() * found).sum(1, keepdim=True).abs()[inside]
        assert alike.mean() > 0.98


def test_varnet_needs_a_calibration_region():
    kspace, maps, mask, _ = scan(24, 20)
    mask = mask.clone()
    mask[:, 10] = 0
    with pytest.raises(InputError, match="centre of k-space"):
        Supervised(network("varnet")).reconstruct(kspace, maps, mask)
