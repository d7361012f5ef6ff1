"""NCSN++ of score-MRI: against a forward written over the original keys, and at full size by number."""

import math

import pytest
import torch
import torch.nn.functional as F
from helpers.checkpoints import open_checkpoint
from torch import Tensor

from medrestore.codecs import Interval
from medrestore.errors import InputError
from medrestore.priors import NetworkPrior, load
from medrestore.priors.convert import write
from medrestore.priors.convert.ncsnpp import FAMILY
from medrestore.priors.parametrisations import VarianceExploding

State = dict[str, Tensor]


def layout(*, width: int = 128, mults: tuple[int, ...] = (1, 2, 2, 2), blocks: int = 4, channels: int = 1,
           attention: tuple[int, ...] = (), sigmas: int = 2000, residual: bool = True,
           skips_out: bool = False) -> dict[str, tuple[int, ...]]:
    """Keys and shapes of a checkpoint's `model`, in its order."""
    shapes: dict[str, tuple[int, ...]] = {"sigmas": (sigmas,)}
    embedded, count = 4 * width, 0

    def module(*layers: tuple[str, tuple[int, ...]]) -> None:
        nonlocal count
        for name, shape in layers:
            names = ("W", "b") if name.startswith("NIN") else ("weight", "bias")
            prefix = f"all_modules.{count}.{name}." if name else f"all_modules.{count}."
            shapes[prefix + names[0]] = shape
            shapes[prefix + names[1]] = shape[1:] if name.startswith("NIN") else shape[:1]
        count += 1

    def block(inside: int, out: int, resamples: bool = False) -> None:
        skip = (("Conv_2", (out, inside, 1, 1)),) if resamples or inside != out else ()
        module(("GroupNorm_0", (inside,)), ("Conv_0", (out, inside, 3, 3)), ("Dense_0", (out, embedded)), ("GroupNorm_1", (out,)),
               ("Conv_1", (out, out, 3, 3)), *skip)

    def attend(c: int) -> None:
        module(("GroupNorm_0", (c,)), *((f"NIN_{i}", (c, c)) for i in range(4)))

    shapes["all_modules.0.W"] = (width,)
    count = 1
    module(("", (embedded, 2 * width)))
    module(("", (embedded, embedded)))
    module(("", (width, channels, 3, 3)))
    here, skips = width, [width]
    for i, mult in enumerate(mults):
        for _ in range(blocks):
            block(here, width * mult)
            here = width * mult
            if i in attention:
                attend(here)
            skips.append(here)
        if i < len(mults) - 1:
            block(here, here, resamples=True)
            if residual:
                module(("Conv2d_0", (here, channels if i == 0 else width * mults[i - 1], 3, 3)))
            else:
                module(("Conv_0", (here, channels, 1, 1)))
            skips.append(here)
    block(here, here)
    attend(here)
    block(here, here)
    for i in reversed(range(len(mults))):
        for _ in range(blocks + 1):
            block(here + skips.pop(), width * mults[i])
            here = width * mults[i]
        if i in attention:
            attend(here)
        if skips_out or i == 0:
            module(("", (here,)))
            module(("", (channels, here, 3, 3)))
        if i > 0:
            block(here, here, resamples=True)
    return shapes


def random_state(shapes: dict[str, tuple[int, ...]], seed: int = 0) -> State:
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for key, shape in shapes.items():
        state[key] = torch.randn(shape, generator=generator) / max(math.prod(shape[1:]), 1) ** 0.5
        if key.endswith("0.W") and len(shape) == 1:
            state[key] = state[key] * 16
        elif len(shape) == 1:
            state[key] = state[key] / 4 + (1 if key.endswith("weight") else 0)
        elif key.endswith(".W"):
            state[key] = torch.randn(shape, generator=generator) / shape[0] ** 0.5
    state["sigmas"] = torch.logspace(math.log10(300.0), -2, shapes["sigmas"][0], dtype=torch.float64)
    return state


