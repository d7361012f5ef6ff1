"""Classifiers of guided diffusion: wired as the paper has it, read from shapes, stored and used."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from helpers.checkpoints import open_checkpoint

from medrestore.errors import InputError
from medrestore.priors import Guided, Prior, classifier_store
from medrestore.priors.convert import adm, adm_classifier, write

from .test_adm import Paper

BASE = adm.ADMArchitecture(3, 1, 32, (32, 64, 64), 2, (False, True, True))
CASES = {  # body, positions of the pool, what is given
    "attention": (BASE, 17, {"num_head_channels": 32}),
    "mean": (replace(BASE, blocks=1), None, {"num_heads": 2, "new_attention_order": True}),
    "convolutions halve": (replace(BASE, resnet_resampling=False), 17, {"num_head_channels": 32}),
    "time is added": (replace(BASE, scale_shift=False, attention=(False, False, True)), 17, {"num_head_channels": 32}),
}


class Encoder(Paper):
    """The classifier of Dhariwal & Nichol (2021) as functions of the checkpoint's own tensors."""

    def __call__(self, x, t):
        angles = t[:, None] * torch.exp(-math.log(10_000) * torch.arange(self.base // 2) / (self.base // 2))
        emb = self.affine("time_embed.0", torch.cat([angles.cos(), angles.sin()], 1), F.linear)
        emb = self.affine("time_embed.2", F.silu(emb), F.linear)
        h, at, last = self.conv("input_blocks.0.0", x), 1, len(self.mults) - 1
        for level in range(last + 1):
            for _ in range(self.blocks):
                h = self.residual(f"input_blocks.{at}.0", h, emb)
                h = self.attention(f"input_blocks.{at}.1", h) if level in self.attended else h
                at += 1
            if level < last:
                name, pool = f"input_blocks.{at}.0", lambda h: F.avg_pool2d(h, 2)
                h = self.residual(name, h, emb, pool) if self.updown else self.conv(f"{name}.op", h, stride=2)
                at += 1
        h = self.residual("middle_block.0", h, emb)
        h = self.residual("middle_block.2", self.attention("middle_block.1", h), emb)
        h = F.silu(self.norm("out.0", h))
        if "out.3.weight" in self.s:
            return self.affine("out.3", h.mean((2, 3), keepdim=True), F.conv2d)[:, :, 0, 0]
        h = h.flatten(2)
        h = torch.cat([h.mean(2, keepdim=True), h], 2) + self.s["out.2.positional_embedding"]
        q, k, v = self.affine("out.2.qkv_proj", h, F.conv1d).chunk(3, 1)
        n = h.shape[1] // 32
        q, k, v = (part.reshape(len(h), n, 32, -1) for part in (q, k, v))
        weights = torch.einsum("bnct,bncu->bntu", q, k).div(math.sqrt(32)).softmax(-1)
        out = torch.einsum("bntu,bncu->bnct", weights, v).reshape(len(h), n * 32, -1)
        return self.affine("out.2.c_proj", out, F.conv1d)[:, :, 0]


class Zero(Prior):
    """Of images of zero, so that the term of guidance is left alone."""

    channels = 3

    def __call__(self, x, sigma):
        return torch.zeros_like(x)


def state_of(case, random_state):
    arch, positions, _ = CASES[case]
    return random_state(adm_classifier.classifier_layout(arch, 5, positions))


def paper_of(case, state):
    arch, _, given = CASES[case]
    heads = (lambda c: c // 32) if "num_head_channels" in given else (lambda c: 2)
    return Encoder(state, mults=arch.widths, blocks=arch.blocks, base=32, heads=heads,
                   attended={level for level, here in enumerate(arch.attention) if here}, updown=arch.resnet_resampling,
                   scale_shift=arch.scale_shift, new_order=given.get("new_attention_order", False))


@pytest.mark.parametrize("case", CASES)
def test_the_network_is_that_of_the_paper(case, random_state, watched, difference, noise):
    arch, positions, given = CASES[case]
    state = watched(state_of(case, random_state))
    x, t = noise(2, 3, 16, 16), torch.tensor([3.0, 712.5])
    expected = paper_of(case, state)(x, t)
    assert state.used == set(state)
    converted = adm_classifier.FAMILY.convert(dict(state), given)
    with torch.no_grad():
        assert difference(converted.net(x, t), expected) < 1e-4
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    assert adm_classifier.classifier_architecture(shapes, None) == arch and adm_classifier.FAMILY.recognises(shapes)
    assert not adm.FAMILY.recognises(shapes)
    assert converted.size == (None if positions is None else (16, 16)) and converted.classifies.number == 5


def test_the_published_shape_is_read(random_state):
    """That of 64 x 64 pixels, narrower: 12 blocks are four levels of two, not three of three."""
    arch = adm.ADMArchitecture(3, 1, 32, (32, 64, 96, 128), 2, (False, True, True, True))
    shapes = adm_classifier.classifier_layout(arch, 10, 65)
    assert adm_classifier.classifier_architecture(shapes, None) == arch
    with pytest.raises(InputError, match="no levels of 3 blocks"):
        adm_classifier.classifier_architecture(shapes, 3)
    same = adm_classifier.classifier_layout(replace(arch, widths=(32,) * 4, attention=(False,) * 4), 10, 65)
    with pytest.raises(InputError, match=r"may be .* a level; give num_res_blocks"):
        adm_classifier.classifier_architecture(same, None)
    assert adm_classifier.classifier_architecture(same, 2).blocks == 2


def test_a_converted_classifier_guides_with_the_gradient_of_the_paper(random_state, difference, noise, tmp_path: Path):
    """At a timestep of training: grad of log p(class | x_t) by the original forward, in sigma terms."""
    state = state_of("attention", random_state)
    torch.save(state, tmp_path / "classifier.pt")
    converted = open_checkpoint(tmp_path / "classifier.pt", given={"num_head_channels": 32})
    about = write(converted, tmp_path / "classifier", source=tmp_path / "classifier.pt")
    assert about == classifier_store.describe(tmp_path / "classifier") and about["family"] == adm_classifier.FAMILY.name
    loaded = classifier_store.load(tmp_path / "classifier")

    abar = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64), 0)[400]
    sigma = math.sqrt(1 / abar - 1)
    x = noise(2, 3, 16, 16)
    x_t = (x * math.sqrt(abar)).requires_grad_()
    log = paper_of("attention", state)(x_t, torch.full((2,), 400.0)).log_softmax(1)[:, 3]
    (gradient,) = torch.autograd.grad(log.sum(), x_t)
    moved = Guided(Zero(), loaded, 3, 2.5)(x, sigma)
    assert difference(moved, sigma**2 * 2.5 * gradient * math.sqrt(abar)) < 1e-3  # x_t = sqrt(abar) x


def test_broken_pools_are_refused(random_state):
    state = random_state(adm_classifier.classifier_layout(BASE, 5, 18))
    with pytest.raises(InputError, match="18 positions"):
        adm_classifier.FAMILY.convert(state, {"num_head_channels": 32})
    with pytest.raises(InputError, match=r"out\.2\.c_proj\.bias"):
        adm_classifier.FAMILY.convert({key: value for key, value in state.items() if key != "out.2.c_proj.bias"},
                                      {"num_head_channels": 32})
