"""The encoder with its two pools: any size or one, and what cannot be."""

from typing import Any

import pytest
import torch

from medrestore.priors.architectures import build_network
from medrestore.priors.encoder import AttentionPool, EncoderUNet

SMALL: dict[str, Any] = {"_class_name": "EncoderUNet", "classes": 3, "in_channels": 2, "block_out_channels": [8, 16],
                         "layers_per_block": 1, "norm_num_groups": 4, "down_block_types": ["DownBlock2D", "AttnDownBlock2D"],
                         "attention_head_dim": 8, "sample_size": 16}


def filled(net: torch.nn.Module) -> torch.nn.Module:
    generator = torch.Generator().manual_seed(0)
    for weight in net.parameters():
        weight.data = 0.2 * torch.randn(weight.shape, generator=generator)
    return net


@pytest.mark.parametrize("pool", ["mean", "attention"])
def test_logits_of_each_image_alone(pool: str) -> None:
    net = filled(build_network(SMALL | {"pool": pool, "pool_head_dim": 8}))
    x, t = torch.randn(3, 2, 16, 16, generator=torch.Generator().manual_seed(1)), torch.tensor([1.0, 30.0, 500.0])
    logits = net(x, t)
    assert logits.shape == (3, 3)
    torch.testing.assert_close(net(x[1:2], t[1:2]), logits[1:2], rtol=1e-4, atol=1e-5)
    again = build_network(dict(net.config) | {"_class_name": "EncoderUNet"})
    again.load_state_dict(net.state_dict())
    torch.testing.assert_close(again(x, t), logits)
    if pool == "mean":
        assert net(x[..., :8], t).shape == (3, 3)


def test_the_pool_is_attention_of_the_mean() -> None:
    """By hand, one head at a time."""
    pool = filled(AttentionPool(2, 8, 4, 3))
    x = torch.randn(2, 8, 2, 2, generator=torch.Generator().manual_seed(2))
    tokens = torch.cat([x.mean((2, 3))[:, :, None], x.reshape(2, 8, 4)], 2) + pool.positional_embedding
    q, k, v = (pool.qkv_proj.weight[:, :, 0] @ tokens + pool.qkv_proj.bias[:, None]).chunk(3, 1)
    heads = [(v[:, part] @ (k[:, part].transpose(1, 2) @ q[:, part, :1] / 2).softmax(1))[:, :, 0]
             for part in (slice(0, 4), slice(4, 8))]
    expected = torch.cat(heads, 1) @ pool.c_proj.weight[:, :, 0].T + pool.c_proj.bias
    torch.testing.assert_close(pool(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("wrong", "says"), [
    ({"classes": 1}, "at least 2"), ({"pool": "max"}, "attention or mean"), ({"out_channels": 2}, "has no out_channels"),
    ({"pool": "attention", "sample_size": None}, "needs sample_size"),
    ({"pool": "attention", "sample_size": 15}, "multiple of 2"),
    ({"pool": "attention", "pool_head_dim": 5}, "split into heads of 5"),
])  # fmt: skip
def test_what_cannot_be(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        EncoderUNet(**{key: value for key, value in (SMALL | wrong).items() if key != "_class_name"})
    with pytest.raises(ValueError, match="leave them out"):
        build_network(SMALL)(torch.zeros(1, 2, 16, 16), 1.0, torch.tensor([0]))
