"""Small trained baselines for tests."""

import torch

from medrestore.baselines import UNet, VarNet
from medrestore.baselines.supervised import drawn_from

SMALL = {"unet": {"channels": 4}, "varnet": {"cascades": 2, "channels": 4, "map_channels": 2}}


def network(kind, *, trained=True, seed=0):
    """A small network; `trained` stands for random weights where a new one has zeros."""
    with drawn_from(torch.Generator().manual_seed(seed)):
        net = {"unet": UNet, "varnet": VarNet}[kind](**SMALL[kind])
    if trained:
        for name, weight in net.named_parameters():
            if "final_conv" in name:
                weight.data.normal_(0, 0.3, generator=torch.Generator().manual_seed(len(name)))
    return net
