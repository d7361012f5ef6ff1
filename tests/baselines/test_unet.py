"""The U-Net baseline: the zero-filled image plus a correction of that image alone."""

import torch
from helpers.slices import scan

from medrestore.baselines import Supervised, UNet, ZeroFilled


def network() -> UNet:
    torch.manual_seed(0)
    net = UNet(channels=4)
    with torch.no_grad():
        net.correction.unet.final_conv.weight.normal_(std=0.1)
    return net.eval()


@torch.no_grad()
def test_the_correction_sees_the_zero_filled_image_alone():
    kspace, maps, mask, _ = scan(20, 24)
    net, sampled = network(), mask.expand(1, 1, 20, 24)
    zero_filled = ZeroFilled().reconstruct(kspace, maps, mask)
    torch.testing.assert_close(net(kspace, maps, sampled), zero_filled + net.correction(zero_filled))
    assert net.arguments == {"channels": 4} and net.kind == "unet"


def test_a_trained_one_is_described_by_its_settings():
    assert repr(Supervised(network())) == "Supervised('unet', {'channels': 4})"
