"""U-Nets in the layout of EDM: against a forward written over the original keys, and at full size by number."""

import math
import re

import pytest
import torch
import torch.nn.functional as F
from helpers.checkpoints import open_checkpoint
from torch import Tensor

from medrestore.codecs import CalibratedComplex, Interval
from medrestore.errors import InputError
from medrestore.priors import EDM, NetworkPrior, load
from medrestore.priors.convert import write
from medrestore.priors.convert.edm import FAMILY

State = dict[str, Tensor]


def layout(*, side: int, channels: int, base: int = 128, mults: tuple[int, ...] = (1, 1), blocks: int = 1,
           attention: tuple[int, ...] = (), labels: int = 0, augments: int = 0) -> dict[str, tuple[int, ...]]:
    """Keys and shapes of EDM's ADM U-Net inside its preconditioner."""
    shapes: dict[str, tuple[int, ...]] = {}
    embedded = 4 * base

    def put(name: str, *shape: int, bias: bool = True) -> None:
        shapes[f"model.{name}.weight"] = shape
        if bias:
            shapes[f"model.{name}.bias"] = shape[:1]

    def block(name: str, cin: int, cout: int, attends: bool = False, resamples: bool = False) -> None:
        put(f"{name}.norm0", cin)
        put(f"{name}.conv0", cout, cin, 3, 3)
        put(f"{name}.affine", 2 * cout, embedded)
        put(f"{name}.norm1", cout)
        put(f"{name}.conv1", cout, cout, 3, 3)
        if cin != cout:
            put(f"{name}.skip", cout, cin, 1, 1)
        if resamples:
            shapes[f"model.{name}.conv0.resample_filter"] = shapes[f"model.{name}.skip.resample_filter"] = (1, 1, 2, 2)
        if attends:
            put(f"{name}.norm2", cout)
            put(f"{name}.qkv", 3 * cout, cout, 1, 1)
            put(f"{name}.proj", cout, cout, 1, 1)

    if augments:
        put("map_augment", base, augments, bias=False)
    put("map_layer0", embedded, base)
    put("map_layer1", embedded, embedded)
    if labels:
        put("map_label", embedded, labels, bias=False)
    widths = [base * mult for mult in mults]
    put(f"enc.{side}x{side}_conv", widths[0], channels, 3, 3)
    width, skips = widths[0], [widths[0]]
    for level, out in enumerate(widths):
        here = f"enc.{side >> level}x{side >> level}"
        if level:
            block(f"{here}_down", width, width, resamples=True)
            skips.append(width)
        for i in range(blocks):
            block(f"{here}_block{i}", width, out, attends=side >> level in attention)
            width = out
            skips.append(width)
    for level in reversed(range(len(widths))):
        here = f"dec.{side >> level}x{side >> level}"
        if level == len(widths) - 1:
            block(f"{here}_in0", width, width, attends=True)
            block(f"{here}_in1", width, width)
        else:
            block(f"{here}_up", width, width, resamples=True)
        for i in range(blocks + 1):
            block(f"{here}_block{i}", width + skips.pop(), widths[level], attends=side >> level in attention)
            width = widths[level]
    put("out_norm", width)
    put("out_conv", channels, width, 3, 3)
    return shapes


def random_state(shapes: dict[str, tuple[int, ...]], seed: int = 0) -> State:
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for key, shape in shapes.items():
        fan = max(math.prod(shape[1:]), 1)
        state[key] = torch.randn(shape, generator=generator) / (fan**0.5 if len(shape) > 1 else 4)
        if key.endswith("resample_filter"):
            state[key] = torch.full(shape, 0.25)
        elif len(shape) == 1 and ".norm" in key and key.endswith("weight"):
            state[key] += 1
    return state


