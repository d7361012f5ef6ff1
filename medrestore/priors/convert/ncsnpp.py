"""NCSN++ (Song et al., ICLR 2021, app. H) as score-MRI trained it (Chung & Ye, Medical Image Analysis 2022).

Keys number the modules in the order in which the network runs, `all_modules.N.*`, so what kind of module stands where tells the
architecture. Fourier features of log sigma and BigGAN blocks are required; what no tensor tells (the FIR filter, `skip_rescale`
and `scale_by_sigma`) is that of all published variance-exploding networks unless it is stated.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from ...codecs import Interval
from ...errors import InputError
from ..parametrisations import VarianceExploding
from .base import Converted, Shapes, assumed, filled_network, number, only
from .shapes import shape_of

NAME = "NCSN++ (score-MRI)"
FLAGS = {"centered": False, "skip_rescale": True, "scale_by_sigma": True}  # of training; no tensor tells them
SET = ("low", "high", "sigma_min", "sigma_max", *FLAGS)
KEY = re.compile(r"(?:module\.)?all_modules\.(\d{1,4})\.(.+)")
FIRST_BLOCK = 4  # after the frequencies, two layers of the time and the first convolution
LAYERS = {  # the layers of a module of each kind, ours by theirs
    "frequencies": {"W": "frequencies"},
    "layer": {"weight": "weight", "bias": "bias"},
    "input_skip": {"Conv_0.weight": "weight", "Conv_0.bias": "bias"},
    "residual": {"Conv2d_0.weight": "Conv2d_0.weight", "Conv2d_0.bias": "Conv2d_0.bias"},
    "block": {f"{old}.{kind}": f"{new}.{kind}" for old, new in (
        ("GroupNorm_0", "norm1"), ("Conv_0", "conv1"), ("Dense_0", "time_emb_proj"), ("GroupNorm_1", "norm2"),
        ("Conv_1", "conv2"), ("Conv_2", "conv_shortcut")) for kind in ("weight", "bias")},
    "attention": {
        "GroupNorm_0.weight": "group_norm.weight", "GroupNorm_0.bias": "group_norm.bias",
        **{f"NIN_{i}.{old}": f"{name}.{new}" for i, name in enumerate(("to_q", "to_k", "to_v", "to_out.0"))
           for old, new in (("W", "weight"), ("b", "bias"))},
    },
}


class ScoreMRIFamily:
    """`all_modules.N.*` with Fourier features in front, and the noise levels of training as `sigmas`."""

    name = NAME
    signature = ("all_modules.0.W", "all_modules.1.weight", "all_modules.3.weight", "all_modules.4.Conv_0.weight")

    def recognises(self, shapes: Shapes) -> bool:
        numbers = {found[1] + "." + found[2] for key in shapes if (found := KEY.fullmatch(key))}
        return {"0.W", "1.weight", "2.weight", "3.weight", "4.Conv_0.weight"} <= numbers

    def convert(self, state: dict[str, Tensor], given: Mapping[str, Any]) -> Converted:
        only(given, SET, NAME)
        flags = {name: given.get(name, default) for name, default in FLAGS.items()}
        for name, value in flags.items():
            if not isinstance(value, bool):
                raise InputError(f"{name} must be true or false, got {value!r}")
        centred = flags["centered"]
        sigmas = [state[key] for key in state if key.removeprefix("module.") == "sigmas"]
        tensors = {f"{int(found[1])}.{found[2]}" if (found := KEY.fullmatch(key)) else key: value for key, value in state.items()
                   if key.removeprefix("module.") != "sigmas"}
        config = _ncsnpp_config({key: tuple(value.shape) for key, value in tensors.items()}, flags)
        net = filled_network(config, dict(_ncsnpp_tensors(tensors, config)), NAME)
        low, high = _sigma_range(sigmas, given)
        about = {
            "image range": "[-1, 1]" if centred else "[0, 1]",
            "attention at levels": [i for i, here in enumerate(config["attention"]) if here] or "the middle alone",
            "image on its way": f"down {config['progressive_input']}, up {config['progressive']}",
            "noise levels": "those of the checkpoint" if sigmas else "the published ones",
            **assumed(given, **flags, fir_kernel="1 3 3 1", sigma_min=None if sigmas else low, sigma_max=None if sigmas else high,
                      low=0, high=1),
        }
        return Converted(NAME, config, net, VarianceExploding((low, high)), _interval_of(given, centred), config["channels"],
                         multiple=2 ** (len(config["mults"]) - 1), about=about)


def _interval_of(given: Mapping[str, Any], centred: bool) -> Interval:
    """Images by default in [0, 1]: as they are, or stretched to the [-1, 1] of a centred network."""
    low, high = number(given, "low", 0.0), number(given, "high", 1.0)
    if not low < high:
        raise InputError(f"low must be below high, got {low:g} and {high:g}")
    return Interval(low, high) if centred else Interval(2 * low - high, high)  # low is 0 to the network, so 2 low - high is -1


def _sigma_range(sigmas: list[Tensor], given: Mapping[str, Any]) -> tuple[float, float]:
    """The lowest and highest noise level of training: stated, in the checkpoint, or as published."""
    known = (float(sigmas[0].min()), float(sigmas[0].max())) if sigmas and sigmas[0].numel() > 1 else (0.01, 378.0)
    low, high = number(given, "sigma_min", known[0]), number(given, "sigma_max", known[1])
    if not 0 < low < high < float("inf"):
        raise InputError(f"noise levels must be positive and rise, got {low:g} to {high:g}; give sigma_min and sigma_max")
    return low, high


def _ncsnpp_config(shapes: Shapes, flags: Mapping[str, bool]) -> dict[str, Any]:
    """The architecture, from the kinds of the modules in their order.

    Raises:
        InputError: a variant of NCSN++ that is not this one.
    """
    present = set(shapes)

    def shape(key: str, axes: int = 4) -> tuple[int, ...]:
        return shape_of(shapes, key, axes, NAME, prefix="all_modules.")

    numbers = [(int(found[1]), found[2]) for key in present if (found := re.fullmatch(r"(\d{1,4})\.Conv(2d)?_0\.weight", key))]
    sees = sorted(number for number, residual in numbers if residual or f"{number}.Conv_1.weight" not in present)
    starts = [FIRST_BLOCK, *(index + 1 for index in sees)]
    attention = [f"{start + 1}.NIN_3.W" in present for start in starts]
    per_block = 2 if attention[0] else 1
    blocks = (starts[1] - 2 - FIRST_BLOCK) // per_block if sees else 0
    if blocks < 1:
        raise InputError(f"this is nearly {NAME}, but no image is seen at a second resolution; "
                         "take the file that the network was published in")
    width = shape("0.W", 1)[0]
    widths = [shape(f"{start}.Conv_0.weight")[0] for start in starts]
    if width == 0 or any(out % width != 0 or out == 0 for out in widths):
        raise InputError(f"levels of {', '.join(map(str, widths))} channels are no multiples of the {width} frequencies; "
                         "this is no NCSN++ that is known here")
    outputs = sum(len(here) == 1 and re.fullmatch(r"\d+\.weight", key) is not None for key, here in shapes.items())
    return {
        "_class_name": "NCSNpp", "channels": shape("3.weight")[1], "width": width, "mults": [out // width for out in widths],
        "blocks": blocks, "attention": attention, "centred": flags["centered"],
        **{name: flags[name] for name in ("skip_rescale", "scale_by_sigma") if flags[name] != FLAGS[name]},
        "progressive_input": "residual" if f"{sees[0]}.Conv2d_0.weight" in present else "input_skip",
        "progressive": "none" if outputs < len(starts) else "output_skip",
    }


def _numbered_modules(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(kind, our name) of the modules in the order of the paper's figure, in which checkpoints number them."""
    attention, blocks, levels = config["attention"], config["blocks"], len(config["mults"])
    yield from (("frequencies", ""), ("layer", "embed.0"), ("layer", "embed.2"), ("layer", "first"))
    for i in range(levels):
        for j in range(blocks):
            yield "block", f"down.{i}.blocks.{j}"
            if attention[i]:
                yield "attention", f"down.{i}.attentions.{j}"
        if i < levels - 1:
            yield from (("block", f"down.{i}.resample"), (config["progressive_input"], f"down.{i}.see"))
    yield from (("block", "middle.0"), ("attention", "middle.1"), ("block", "middle.2"))
    for up, i in enumerate(reversed(range(levels))):
        yield from (("block", f"up.{up}.blocks.{j}") for j in range(blocks + 1))
        if attention[i]:
            yield "attention", f"up.{up}.attentions.0"
        if config["progressive"] == "output_skip" or i == 0:
            yield from (("layer", f"up.{up}.norm"), ("layer", f"up.{up}.show"))
        if i > 0:
            yield "block", f"up.{up}.resample"


def _ncsnpp_tensors(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Iterator[tuple[str, Tensor]]:
    """Tensors by our names; what has no place keeps its own and is refused later."""
    names = {f"{index}.{old}": ".".join(filter(None, (name, new))) for index, (kind, name) in enumerate(_numbered_modules(config))
             for old, new in LAYERS[kind].items()}
    for key, value in tensors.items():
        turned = re.fullmatch(r"\d+\.NIN_\d\.W", key) and value.ndim == 2  # inputs lead there, outputs here
        yield names.get(key, key), value.T if turned else value


FAMILY = ScoreMRIFamily()
