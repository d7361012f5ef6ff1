"""Guided diffusion (ADM) checkpoints: wired as the paper has it, counted at full size, refused when damaged."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from medrestore.codecs import CalibratedComplex, Interval
from medrestore.errors import InputError
from medrestore.methods import DDS, DPS, DDNMPlus
from medrestore.operators import Mask
from medrestore.priors import Prior, store
from medrestore.priors.architectures import build_network
from medrestore.priors.convert import adm
from medrestore.priors.network import NetworkPrior
from medrestore.priors.parametrisations import Epsilon, cosine_betas
from medrestore.problem import Problem
from medrestore.restoration import restore


class Paper:
    """The network of Dhariwal & Nichol (2021) as functions of the checkpoint's own tensors.

    Args:
        heads: channels of an attention -> number of heads.
    """

    def __init__(self, state, *, mults, blocks, attended, heads, base, new_order=False, updown=True, scale_shift=True):
        self.s, self.mults, self.blocks, self.attended, self.heads = state, mults, blocks, attended, heads
        self.base, self.new_order, self.updown, self.scale_shift = base, new_order, updown, scale_shift

    def affine(self, name, h, function, **how):
        return function(h, self.s[f"{name}.weight"], self.s[f"{name}.bias"], **how)

    def conv(self, name, h, stride=1):
        return self.affine(name, h, F.conv2d, stride=stride, padding=self.s[f"{name}.weight"].shape[-1] // 2)

    def norm(self, name, h):
        return F.group_norm(h, 32, self.s[f"{name}.weight"], self.s[f"{name}.bias"], 1e-5)

    def residual(self, name, h, emb, resample=lambda h: h):
        a = resample(F.silu(self.norm(f"{name}.in_layers.0", h)))
        a = self.conv(f"{name}.in_layers.2", a)
        e = self.affine(f"{name}.emb_layers.1", F.silu(emb), F.linear)[..., None, None]
        if self.scale_shift:
            scale, shift = e[:, : a.shape[1]], e[:, a.shape[1] :]
            a = self.norm(f"{name}.out_layers.0", a) * (1 + scale) + shift
        else:
            a = self.norm(f"{name}.out_layers.0", a + e)
        a = self.conv(f"{name}.out_layers.3", F.silu(a))
        h = resample(h)
        return a + (self.conv(f"{name}.skip_connection", h) if h.shape != a.shape else h)

    def attention(self, name, h):
        b, c, height, width = h.shape
        n = self.heads(c)
        tokens = self.affine(f"{name}.qkv", self.norm(f"{name}.norm", h).reshape(b, c, -1), F.conv1d)
        if self.new_order:
            q, k, v = tokens.reshape(b, 3, n, c // n, -1).unbind(1)
        else:
            q, k, v = tokens.reshape(b, n, 3, c // n, -1).unbind(2)
        weights = torch.einsum("bnct,bncu->bntu", q, k).div(math.sqrt(c // n)).softmax(-1)
        out = torch.einsum("bntu,bncu->bnct", weights, v).reshape(b, c, -1)
        return h + self.affine(f"{name}.proj_out", out, F.conv1d).reshape(b, c, height, width)

    def __call__(self, x, t, label=None):
        angles = t[:, None] * torch.exp(-math.log(10_000) * torch.arange(self.base // 2) / (self.base // 2))
        emb = self.affine("time_embed.0", torch.cat([angles.cos(), angles.sin()], 1), F.linear)
        emb = self.affine("time_embed.2", F.silu(emb), F.linear)
        if label is not None:
            emb = emb + self.s["label_emb.weight"][label]
        h = self.conv("input_blocks.0.0", x)
        skips, at, last = [h], 1, len(self.mults) - 1
        for level in range(last + 1):
            for _ in range(self.blocks):
                h = self.residual(f"input_blocks.{at}.0", h, emb)
                h = self.attention(f"input_blocks.{at}.1", h) if level in self.attended else h
                skips.append(h)
                at += 1
            if level < last:
                name = f"input_blocks.{at}.0"
                pool = lambda h: F.avg_pool2d(h, 2)  # noqa: E731
                h = self.residual(name, h, emb, pool) if self.updown else self.conv(f"{name}.op", h, stride=2)
                skips.append(h)
                at += 1
        h = self.residual("middle_block.0", h, emb)
        h = self.residual("middle_block.2", self.attention("middle_block.1", h), emb)
        at = 0
        for level in range(last, -1, -1):
            for block in range(self.blocks + 1):
                h = self.residual(f"output_blocks.{at}.0", torch.cat([h, skips.pop()], 1), emb)
                h = self.attention(f"output_blocks.{at}.1", h) if level in self.attended else h
                if level > 0 and block == self.blocks:
                    name = f"output_blocks.{at}.{2 if level in self.attended else 1}"
                    twice = lambda h: h.repeat_interleave(2, 2).repeat_interleave(2, 3)  # noqa: E731
                    h = self.residual(name, h, emb, twice) if self.updown else self.conv(f"{name}.conv", twice(h))
                at += 1
        return self.conv("out.2", F.silu(self.norm("out.0", h)))


BASE = adm.ADMArchitecture(3, 6, 32, (32, 64, 64), 1, (False, True, True))
CASES = {  # architecture, what must be given, heads of the paper's network, what else differs from its defaults
    "fixed number of heads": (BASE, {"num_heads": 4}, lambda c: 4, {}),
    "fixed width of heads": (BASE, {"num_head_channels": 16}, lambda c: c // 16, {}),
    "new order": (BASE, {"num_head_channels": 16, "new_attention_order": True}, lambda c: c // 16, {"new_order": True}),
    "classes": (replace(BASE, classes=7), {"num_heads": 2}, lambda c: 2, {}),
    "two blocks, fixed variance": (replace(BASE, blocks=2, out_channels=3), {"num_heads": 2}, lambda c: 2, {}),
    "convolutions resample": (replace(BASE, resnet_resampling=False), {"num_heads": 2}, lambda c: 2, {"updown": False}),
    "time is added": (replace(BASE, scale_shift=False), {"num_heads": 2}, lambda c: 2, {"scale_shift": False}),
    "improved diffusion": (replace(BASE, resnet_resampling=False, scale_shift=False), {"num_heads": 4}, lambda c: 4,
                           {"updown": False, "scale_shift": False}),
    "knee: 2 in, 4 out, middle alone": (replace(BASE, in_channels=2, out_channels=4, attention=(False,) * 3),
                                        {"num_head_channels": 32}, lambda c: c // 32, {}),
    "CT: 1 in, 2 out": (replace(BASE, in_channels=1, out_channels=2, attention=(False, True, False)),
                        {"num_head_channels": 32, "low": -1, "high": 1}, lambda c: c // 32, {}),
    "first level at half width": (replace(BASE, time_channels=64, widths=(32, 64, 128)), {"num_head_channels": 32},
                                  lambda c: c // 32, {}),
    "one level": (replace(BASE, widths=(32,), attention=(True,)), {"num_heads": 2}, lambda c: 2, {}),
}


@pytest.mark.parametrize("case", CASES)
def test_the_network_is_that_of_the_paper(case, random_state, watched, difference, noise):
    arch, given, heads, how = CASES[case]
    state = watched(random_state(adm.adm_layout(arch)))
    attended = {level for level, here in enumerate(arch.attention) if here}
    paper = Paper(state, mults=arch.widths, blocks=arch.blocks, attended=attended, heads=heads, base=arch.time_channels, **how)
    x, t = noise(2, arch.in_channels, 16, 8), torch.tensor([3.0, 712.5])
    label = torch.tensor([5, 2]) if arch.classes else None
    expected = paper(x, t, label)
    assert state.used == set(state)  # the layout is the paper's, no key more or less

    converted = adm.FAMILY.convert(dict(state), given)
    told = {} if label is None else {"class_labels": label}
    with torch.no_grad():
        assert difference(converted.net(x, t, **told), expected) < 1e-4
    assert (converted.channels, converted.multiple, converted.size) == (arch.in_channels, 2 ** (len(arch.widths) - 1), None)
    assert adm.adm_architecture({key: tuple(value.shape) for key, value in state.items()}) == arch
    assert adm.FAMILY.recognises({key: tuple(value.shape) for key, value in state.items()})


def test_the_prior_is_tweedie_of_the_networks_noise(random_state, difference, noise):
    arch = replace(BASE, classes=7)
    state = random_state(adm.adm_layout(arch))
    converted = adm.FAMILY.convert(state, {"num_heads": 4})
    paper = Paper(state, mults=arch.widths, blocks=1, attended={1, 2}, heads=lambda c: 4, base=32)
    abar = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), 0)
    for step in (10, 500, 990):
        sigma = math.sqrt(1 / abar[step] - 1)
        x = noise(1, 3, 8, 8) * math.sqrt(1 + sigma**2)
        eps = paper(x * math.sqrt(abar[step]), torch.tensor([float(step)]), torch.tensor([6]))[:, :3]
        prior = NetworkPrior(converted.net, converted.parametrisation, channels=3, class_label=6)
        with torch.no_grad():
            assert difference(prior(x, sigma), x - sigma * eps) < 1e-3


class Original(Prior):
    """The original forward of a class as a prior, at any noise level of its training."""

    channels = 3

    def __init__(self, paper: Paper, timestep, label: int) -> None:
        self.paper, self.timestep, self.label = paper, timestep, label

    def __call__(self, x, sigma):
        t, label = self.timestep(torch.full((len(x),), sigma)), torch.full((len(x),), self.label)
        return x - sigma * self.paper(x / math.sqrt(1 + sigma**2), t, label)[:, :3]


@pytest.mark.parametrize("method", [DDS(), DDNMPlus(), DPS()], ids=lambda method: type(method).__name__)
def test_a_class_is_restored_as_by_the_original_network(method, random_state, difference, noise, tmp_path):
    """Written, loaded with its class, and sampled through `restore`: the image of the original forward."""
    arch = replace(BASE, classes=7)
    state = random_state(adm.adm_layout(arch))
    converted = adm.FAMILY.convert(dict(state), {"num_heads": 4})
    store.save(tmp_path / "prior", converted.net, parametrisation=converted.parametrisation, recipe=converted.recipe, channels=3,
               multiple=converted.multiple, config=converted.config, card={})
    paper = Paper(state, mults=arch.widths, blocks=1, attended={1, 2}, heads=lambda c: 4, base=32)
    keep = (noise(1, 1, 8, 8, seed=4) > 0).float()
    problem = Problem(Mask(keep), keep * noise(1, 3, 8, 8, seed=5), 0.1)
    levels = [5.0, 1.0, 0.2, 0.0]

    def restored(prior):
        return restore(problem, prior, method, codec=Interval(-1.0, 1.0), levels=levels, samples=2).samples

    expected = restored(Original(paper, Epsilon().timestep, 4))
    assert difference(restored(store.load(tmp_path / "prior", label=4)), expected) < 1e-3
    assert difference(restored(store.load(tmp_path / "prior", label=5)), expected) > 1e-2


LARGE = (256, 256, 512, 512, 1024, 1024)


def at(*levels: int, of: int = 6) -> tuple[bool, ...]:
    return tuple(level in levels for level in range(of))


FULL = {  # architecture, parameters, keys, layout of
    "ADM 256": (adm.ADMArchitecture(3, 6, 256, LARGE, 2, at(3, 4, 5)), 552_814_086, 566),
    "FFHQ-10M 256": (adm.ADMArchitecture(3, 6, 128, tuple(w // 2 for w in LARGE), 1, at(4)), 93_563_910, 362),
    "DDS fastMRI 320": (adm.ADMArchitecture(2, 4, 256, LARGE, 1, at()), 361_428_228, None),
    "DDS AAPM CT 256": (adm.ADMArchitecture(1, 2, 256, LARGE, 1, at(4)), 374_022_658, None),
}
PAPER = {  # parameters in millions, Dhariwal & Nichol, table 4; of the class-conditional networks
    "ADM 64": (adm.ADMArchitecture(3, 6, 192, (192, 384, 576, 768), 3, at(1, 2, 3, of=4), classes=1000), 296),
    "ADM 128": (adm.ADMArchitecture(3, 6, 256, (256, 256, 512, 768, 1024), 2, at(2, 3, 4, of=5), classes=1000), 422),
    "ADM 256": (replace(FULL["ADM 256"][0], classes=1000), 554),
    "ADM 512": (adm.ADMArchitecture(3, 6, 256, (128, *LARGE), 2, at(4, 5, 6, of=7), classes=1000), 559),
}


def full_size(arch: adm.ADMArchitecture, name: str) -> int:
    """Parameters of the layout, once they equal those of the network it becomes; nothing is allocated."""
    shapes = adm.adm_layout(arch)
    assert adm.adm_architecture(shapes) == arch
    heads = adm.FAMILY.heads(arch, {})
    assert heads.name == name
    count = sum(map(math.prod, shapes.values()))
    with torch.device("meta"):
        state = {key: torch.empty(shape) for key, shape in shapes.items()}
        net = build_network(adm.adm_config(arch, heads))
    net.load_state_dict(adm.adm_renamed(state, arch, heads), strict=True, assign=True)
    assert sum(value.numel() for value in net.state_dict().values()) == count
    return count


@pytest.mark.parametrize("name", FULL)
def test_full_size(name):
    arch, parameters, keys = FULL[name]
    assert full_size(arch, name) == parameters
    assert keys in (None, len(adm.adm_layout(arch)))


@pytest.mark.parametrize("name", PAPER)
def test_full_size_with_classes(name):
    arch, millions = PAPER[name]
    assert round(full_size(arch, name) / 1e6) == millions


def test_published_networks_need_no_words():
    heads = {name: adm.FAMILY.heads(arch, {}) for name, (arch, *_) in (FULL | PAPER).items()}
    assert heads["ADM 128"].number == 4 and heads["ADM 128"].channels is None
    assert heads["ADM 256"].channels == heads["DDS fastMRI 320"].channels == 64 and not heads["ADM 256"].new_order
    assert heads["ADM 64"].new_order and heads["ADM 64"].schedule == "cosine"
    assert adm.FAMILY.heads(FULL["ADM 256"][0], {"num_heads": 4}).number == 4


@pytest.fixture
def state(random_state):
    return random_state(adm.adm_layout(BASE))


def test_ranges_and_schedules_are_what_is_stated(state, random_state):
    plain = adm.FAMILY.convert(state, {"num_heads": 4})
    assert plain.recipe == Interval(0, 1) and plain.parametrisation == Epsilon()
    stated = adm.FAMILY.convert(state, {"num_heads": 4, "low": -1000, "high": 3000, "schedule": "cosine", "steps": 50})
    assert stated.recipe == Interval(-1000, 3000) and stated.parametrisation == Epsilon(cosine_betas(50))
    knee = random_state(adm.adm_layout(replace(BASE, in_channels=2, out_channels=4)))
    assert adm.FAMILY.convert(knee, {"num_heads": 4, "quantile": 0.9}).recipe == CalibratedComplex(0.9)


def without(state, key):
    return {name: value for name, value in state.items() if name != key}


FIRST = "input_blocks.1.0.in_layers.2.weight"
ATTENTION = "input_blocks.3.1.qkv.weight"
DAMAGED = {
    "missing": (lambda s: without(s, "output_blocks.0.0.in_layers.0.bias"), {}, "lacks output_blocks.0.0.in_layers.0.bias"),
    "missing first": (lambda s: without(s, "out.2.weight"), {}, "lacks out.2.weight"),
    "missing block": (lambda s: without(s, FIRST), {}, f"lacks {FIRST}"),
    "extra": (lambda s: s | {"adapter.weight": torch.ones(3)}, {}, "has in addition adapter.weight"),
    "shape": (lambda s: s | {ATTENTION: s[ATTENTION][:-1]}, {}, rf"{ATTENTION} is \(191, 64, 1\) instead of \(192, 64, 1\)"),
    "axes": (lambda s: s | {"time_embed.0.weight": torch.ones(())}, {}, r"time_embed.0.weight has the shape \(\)"),
    "whole numbers": (lambda s: s | {ATTENTION: s[ATTENTION].int()}, {}, "holds int32 instead of floating-point"),
    "NaN": (lambda s: s | {ATTENTION: s[ATTENTION] * math.nan}, {}, "NaN or infinity"),
    "a second image": (lambda s: s | {"input_blocks.0.0.weight": torch.ones(32, 9, 3, 3)}, {}, "takes 9 channels and gives 6"),
    "heads not told": (lambda s: s, {"num_heads": None}, "num_heads=4 or num_head_channels=64"),
    "heads told twice": (lambda s: s, {"num_head_channels": 16}, "exclude each other"),
    "heads that do not divide": (lambda s: s, {"num_heads": 5}, "cannot be split into 5 heads"),
    "float heads": (lambda s: s, {"num_heads": 4.0}, "num_heads must be a whole number"),
    "order": (lambda s: s, {"new_attention_order": "yes"}, "true or false"),
    "unknown word": (lambda s: s, {"heads": 4}, "does not take heads"),
    "half a range": (lambda s: s, {"low": 0}, "low=0 and high=1"),
    "empty range": (lambda s: s, {"low": 1, "high": 1}, "low must be below high"),
    "text range": (lambda s: s, {"low": "dark", "high": 1}, "low must be a number"),
    "quantile of colours": (lambda s: s, {"quantile": 0.9}, "for complex images"),
    "schedule": (lambda s: s, {"schedule": "sigmoid"}, "linear, scaled_linear, cosine"),
    "steps": (lambda s: s, {"steps": 10**9}, "100000 steps"),
    "betas": (lambda s: s, {"beta_start": 0.5}, "must rise"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_what_does_not_fit_is_said_in_a_sentence(state, case):
    damage, given, says = DAMAGED[case]
    given = {key: value for key, value in ({"num_heads": 4} | given).items() if value is not None}
    with pytest.raises(InputError, match=says) as refusal:
        adm.FAMILY.convert(damage(state), given)
    assert "\n" not in str(refusal.value)


def test_the_range_of_one_channel_must_be_told(random_state):
    state = random_state(adm.adm_layout(replace(BASE, in_channels=1, out_channels=2)))
    with pytest.raises(InputError, match="nothing in the tensors tells the value range"):
        adm.FAMILY.convert(state, {"num_heads": 4})
