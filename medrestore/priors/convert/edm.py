"""U-Nets in the layout of EDM (Karras et al., NeurIPS 2022): InverseBench's MRI priors and EDM's own ADM networks.

The architecture is ADM (Dhariwal & Nichol, NeurIPS 2021, app. B): residual blocks that resample, scale-shift of the noise level,
heads of 64 channels; so a diffusers `UNet2DModel` holds it exactly. The resampling filter [1, 1] is average pooling and
nearest-neighbour repetition; EDM keeps it in the checkpoint, where it is checked and left.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from ...errors import InputError
from ..parametrisations import EDM
from .base import RANGE, Converted, Shapes, assumed, filled_network, number, only, some, stated_recipe
from .shapes import shape_of

NAME = "EDM (ADM U-Net)"
HEAD_CHANNELS = 64
WIDEST_GROUPS = 128  # channels from which on EDM's group norm has 32 groups; below it has fewer, a quarter of the channels
SET = (*RANGE, "sigma_data", "sigma_min", "sigma_max")
LAYERS = {
    "norm0": "norm1", "conv0": "conv1", "affine": "time_emb_proj", "norm1": "norm2", "conv1": "conv2", "skip": "conv_shortcut",
}
ATTENTION = {"norm2": "group_norm", "qkv": "qkv", "proj": "to_out.0"}
BLOCK = re.compile(r"(enc|dec)\.(\d{1,5})x\2_(conv|down|up|in0|in1|block(\d{1,3}))\.(?:(\w+)\.)?(weight|bias|resample_filter)")
TOP = {"map_layer0": "time_embedding.linear_1", "map_layer1": "time_embedding.linear_2",
       "out_norm": "conv_norm_out", "out_conv": "conv_out"}


class EDMLayout:
    """`model.{enc,dec}.{side}x{side}_*`, `model.map_*` and `model.out_*`, with or without the leading `model.`."""

    name = NAME
    signature = ("map_layer0.weight", "map_layer1.weight", "out_norm.weight", "out_conv.weight")

    def recognises(self, shapes: Shapes) -> bool:
        keys = {key.removeprefix("model.") for key in shapes}
        return "map_layer0.weight" in keys and any(BLOCK.fullmatch(key) for key in keys)

    def convert(self, state: dict[str, Tensor], given: Mapping[str, Any]) -> Converted:
        only(given, SET, NAME)
        state = {key.removeprefix("model."): value for key, value in state.items()}
        about = _prepare(state)
        sides = sorted({int(found[2]) for key in state if (found := BLOCK.fullmatch(key))}, reverse=True)
        config = _unet_config(state, sides)
        tensors = dict(_unet_tensors(state, sides))
        channels = config["in_channels"]
        if config["out_channels"] != channels:
            raise InputError(f"this network takes {channels} channels and gives {config['out_channels']}, which EDM's denoisers "
                             "never do; is it one that was trained as iDDPM?")
        attention = [level for level, kind in enumerate(config["down_block_types"]) if kind.startswith("Attn")]
        sigma_data = number(given, "sigma_data", 0.5)
        low, high = number(given, "sigma_min", 0.002), number(given, "sigma_max", 80.0)
        if not (sigma_data > 0 and 0 < low < high):
            raise InputError(f"sigma_data, sigma_min and sigma_max must be positive and the last the largest level, got "
                             f"{sigma_data:g}, {low:g} and {high:g}")
        about = {"trained at": sides[0], "attention at levels": attention or "the middle alone", **about,
                 **assumed(given, sigma_data=sigma_data, sigma_min=low, sigma_max=high, num_head_channels=HEAD_CHANNELS,
                           **({} if channels == 2 else {"low": 0, "high": 1}))}
        return Converted(NAME, config, filled_network(config, tensors, NAME), EDM(sigma_data, 0.25, (low, high)),
                         stated_recipe(channels, given), channels, multiple=2 ** (len(sides) - 1), about=about)


def _prepare(state: dict[str, Tensor]) -> dict[str, Any]:
    """Takes out what a `UNet2DModel` has no place for, and what a person should know of that.

    Raises:
        InputError: another U-Net of EDM, or another resampling filter.
    """
    other = [key for key in state if "_aux_" in key or key.startswith("map_noise.")]
    if other:
        raise InputError(f"{some(other)} belong to EDM's DDPM++ or NCSN++ networks, and only its ADM networks are known here; "
                         "convert one of those")
    for key in [key for key in state if key.endswith(".resample_filter")]:
        taps = state.pop(key)
        if taps.shape != (1, 1, 2, 2) or not torch.allclose(taps.float(), torch.full((), 0.25)):
            raise InputError(f"{key} is not the filter [1, 1] of ADM networks; only that one is known here")
    about: dict[str, Any] = {}
    if state.pop("map_augment.weight", None) is not None:
        about["augmentation"] = "trained with augmentation labels, which are zero in use; their embedding was left out"
    return about


def _unet_config(state: Mapping[str, Tensor], sides: list[int]) -> dict[str, Any]:
    """What `UNet2DModel` needs to know of this network, from the shapes of its tensors."""
    shapes = {key: tuple(value.shape) for key, value in state.items()}

    def shape(key: str, axes: int = 4) -> tuple[int, ...]:
        return shape_of(shapes, key, axes, NAME)

    if not sides:
        raise InputError(f"this is no {NAME}: no key names a level, such as enc.320x320_conv.weight; give no family")
    blocks = len({found[4] for key in state if (found := BLOCK.fullmatch(key)) and found[1] == "enc" and found[4]})
    widths = [shape(f"enc.{side}x{side}_block0.conv0.weight")[0] for side in sides]
    attends = [f"enc.{side}x{side}_block0.qkv.weight" in state for side in sides]
    if min(widths) < WIDEST_GROUPS:
        raise InputError(f"a network of {min(widths)} channels normalises its layers in groups of different numbers, for which "
                         f"diffusers has no U-Net; EDM networks of at least {WIDEST_GROUPS} channels can be converted")
    embedded, base = shape("map_layer0.weight", 2)
    config = {
        "_class_name": "UNet2DModel",
        "in_channels": shape(f"enc.{sides[0]}x{sides[0]}_conv.weight")[1],
        "out_channels": shape("out_conv.weight")[0],
        "block_out_channels": widths,
        "layers_per_block": blocks,
        "down_block_types": ["AttnDownBlock2D" if attention else "ResnetDownsampleBlock2D" for attention in attends],
        "up_block_types": ["AttnUpBlock2D" if attention else "ResnetUpsampleBlock2D" for attention in reversed(attends)],
        "downsample_type": "resnet", "upsample_type": "resnet", "resnet_time_scale_shift": "scale_shift",
        "attention_head_dim": HEAD_CHANNELS, "norm_eps": 1e-5, "norm_num_groups": 32, "attn_norm_num_groups": 32,
        "flip_sin_to_cos": True, "freq_shift": 0, "time_embedding_dim": embedded,
    }
    if base != widths[0]:
        config["time_channels"] = base
    if "map_label.weight" in state:
        config["num_class_embeds"] = shape("map_label.weight", 2)[1]
    return config


def _unet_tensors(state: Mapping[str, Tensor], sides: list[int]) -> Iterator[tuple[str, Tensor]]:
    """Tensors by the keys of `UNet2DModel`; keys of no known place keep their names, and are refused later."""
    for key, value in state.items():
        found = BLOCK.fullmatch(key)
        module, _, kind = key.rpartition(".")
        if key == "map_label.weight":  # a linear layer of one-hot classes there, an embedding here
            yield "class_embedding.weight", value.T if value.ndim == 2 else value
            continue
        if found is None:
            yield (f"{TOP[module]}.{kind}" if module in TOP else key), value
            continue
        part, side, place, index, layer, kind = found.groups()
        if place == "conv" and layer is None:
            yield f"conv_in.{kind}", value
            continue
        block, attention = _home(part, sides.index(int(side)), len(sides), place, index)
        if layer in LAYERS:
            yield f"{block}.{LAYERS[layer]}.{kind}", value
        elif layer == "qkv":
            flat = value.flatten(1) if value.ndim > 1 else value  # q, k, v channel by channel, head after head
            for name, own in zip("qkv", [flat[first::3] for first in range(3)], strict=True):
                yield f"{attention}.to_{name}.{kind}", own
        elif layer in ATTENTION:
            yield f"{attention}.{ATTENTION[layer]}.{kind}", value.flatten(1) if value.ndim > 1 else value
        else:
            yield key, value


def _home(part: str, level: int, levels: int, place: str, index: str | None) -> tuple[str, str]:
    """Where a block and its attention live in `UNet2DModel`."""
    if place in ("in0", "in1"):
        return f"mid_block.resnets.{place[2]}", f"mid_block.attentions.{place[2]}"
    if place == "down":  # EDM counts it to the level below, diffusers to the one above
        return f"down_blocks.{level - 1}.downsamplers.0", ""
    if place == "up":
        return f"up_blocks.{levels - level - 2}.upsamplers.0", ""
    blocks = f"down_blocks.{level}" if part == "enc" else f"up_blocks.{levels - level - 1}"
    return f"{blocks}.resnets.{index}", f"{blocks}.attentions.{index}"


FAMILY = EDMLayout()
