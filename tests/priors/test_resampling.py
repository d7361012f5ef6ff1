"""Resampling by the filter (1, 3, 3, 1): as diffusers does it, and without a copy to the device."""

import pytest
import torch
from diffusers.models.downsampling import FirDownsample2D, downsample_2d
from diffusers.models.upsampling import upsample_2d
from helpers.pretend_device import counting, pretending
from laws import white

from medrestore.priors.resampling import Halved, doubled, halved

FILTER = (1, 3, 3, 1)


@pytest.mark.parametrize("size", [(8, 6), (2, 10), (2, 2)])
def test_resampling_is_that_of_diffusers(size):
    x = white((2, 3, *size))
    torch.testing.assert_close(halved(x), downsample_2d(x, FILTER), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(doubled(x), upsample_2d(x, FILTER), rtol=1e-5, atol=1e-6)
    theirs, ours = FirDownsample2D(3, 5, use_conv=True, fir_kernel=FILTER), Halved(3, 5)
    ours.load_state_dict(theirs.state_dict())
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-5)


def test_constant_images_stay_constant_inside():
    x = torch.ones(1, 1, 12, 12)
    assert torch.equal(halved(x)[..., 1:-1, 1:-1], torch.ones(1, 1, 4, 4))
    assert torch.equal(doubled(x)[..., 1:-1, 1:-1], torch.ones(1, 1, 22, 22))


def test_nothing_is_copied_to_the_device():
    with pretending() as device:
        x, net = torch.ones(1, 3, 8, 8, device=device), Halved(3, 5).to(device)
        with counting() as counts:
            halved(x), doubled(x), net(x)
        assert (counts.reads, counts.waits) == (0, 0)