def resampled(x: Tensor, *, up: bool) -> Tensor:
    """The FIR filter (1, 3, 3, 1) on zero borders, written as sums of neighbours (polyphase on the way up)."""
    for axis in (-1, -2):
        x = x.transpose(axis, -1)
        if up:
            padded = F.pad(x, (1, 1))
            even = (padded[..., :-2] + 3 * padded[..., 1:-1]) / 4
            odd = (3 * padded[..., 1:-1] + padded[..., 2:]) / 4
            x = torch.stack([even, odd], -1).flatten(-2)
        else:
            padded = F.pad(x, (1, 1))
            x = (padded[..., 0:-3:2] + 3 * padded[..., 1:-2:2] + 3 * padded[..., 2:-1:2] + padded[..., 3::2]) / 8
        x = x.transpose(axis, -1)
    return x


def forward(state: State, x: Tensor, sigma: Tensor, *, levels: int, blocks: int, attention: tuple[int, ...] = (),
            residual: bool = True, skips_out: bool = False, centred: bool = False) -> Tensor:
    """The network of the paper over the numbered modules, one after the other."""
    at = 0

    def take(name: str = "", kind: tuple[str, str] = ("weight", "bias")) -> tuple[Tensor, Tensor]:
        prefix = f"all_modules.{at}.{name}." if name else f"all_modules.{at}."
        return state[prefix + kind[0]], state[prefix + kind[1]]

    def norm(h: Tensor, *affine: Tensor) -> Tensor:
        return F.group_norm(h, min(h.shape[1] // 4, 32), *affine, eps=1e-6)

    def block(h: Tensor, resample: bool | None = None) -> Tensor:
        nonlocal at
        y = F.silu(norm(h, *take("GroupNorm_0")))
        if resample is not None:
            y, h = resampled(y, up=resample), resampled(h, up=resample)
        y = F.conv2d(y, *take("Conv_0"), padding=1) + F.linear(F.silu(time), *take("Dense_0"))[:, :, None, None]
        y = F.conv2d(F.silu(norm(y, *take("GroupNorm_1"))), *take("Conv_1"), padding=1)
        if f"all_modules.{at}.Conv_2.weight" in state:
            h = F.conv2d(h, *take("Conv_2"))
        at += 1
        return (h + y) / math.sqrt(2)

    def attend(h: Tensor) -> Tensor:
        nonlocal at
        y = norm(h, *take("GroupNorm_0")).flatten(2)
        q, k, v = (torch.einsum("bcp,cd->bdp", y, w) + b[:, None] for w, b in (take(f"NIN_{i}", ("W", "b")) for i in range(3)))
        w = (torch.einsum("bcp,bcq->bpq", q, k) / math.sqrt(h.shape[1])).softmax(-1)
        y = torch.einsum("bpq,bcq->bcp", w, v)
        w_out, b_out = take("NIN_3", ("W", "b"))
        at += 1
        return (h + (torch.einsum("bcp,cd->bdp", y, w_out) + b_out[:, None]).reshape(h.shape)) / math.sqrt(2)

    angles = sigma.log()[:, None] * state["all_modules.0.W"] * 2 * math.pi
    at = 1
    time = F.linear(torch.cat([angles.sin(), angles.cos()], -1), *take())
    at = 2
    time = F.linear(F.silu(time), *take())
    seen = x if centred else 2 * x - 1
    at = 3
    hs = [F.conv2d(seen, *take(), padding=1)]
    at = 4
    for i in range(levels):
        for _ in range(blocks):
            h = block(hs[-1])
            hs.append(attend(h) if i in attention else h)
        if i < levels - 1:
            h = block(hs[-1], resample=False)
            if residual:
                taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
                taps = torch.outer(taps, taps).expand(seen.shape[1], 1, 4, 4)
                wide = F.conv2d(F.pad(seen, (2, 2, 2, 2)), taps, groups=seen.shape[1])  # one pixel more than the image
                h = seen = (F.conv2d(wide, *take("Conv2d_0"), stride=2) + h) / math.sqrt(2)
            else:
                seen = resampled(seen, up=False)
                h = h + F.conv2d(seen, *take("Conv_0"))
            hs.append(h)
            at += 1
    h = block(attend(block(hs[-1])))
    out = None
    for i in reversed(range(levels)):
        for _ in range(blocks + 1):
            h = block(torch.cat([h, hs.pop()], 1))
        h = attend(h) if i in attention else h
        if skips_out or i == 0:
            y = F.silu(norm(h, *take()))
            at += 1
            y = F.conv2d(y, *take(), padding=1)
            at += 1
            out = y if out is None else resampled(out, up=True) + y
        if i > 0:
            h = block(h, resample=True)
    return out / sigma[:, None, None, None]


CASES = {
    "score-mri": dict(width=16, mults=(1, 2, 2, 2), blocks=2),
    "attention": dict(width=16, mults=(1, 2, 1), blocks=1, channels=3, attention=(0, 2)),
    "lsun": dict(width=16, mults=(1, 2, 1), blocks=1, residual=False, skips_out=True, attention=(1,)),
    "cifar": dict(width=32, mults=(1, 1), blocks=1, residual=False, attention=(1,)),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("centred", [False, True])
def test_the_converted_network_is_the_original(case, centred):
    how = CASES[case]
    state = random_state(layout(**how))
    made = FAMILY.convert({f"module.{key}": value for key, value in state.items()}, {"centered": True} if centred else {})
    x = torch.randn(2, how.get("channels", 1), 16, 24, generator=torch.Generator().manual_seed(1))
    sigma = torch.tensor([0.02, 30.0])
    with torch.no_grad():
        same = {key: value for key, value in how.items() if key in ("blocks", "attention", "residual", "skips_out")}
        expected = forward(state, x, sigma, levels=len(how["mults"]), centred=centred, **same)
        found = made.net(x, sigma)
    for one, other in zip(found, expected, strict=True):
        assert (one - other).norm() < 1e-4 * other.norm()
    prior = NetworkPrior(made.net, made.parametrisation, channels=made.channels)
    torch.testing.assert_close(prior(x[:1], 0.02), x[:1] + 0.02**2 * expected[:1], rtol=1e-4, atol=1e-4)
    assert isinstance(made.parametrisation, VarianceExploding)
    assert made.parametrisation.sigma_range == pytest.approx((0.01, 300.0), rel=1e-5)
    assert made.multiple == 2 ** (len(how["mults"]) - 1)
    image = torch.linspace(0, 1, 5)
    torch.testing.assert_close(made.recipe.encode(image), 2 * image - 1 if centred else image)


def test_from_a_training_state_with_its_average_as_a_list(tmp_path):
    how = CASES["attention"]
    last, averaged = random_state(layout(**how)), random_state(layout(**how), seed=7)
    fixed = ("sigmas", "all_modules.0.W")  # a buffer, and a parameter that is not trained
    shadow = [value for key, value in averaged.items() if key not in fixed]
    averaged |= {key: last[key] for key in fixed}
    torch.save({"optimizer": {"state": {}, "param_groups": []}, "model": {f"module.{key}": value for key, value in last.items()},
                "ema": {"decay": 0.999, "num_updates": 9, "shadow_params": shadow}, "step": 9}, tmp_path / "checkpoint_95.pth")
    made = open_checkpoint(tmp_path / "checkpoint_95.pth")
    about = write(made, tmp_path / "prior", source=tmp_path / "checkpoint_95.pth")
    assert about["family"] == FAMILY.name and about["network"] == "NCSNpp"
    prior = load(tmp_path / "prior")
    x, sigma = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(1)), 0.3
    score = forward(averaged, x, torch.tensor([sigma]), levels=3, blocks=1, attention=how["attention"])
    torch.testing.assert_close(prior(x, sigma), x + sigma**2 * score, rtol=1e-4, atol=1e-4)
    assert prior.sigma_range == pytest.approx((0.01, 300.0), rel=1e-5) and prior.recipe == Interval(-1.0, 1.0)
    with pytest.raises(AssertionError):
        score = forward(last, x, torch.tensor([sigma]), levels=3, blocks=1, attention=how["attention"])
        torch.testing.assert_close(prior(x, sigma), x + sigma**2 * score, rtol=1e-2, atol=1e-2)


def test_full_size():
    shapes = layout()
    assert len(shapes) == 522
    assert sum(math.prod(shape) for key, shape in shapes.items() if key != "sigmas") == 61_433_601
    assert "all_modules.27.NIN_3.W" in shapes and FAMILY.recognises({f"module.{key}": shape for key, shape in shapes.items()})
    made = FAMILY.convert({key: torch.zeros(()).expand(shape) for key, shape in shapes.items() if key != "sigmas"}, {})
    assert sum(value.numel() for value in made.net.state_dict().values()) == 61_433_601
    assert made.parametrisation.sigma_range == (0.01, 378.0)
    assert (made.recipe, made.channels, made.multiple) == (Interval(-1.0, 1.0), 1, 8)
    assert made.config == {"_class_name": "NCSNpp", "channels": 1, "width": 128, "mults": [1, 2, 2, 2], "blocks": 4,
                           "centred": False, "attention": [False] * 4, "progressive_input": "residual", "progressive": "none"}


def test_recognised_by_its_numbers_alone():
    shapes = layout(width=16, mults=(1, 1), blocks=1)
    assert FAMILY.recognises(shapes)
    assert not FAMILY.recognises({key: shape for key, shape in shapes.items() if key != "all_modules.0.W"})
    assert not FAMILY.recognises({"input_blocks.0.0.weight": (128, 3, 3, 3)})


@pytest.mark.parametrize(("change", "says"), [
    (lambda s: s.pop("all_modules.5.GroupNorm_0.weight"), "lacks"),
    (lambda s: s.pop("all_modules.3.weight"), "lacks all_modules.3.weight"),
    (lambda s: s.update({"all_modules.77.bias": torch.zeros(1)}), "77.bias"),
    (lambda s: s.update({"other": torch.zeros(1)}), "other"),
    (lambda s: s.update({"all_modules.4.Conv_0.weight": torch.zeros(17, 16, 3, 3)}), "17"),
    (lambda s: s.update({"all_modules.9.NIN_1.W": torch.zeros(4, 4, 1)}), "to_k.weight"),
    (lambda s: s.update({"all_modules.6.Conv_5.weight": torch.zeros(1)}), "has in addition"),
    (lambda s: s.update({"all_modules.0.W": torch.zeros(())}), "0.W of 1 axes"),
    (lambda s: s["all_modules.0.W"].fill_(math.inf), "NaN"),
    (lambda s: s["sigmas"].fill_(0), "noise levels"),
    (lambda s: [s.pop(key) for key in list(s) if ".Conv2d_0." in key], "second resolution"),
])
def test_what_does_not_fit_is_one_sentence(change, says):
    state = random_state(layout(width=16, mults=(1, 1), blocks=1))
    change(state)
    with pytest.raises(InputError, match=says) as error:
        FAMILY.convert(state, {})
    assert "\n" not in str(error.value)


def test_facts_that_cannot_be():
    state = random_state(layout(width=16, mults=(1, 1), blocks=1))
    for given, says in (({"centered": 1}, "centered"), ({"sigma_min": 900}, "rise"), ({"low": 2}, "low"),
                        ({"heads": 1}, "does not take heads")):
        with pytest.raises(InputError, match=says):
            FAMILY.convert(dict(state), given)
    assert FAMILY.convert(dict(state), {"sigma_max": 50}).parametrisation.sigma_range == pytest.approx((0.01, 50.0), rel=1e-5)
