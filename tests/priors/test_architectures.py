"""Networks by their configuration; see `test_store.py` for those on disk."""

from types import SimpleNamespace

import pytest
import torch
from diffusers import UNet2DModel

from medrestore.errors import InputError
from medrestore.priors.architectures import BUILDERS, build_network, configuration, tensor_of

UNET = {"_class_name": "UNet2DModel", "in_channels": 1, "out_channels": 1, "layers_per_block": 1, "block_out_channels": [8, 16],
        "norm_num_groups": 4, "down_block_types": ["DownBlock2D", "AttnDownBlock2D"],
        "up_block_types": ["AttnUpBlock2D", "UpBlock2D"]}
MONAI = {"_class_name": "DiffusionModelUNet", "spatial_dims": 2, "in_channels": 1, "out_channels": 1, "num_res_blocks": 1,
         "channels": [8, 8], "attention_levels": [False, False], "norm_num_groups": 4, "num_head_channels": 8}
NCSNPP = {"_class_name": "NCSNpp", "width": 8, "mults": [1, 1], "blocks": 1, "attention": [False, False]}


@pytest.mark.parametrize("config", [UNET, MONAI, NCSNPP], ids=lambda config: config["_class_name"])
def test_every_network_is_called_alike(config) -> None:
    net = build_network(dict(config)).eval()
    if config is NCSNPP:
        net.frequencies.fill_(1.0)
    with torch.no_grad():
        out = tensor_of(net(torch.ones(2, 1, 16, 16), torch.ones(2)))
    assert out.shape == (2, 1, 16, 16) and bool(out.isfinite().all())


def test_meta_devices_allocate_nothing() -> None:
    with torch.device("meta"):
        nets = [build_network(dict(config)) for config in (UNET, MONAI, NCSNPP)]
    assert all(value.is_meta for net in nets for value in net.state_dict().values())


def test_times_of_another_width() -> None:
    net = build_network({**UNET, "time_channels": 12, "time_embedding_dim": 32})
    assert net.time_embedding.linear_1.in_features == 12


def test_heads_are_of_a_number() -> None:
    net = build_network({**UNET, "attention_head_dim": None, "num_heads": 2})
    assert {module.heads for module in net.modules() if hasattr(module, "to_q")} == {2}
    with pytest.raises(ValueError, match="16 channels cannot have 3 heads"):
        build_network({**UNET, "attention_head_dim": None, "num_heads": 3})


@pytest.mark.parametrize(("config", "message"), [
    ({"_class_name": "Transformer"}, "there is no network 'Transformer'"),
    ({}, "there is no network None"),
    ({**UNET, "layers_per_block": 65}, "layers_per_block 65"),
    ({**MONAI, "num_res_blocks": [1, 1000]}, "num_res_blocks"),
    ({**UNET, "block_out_channels": [8] * 65}, "block_out_channels"),
])
def test_unknown_and_absurd_networks_are_refused(config, message) -> None:
    with pytest.raises(InputError, match=message):
        build_network(dict(config))


def test_the_tensor_of_an_output() -> None:
    x = torch.ones(1)
    assert tensor_of(x) is x and tensor_of(SimpleNamespace(sample=x)) is x


def test_the_configuration_of_a_network() -> None:
    config = configuration(UNet2DModel(**{key: value for key, value in UNET.items() if key != "_class_name"}))
    assert config["in_channels"] == 1 and tuple(config["block_out_channels"]) == (8, 16)
    assert set(BUILDERS) == {"UNet2DModel", "EncoderUNet", "DiffusionModelUNet", "NCSNpp", "VQModel", "AutoencoderKL"}
