"""The U-Net against that of diffusers: the same names, first weights, and values."""

import json
from pathlib import Path
from typing import Any

import diffusers
import pytest
import torch
from torch import Tensor

from medrestore.priors.architectures import build_network
from medrestore.priors.unet import DOWN, UNet2DModel

ROOT = Path(__file__).parents[2]
SMALL: dict[str, Any] = {
    "in_channels": 2, "out_channels": 2, "block_out_channels": (8, 16, 16), "norm_num_groups": 4, "layers_per_block": 2,
    "down_block_types": DOWN, "up_block_types": ("ResnetUpsampleBlock2D", "AttnUpBlock2D", "UpBlock2D"),
}
ADM = {"resnet_time_scale_shift": "scale_shift", "attn_norm_num_groups": 4, "downsample_type": "resnet",
       "upsample_type": "resnet", "time_embedding_dim": 20}
DDPM = {"downsample_padding": 0, "freq_shift": 1, "flip_sin_to_cos": False, "attention_head_dim": None, "norm_eps": 1e-6}
VARIANTS: dict[str, dict[str, Any]] = {
    "of diffusers": {}, "as guided diffusion": ADM, "as DDPM": DDPM,
    "scale and shift": {"resnet_time_scale_shift": "scale_shift"}, "classes": {"num_class_embeds": 5},
    "no middle": {"mid_block_type": None}, "heads that leave channels": {"attention_head_dim": 3},
    "the rest": {"add_attention": False, "mid_block_scale_factor": 1.4, "act_fn": "mish", "center_input_sample": True,
                 "layers_per_block": 1},
}


def inputs(channels: int = 2) -> tuple[Tensor, Tensor]:
    return torch.randn(3, channels, 16, 24, generator=torch.Generator().manual_seed(1)), torch.tensor([0.0, 3.0, 700.0])


@pytest.mark.parametrize("name", VARIANTS)
def test_it_is_the_network_of_diffusers(name: str) -> None:
    config = SMALL | VARIANTS[name]
    torch.manual_seed(0)
    theirs = diffusers.UNet2DModel(**config).eval()
    torch.manual_seed(0)
    ours = UNet2DModel(**config).eval()
    expected, state = theirs.state_dict(), ours.state_dict()
    assert list(state) == list(expected)  # the order too, by which optimisers know their parameters
    assert all(torch.equal(state[key], value) for key, value in expected.items())  # a seed gives the same first weights
    assert [name for name, _ in ours.named_parameters()] == [name for name, _ in theirs.named_parameters()]
    x, t = inputs()
    classes = {"class_labels": torch.tensor([0, 1, 4])} if "num_class_embeds" in config else {}
    with torch.no_grad():
        assert torch.allclose(ours(x, t, **classes), theirs(x, t, **classes).sample, atol=1e-6)
    assert {key: theirs.config[key] for key in ours.config} == ours.config


@pytest.mark.parametrize("folder", sorted(path.parent for path in (ROOT / "data/priors").glob("*/prior.json")),
                         ids=lambda folder: folder.name)
def test_shipped_networks_give_what_diffusers_gives(folder: Path) -> None:
    from safetensors.torch import load_file

    config = {key: value for key, value in json.loads((folder / "unet/config.json").read_text()).items() if key[0] != "_"}
    weights = load_file(folder / "unet/diffusion_pytorch_model.safetensors")
    nets = [kind(**config).eval() for kind in (UNet2DModel, diffusers.UNet2DModel)]
    x, t = torch.randn(1, config["in_channels"], 32, 48, generator=torch.Generator().manual_seed(1)), torch.tensor([0.3])
    x = x.contiguous(memory_format=torch.channels_last)
    for net in nets:
        net.load_state_dict(weights)
    with torch.no_grad():
        expected = nets[1](x, t).sample
        assert torch.allclose(nets[0](x, t), expected, atol=1e-5 * float(expected.abs().max()))


def test_one_time_serves_a_batch() -> None:
    torch.manual_seed(0)
    net, (x, _) = UNet2DModel(**SMALL).eval(), inputs()
    with torch.no_grad():
        assert torch.equal(net(x, 3.0), net(x, torch.full((3,), 3.0)))


def test_checkpoints_change_no_gradient() -> None:
    torch.manual_seed(0)
    net, (x, t) = UNet2DModel(**SMALL), inputs()
    gradients = []
    for _ in range(2):
        net.zero_grad()
        net(x, t).square().sum().backward()
        gradients.append(net.conv_in.weight.grad.clone())
        net.enable_gradient_checkpointing()
    assert torch.allclose(*gradients, rtol=1e-4, atol=1e-6) and float(gradients[0].abs().max()) > 0


def test_classes_are_asked_for() -> None:
    x, t = inputs()
    for net, classes in ((UNet2DModel(**SMALL), torch.tensor([0, 1, 2])), (UNet2DModel(**SMALL, num_class_embeds=4), None)):
        with pytest.raises(ValueError, match="class_labels are for networks of classes"):
            net(x, t, classes)


@pytest.mark.parametrize(("changes", "message"), [
    ({"down_block_types": ("SkipDownBlock2D", "DownBlock2D", "DownBlock2D")}, "no blocks 'SkipDownBlock2D' here; known are Down"),
    ({"up_block_types": ("UpBlock2D",) * 2}, "up_block_types are 2 and block_out_channels 3"),
    ({"time_embedding_type": "fourier"}, "embedded as positional"), ({"class_embed_type": "timestep"}, "classes by their number"),
    ({"downsample_type": "pool"}, "downsample_type must be conv or resnet, got 'pool'"),
    ({"resnet_time_scale_shift": "spatial"}, "must be default or scale_shift"), ({"act_fn": "sine"}, "no activation 'sine'"),
])
def test_what_it_cannot_be_is_said(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_network({"_class_name": "UNet2DModel"} | SMALL | changes)