def forward(state: State, x: Tensor, noise: Tensor, label: int | None = None) -> Tensor:
    """The ADM U-Net of EDM over its own keys, in the order in which they stand."""

    def weights(name: str) -> tuple[Tensor, Tensor]:
        return state[f"model.{name}.weight"], state[f"model.{name}.bias"]

    def norm(name: str, h: Tensor) -> Tensor:
        return F.group_norm(h, min(32, h.shape[1] // 4), *weights(name), eps=1e-5)

    def block(name: str, h: Tensor) -> Tensor:
        def resample(h: Tensor) -> Tensor:
            if name.endswith("_down"):
                return (h[..., ::2, ::2] + h[..., 1::2, ::2] + h[..., ::2, 1::2] + h[..., 1::2, 1::2]) / 4
            return h.repeat_interleave(2, -1).repeat_interleave(2, -2) if name.endswith("_up") else h

        y = F.conv2d(resample(F.silu(norm(f"{name}.norm0", h))), *weights(f"{name}.conv0"), padding=1)
        scale, shift = F.linear(emb, *weights(f"{name}.affine"))[:, :, None, None].chunk(2, 1)
        y = F.conv2d(F.silu(shift + norm(f"{name}.norm1", y) * (scale + 1)), *weights(f"{name}.conv1"), padding=1)
        h = resample(h)
        y = y + (F.conv2d(h, *weights(f"{name}.skip")) if f"model.{name}.skip.weight" in state else h)
        if f"model.{name}.qkv.weight" in state:
            b, c, height, width = y.shape
            qkv = F.conv2d(norm(f"{name}.norm2", y), *weights(f"{name}.qkv"))
            q, k, v = qkv.reshape(b, c // 64, 64, 3, height * width).unbind(3)
            w = torch.einsum("bhcq,bhck->bhqk", q, k / 64**0.5).softmax(-1)
            a = torch.einsum("bhqk,bhck->bhcq", w, v).reshape(b, c, height, width)
            y = y + F.conv2d(a, *weights(f"{name}.proj"))
        return y

    half = state["model.map_layer0.weight"].shape[1] // 2
    args = noise[:, None] * 10000.0 ** (-torch.arange(half) / half)
    emb = F.linear(torch.cat([args.cos(), args.sin()], 1), *weights("map_layer0"))
    emb = F.linear(F.silu(emb), *weights("map_layer1"))
    emb = F.silu(emb if label is None else emb + state["model.map_label.weight"][:, label])
    names = list(dict.fromkeys(found[1] for key in state if (found := re.match(r"model\.((?:enc|dec)\.\d+x\d+_\w+)\.", key))))
    skips = []
    for name in names:
        if name.endswith("_conv"):
            x = F.conv2d(x, *weights(name), padding=1)
        else:
            if name.startswith("dec.") and "_block" in name:
                x = torch.cat([x, skips.pop()], 1)
            x = block(name, x)
        if name.startswith("enc."):
            skips.append(x)
    return F.conv2d(F.silu(norm("out_norm", x)), *weights("out_conv"), padding=1)


def denoised(state: State, x: Tensor, sigma: float, label: int | None = None) -> Tensor:
    """D(x; sigma) of table 1, column "Ours", of Karras et al. with sigma_data 0.5."""
    var = sigma**2 + 0.25
    out = forward(state, x / var**0.5, torch.full((len(x),), math.log(sigma) / 4), label)
    return 0.25 / var * x + sigma * 0.5 / var**0.5 * out


CASES = {
    "mri": dict(side=16, channels=2, mults=(1, 2), attention=(5,)),
    "attention": dict(side=16, channels=3, mults=(1, 1, 2), blocks=2, attention=(8, 4), augments=9),
    "first": dict(side=8, channels=1, mults=(2, 3), base=64),
}


@pytest.mark.parametrize("case", CASES)
def test_the_converted_network_is_the_original(case):
    state = random_state(layout(**CASES[case]))
    made = FAMILY.convert(dict(state), {})
    prior = NetworkPrior(made.net, made.parametrisation, channels=made.channels)
    x = torch.randn(2, made.channels, 16, 24, generator=torch.Generator().manual_seed(1))
    for sigma in (0.01, 0.7, 40.0):
        expected = denoised(state, x, sigma)
        torch.testing.assert_close(prior(x, sigma), expected, rtol=1e-4, atol=1e-5 * float(expected.abs().max()))
    difference = made.net(x, torch.tensor([0.1, -0.4])) - forward(state, x, torch.tensor([0.1, -0.4]))
    assert difference.norm() < 1e-5 * forward(state, x, torch.tensor([0.1, -0.4])).norm()
    assert made.parametrisation == EDM(0.5, 0.25, (0.002, 80.0))
    assert made.multiple == 2 ** (len(CASES[case]["mults"]) - 1)
    assert made.recipe == (CalibratedComplex(0.99) if made.channels == 2 else Interval(0.0, 1.0))
    assert ("augmentation" in made.about) == (case == "attention")


def test_classes_become_an_embedding():
    state = random_state(layout(side=8, channels=3, labels=5))
    made = FAMILY.convert(dict(state), {})
    x = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    assert made.config["num_class_embeds"] == 5
    found = NetworkPrior(made.net, made.parametrisation, channels=3, class_label=3)(x, 0.4)
    torch.testing.assert_close(found, denoised(state, x, 0.4, 3), rtol=1e-4, atol=1e-4)
    assert not torch.allclose(found, denoised(state, x, 0.4, 2), atol=1e-2)


@torch.no_grad()
def test_from_a_training_state_its_average_is_taken(tmp_path):
    last, averaged = (random_state(layout(side=8, channels=2), seed) for seed in (0, 1))
    torch.save({"net": last, "ema": averaged, "step": 3}, tmp_path / "mri.pt")
    made = open_checkpoint(tmp_path / "mri.pt")
    assert write(made, tmp_path / "prior", source=tmp_path / "mri.pt")["family"] == FAMILY.name
    x = torch.randn(1, 2, 8, 8, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(load(tmp_path / "prior")(x, 0.4), denoised(averaged, x, 0.4), rtol=1e-4, atol=1e-4)


def test_full_size():
    shapes = layout(side=320, channels=2, mults=(1, 1, 1, 2, 2), attention=(16,))
    assert len(shapes) == 304
    assert sum(math.prod(shape) for key, shape in shapes.items() if not key.endswith("filter")) == 26_002_050
    assert FAMILY.recognises(shapes)
    made = FAMILY.convert(random_state(shapes), {})
    assert sum(parameter.numel() for parameter in made.net.parameters()) == 26_002_050
    assert (made.multiple, made.about["trained at"], made.about["attention at levels"]) == (16, 320, "the middle alone")


def test_recognised_with_and_without_its_wrapper_and_nothing_else():
    shapes = layout(side=8, channels=2)
    assert FAMILY.recognises(shapes)
    assert FAMILY.recognises({key.removeprefix("model."): shape for key, shape in shapes.items()})
    assert not FAMILY.recognises({key: shape for key, shape in shapes.items() if "map_layer0" not in key})
    assert not FAMILY.recognises({"map_layer0.weight": (512, 128), "input_blocks.0.0.weight": (128, 3, 3, 3)})


@pytest.mark.parametrize(("change", "says"), [
    (lambda s: s.pop("model.enc.8x8_block0.conv1.weight"), "lacks down_blocks.0.resnets.0.conv2.weight"),
    (lambda s: s.pop("model.enc.8x8_block0.conv0.weight"), "lacks enc.8x8_block0.conv0.weight"),
    (lambda s: s.update({"model.extra.weight": torch.zeros(1)}), "extra.weight"),
    (lambda s: s.update({"model.dec.8x8_aux_norm.weight": torch.zeros(1)}), "DDPM\\+\\+"),
    (lambda s: s.update({"model.dec.4x4_in0.qkv.weight": torch.zeros(383, 128, 1, 1)}), "to_q.weight|to_v.weight"),
    (lambda s: s.update({"model.dec.4x4_in0.proj.weight": torch.zeros(128, 128, 3, 3)}), "to_out.0.weight"),
    (lambda s: s.update({"model.dec.8x8_up.conv0.resample_filter": torch.ones(1, 1, 4, 4)}), "filter"),
    (lambda s: s.update({"model.map_layer0.weight": torch.zeros(4)}), "map_layer0.weight of 2 axes"),
    (lambda s: [s.pop(key) for key in list(s) if "x" in key], "no key names a level"),
    (lambda s: s["model.out_conv.bias"].fill_(math.nan), "NaN"),
    (lambda s: s.update({"model.out_conv.weight": torch.zeros(4, 128, 3, 3)}), "iDDPM"),
])
def test_what_does_not_fit_is_one_sentence(change, says):
    state = random_state(layout(side=8, channels=2))
    change(state)
    with pytest.raises(InputError, match=says) as error:
        FAMILY.convert(state, {})
    assert "\n" not in str(error.value)


def test_facts_that_cannot_be():
    state = random_state(layout(side=8, channels=2))
    for given, says in (({"sigma_min": 90}, "sigma_min"), ({"sigma_data": -1}, "sigma_data"), ({"betas": 1}, "take betas")):
        with pytest.raises(InputError, match=says):
            FAMILY.convert(dict(state), given)
    with pytest.raises(InputError, match="at least 128"):
        FAMILY.convert(random_state(layout(side=8, channels=2, base=64)), {})
