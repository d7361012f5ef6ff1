"""DDPM / SDEdit checkpoints: wired as the paper has it, counted at full size, refused when damaged."""

import math

import pytest
import torch
import torch.nn.functional as F

from medrestore.codecs import Interval
from medrestore.errors import InputError
from medrestore.priors.architectures import build_network
from medrestore.priors.convert import ddpm
from medrestore.priors.parametrisations import Epsilon


def paper(s, x, t, *, blocks, attended, base):
    """The network of Ho et al. (2020) as functions of the checkpoint's own tensors; one entry of `attended` a level."""

    def conv(name, h, **how):
        return F.conv2d(h, s[f"{name}.weight"], s[f"{name}.bias"], **how)

    def norm(name, h):
        return F.group_norm(h, 32, s[f"{name}.weight"], s[f"{name}.bias"], 1e-6)

    def dense(name, h):
        return h @ s[f"{name}.weight"].T + s[f"{name}.bias"]

    def residual(name, h):
        a = conv(f"{name}.conv1", F.silu(norm(f"{name}.norm1", h)), padding=1)
        a = a + dense(f"{name}.temb_proj", F.silu(emb))[:, :, None, None]
        a = conv(f"{name}.conv2", F.silu(norm(f"{name}.norm2", a)), padding=1)
        return a + (h if a.shape == h.shape else conv(f"{name}.nin_shortcut", h))

    def attention(name, h):
        n = norm(f"{name}.norm", h)
        q, k, v = (conv(f"{name}.{part}", n).flatten(2) for part in "qkv")
        weights = (q.transpose(1, 2) @ k / math.sqrt(h.shape[1])).softmax(-1)
        return h + conv(f"{name}.proj_out", (v @ weights.transpose(1, 2)).reshape(h.shape))

    angles = t[:, None] * torch.exp(torch.arange(base // 2) * -(math.log(10_000) / (base // 2 - 1)))
    emb = dense("temb.dense.1", F.silu(dense("temb.dense.0", torch.cat([angles.sin(), angles.cos()], 1))))
    h = conv("conv_in", x, padding=1)
    skips, last = [h], len(attended) - 1
    for level, here in enumerate(attended):
        for block in range(blocks):
            h = residual(f"down.{level}.block.{block}", h)
            h = attention(f"down.{level}.attn.{block}", h) if here else h
            skips.append(h)
        if level < last:
            h = conv(f"down.{level}.downsample.conv", F.pad(h, (0, 1, 0, 1)), stride=2)
            skips.append(h)
    h = residual("mid.block_2", attention("mid.attn_1", residual("mid.block_1", h)))
    for level in range(last, -1, -1):
        for block in range(blocks + 1):
            h = residual(f"up.{level}.block.{block}", torch.cat([h, skips.pop()], 1))
            h = attention(f"up.{level}.attn.{block}", h) if attended[level] else h
        if level > 0:
            h = conv(f"up.{level}.upsample.conv", h.repeat_interleave(2, 2).repeat_interleave(2, 3), padding=1)
    return conv("conv_out", F.silu(norm("norm_out", h)), padding=1)


BASE = ddpm.DDPMArchitecture(3, 3, (32, 32, 64), 2, (False, False, True))


@pytest.mark.parametrize(("arch", "given", "side"), [
    (BASE, {}, 64),
    (ddpm.DDPMArchitecture(3, 3, (32, 64), 1, (True, True)), {"image_size": 48}, 48),
    (ddpm.DDPMArchitecture(1, 1, (32, 64), 1, (False, False)), {"image_size": 32, "low": 0, "high": 255}, 32),
], ids=["one level attends", "all attend", "grey, the middle alone"])
def test_the_network_is_that_of_the_paper(arch, given, side, random_state, watched, difference, noise):
    state = watched(random_state(ddpm.ddpm_layout(arch)))
    x, t = noise(2, arch.in_channels, 16, 16), torch.tensor([3.0, 712.5])
    expected = paper(state, x, t, blocks=arch.blocks, attended=arch.attention, base=32)
    assert state.used == set(state)
    converted = ddpm.FAMILY.convert(dict(state), given)
    with torch.no_grad():
        assert difference(converted.net(x, t), expected) < 1e-4
    assert converted.size == (side, side) and converted.multiple == 2 ** (len(arch.widths) - 1)
    assert converted.parametrisation == Epsilon()
    assert converted.recipe == (Interval(0, 255) if given.get("high") else Interval(0, 1))
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    assert ddpm.FAMILY.recognises(shapes) and ddpm.ddpm_architecture(shapes) == arch


def test_full_size():
    arch = ddpm.DDPMArchitecture(3, 3, (128, 128, 256, 256, 512, 512), 2, (False, False, False, False, True, False))
    shapes = ddpm.ddpm_layout(arch)
    assert (sum(map(math.prod, shapes.values())), len(shapes)) == (113_673_219, 450)
    assert ddpm.FAMILY.side(arch, {}) == 256
    with torch.device("meta"):
        net = build_network(ddpm.ddpm_config(arch))
        state = {key: torch.empty(shape) for key, shape in shapes.items()}
    net.load_state_dict(ddpm.ddpm_renamed(state, arch), strict=True, assign=True)
    assert len(net.state_dict()) == 450


@pytest.fixture
def state(random_state):
    return random_state(ddpm.ddpm_layout(BASE))


DAMAGED = {
    "missing": (lambda s: {k: v for k, v in s.items() if k != "mid.attn_1.q.bias"}, {}, "lacks mid.attn_1.q.bias"),
    "missing first": (lambda s: {k: v for k, v in s.items() if k != "conv_in.weight"}, {}, "lacks conv_in.weight"),
    "missing level": (lambda s: {k: v for k, v in s.items() if not k.startswith("down.")}, {}, "nearly DDPM"),
    "extra": (lambda s: s | {"mid.gain": torch.ones(3)}, {}, "has in addition mid.gain"),
    "shape": (lambda s: s | {"conv_out.bias": torch.ones(4)}, {}, r"conv_out.bias is \(4,\) instead of \(3,\)"),
    "whole numbers": (lambda s: s | {"conv_out.bias": torch.ones(3).long()}, {}, "holds int64 instead of floating-point"),
    "size": (lambda s: s, {"image_size": 50}, "multiple of 4"),
    "float size": (lambda s: s, {"image_size": 64.0}, "whole number"),
    "word": (lambda s: s, {"num_heads": 4}, "does not take num_heads"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_what_does_not_fit_is_said_in_a_sentence(state, case):
    damage, given, says = DAMAGED[case]
    with pytest.raises(InputError, match=says) as refusal:
        ddpm.FAMILY.convert(damage(state), given)
    assert "\n" not in str(refusal.value)


def test_the_size_must_be_told_where_nothing_tells_it(random_state):
    with pytest.raises(InputError, match="image_size"):
        ddpm.FAMILY.convert(random_state(ddpm.ddpm_layout(ddpm.DDPMArchitecture(3, 3, (32, 64), 1, (True, True)))), {})
