"""Blocks of U-Nets; `test_unet.py` and `test_ncsnpp.py` compare whole networks with others."""

import math

import pytest
import torch

from medrestore.priors.blocks import Halving, ResidualBlock, SelfAttention, activation, averaged, repeated, sinusoids


def test_sinusoids() -> None:
    made = sinusoids(torch.tensor([0.0, 2.0]), 5, cosines_first=True, shift=0)
    assert torch.allclose(made[0], torch.tensor([1.0, 1.0, 0.0, 0.0, 0.0]))
    slow = 2 * math.exp(-math.log(10_000) / 2)
    assert torch.allclose(made[1], torch.tensor([math.cos(2), math.cos(slow), math.sin(2), math.sin(slow), 0.0]))


def test_resampling() -> None:
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert averaged(x).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]
    assert torch.equal(averaged(repeated(x)), x)
    assert Halving(1, 0)(x).shape == Halving(1, 1)(x).shape == (1, 1, 2, 2)


def test_a_block_without_a_noise_level_and_with_another_size() -> None:
    torch.manual_seed(0)
    block = ResidualBlock(4, 8, None, groups=2, resample=averaged, divisor=2.0)
    assert block(torch.randn(2, 4, 6, 8, generator=torch.Generator().manual_seed(1))).shape == (2, 8, 3, 4)
    assert "time_emb_proj.weight" not in block.state_dict()


def test_attention_sees_every_pixel_and_heads_divide_it() -> None:
    torch.manual_seed(0)
    attention, x = SelfAttention(8, 4, groups=None), torch.randn(1, 8, 2, 3, generator=torch.Generator().manual_seed(1))
    assert attention.heads == 2
    moved = x.flip(-1)
    assert torch.allclose(attention(moved), attention(x).flip(-1), atol=1e-6)
    attention.split_into(4)
    assert attention.heads == 4
    with pytest.raises(ValueError, match="8 channels cannot have 3 heads"):
        attention.split_into(3)


def test_activations() -> None:
    assert float(activation("SiLU")(torch.tensor(1.0))) == pytest.approx(1 / (1 + math.exp(-1)))
    with pytest.raises(ValueError, match="there is no activation 'sine'; known are silu"):
        activation("sine")
