"""The network of DDPM and SDEdit (CelebA-HQ, LSUN): Ho, Jain & Abbeel, NeurIPS 2020, in the layout of its PyTorch port."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ...errors import InputError
from ..parametrisations import Epsilon
from .base import (
    RANGE,
    SCHEDULE,
    Converted,
    Family,
    Shapes,
    assumed,
    axis,
    compare,
    filled_network,
    only,
    stated_betas,
    stated_recipe,
    whole,
)

RESNET = {"norm1": "norm1", "conv1": "conv1", "temb_proj": "time_emb_proj", "norm2": "norm2", "conv2": "conv2",
          "nin_shortcut": "conv_shortcut"}
ATTENTION = {"norm": "group_norm", "q": "to_q", "k": "to_k", "v": "to_v", "proj_out": "to_out.0"}
OUTER = {"temb.dense.0": "time_embedding.linear_1", "temb.dense.1": "time_embedding.linear_2", "conv_in": "conv_in",
         "norm_out": "conv_norm_out", "conv_out": "conv_out"}
ATTENDED = 16  # pixels a side of the level with attention, Ho et al. 2020, app. B


@dataclass(frozen=True)
class DDPMArchitecture:
    """What keys and shapes tell.

    Args:
        in_channels, out_channels: of an image, and of what is predicted.
        widths: channels of the levels, finest first.
        blocks: residual blocks a level on the way down.
        attention: whether a level has it.
    """

    in_channels: int
    out_channels: int
    widths: tuple[int, ...]
    blocks: int
    attention: tuple[bool, ...]


def ddpm_architecture(shapes: Shapes) -> DDPMArchitecture:
    """Reads the architecture off the tensors.

    Raises:
        InputError: keys that the layout always has are missing.
    """
    levels = _count(shapes, "down.{}.block.0.conv1.weight")
    blocks = _count(shapes, "down.0.block.{}.conv1.weight")
    return DDPMArchitecture(
        axis(shapes, "conv_in.weight", 1, DDPMFamily.name), axis(shapes, "conv_out.weight", 0, DDPMFamily.name),
        tuple(axis(shapes, f"down.{level}.block.0.conv1.weight", 0, DDPMFamily.name) for level in range(levels)), blocks,
        tuple(f"down.{level}.attn.0.q.weight" in shapes for level in range(levels)),
    )


def _count(shapes: Shapes, key: str) -> int:
    """How many keys there are, counted from 0 without a gap; at least one, which is asked for later."""
    return max(1, next(number for number in range(len(shapes) + 1) if key.format(number) not in shapes))


def _body_modules(arch: DDPMArchitecture) -> Iterator[tuple[str, str, str, int, int]]:
    """(name there, name here, kind, channels in, channels out) of the body."""
    width, skips, last = arch.widths[0], [arch.widths[0]], len(arch.widths) - 1
    for level, out in enumerate(arch.widths):
        for j in range(arch.blocks):
            yield f"down.{level}.block.{j}", f"down_blocks.{level}.resnets.{j}", "resnet", width, out
            if arch.attention[level]:
                yield f"down.{level}.attn.{j}", f"down_blocks.{level}.attentions.{j}", "attention", out, out
            width = out
            skips.append(width)
        if level < last:
            yield f"down.{level}.downsample.conv", f"down_blocks.{level}.downsamplers.0.conv", "conv", width, width
            skips.append(width)
    yield "mid.block_1", "mid_block.resnets.0", "resnet", width, width
    yield "mid.attn_1", "mid_block.attentions.0", "attention", width, width
    yield "mid.block_2", "mid_block.resnets.1", "resnet", width, width
    for level in range(last, -1, -1):
        up, out = last - level, arch.widths[level]
        for j in range(arch.blocks + 1):
            yield f"up.{level}.block.{j}", f"up_blocks.{up}.resnets.{j}", "resnet", width + skips.pop(), out
            if arch.attention[level]:
                yield f"up.{level}.attn.{j}", f"up_blocks.{up}.attentions.{j}", "attention", out, out
            width = out
        if level > 0:
            yield f"up.{level}.upsample.conv", f"up_blocks.{up}.upsamplers.0.conv", "conv", width, width


def ddpm_layout(arch: DDPMArchitecture) -> dict[str, tuple[int, ...]]:
    """Every key of a checkpoint of this architecture and its shape."""
    base, emb = arch.widths[0], 4 * arch.widths[0]
    weights = {"temb.dense.0": (emb, base), "temb.dense.1": (emb, emb), "conv_in": (base, arch.in_channels, 3, 3)}
    for name, _, kind, inside, out in _body_modules(arch):
        if kind == "conv":
            weights[name] = (out, inside, 3, 3)
        elif kind == "attention":
            weights |= {f"{name}.norm": (out,)} | {f"{name}.{part}": (out, out, 1, 1) for part in ("q", "k", "v", "proj_out")}
        else:
            weights |= {f"{name}.norm1": (inside,), f"{name}.conv1": (out, inside, 3, 3), f"{name}.temb_proj": (out, emb),
                        f"{name}.norm2": (out,), f"{name}.conv2": (out, out, 3, 3)}
            weights |= {f"{name}.nin_shortcut": (out, inside, 1, 1)} if inside != out else {}
    weights |= {"norm_out": (base,), "conv_out": (arch.out_channels, base, 3, 3)}
    return {f"{name}.{kind}": shape if kind == "weight" else shape[:1]
            for name, shape in weights.items() for kind in ("weight", "bias")}


def ddpm_config(arch: DDPMArchitecture) -> dict[str, Any]:
    """The same network as a diffusers `UNet2DModel`: padded at one side when halved, sines before cosines."""
    return {
        "_class_name": "UNet2DModel", "in_channels": arch.in_channels, "out_channels": arch.out_channels,
        "block_out_channels": list(arch.widths), "layers_per_block": arch.blocks,
        "down_block_types": ["AttnDownBlock2D" if here else "DownBlock2D" for here in arch.attention],
        "up_block_types": ["AttnUpBlock2D" if here else "UpBlock2D" for here in reversed(arch.attention)],
        "attention_head_dim": None, "norm_eps": 1e-6, "norm_num_groups": 32, "downsample_padding": 0,
        "flip_sin_to_cos": False, "freq_shift": 1,
    }


def ddpm_renamed(state: Mapping[str, Tensor], arch: DDPMArchitecture) -> dict[str, Tensor]:
    """The tensors by the names of `UNet2DModel`; 1 x 1 convolutions of attention become matrices."""
    tensors: dict[str, Tensor] = {}
    for kind in ("weight", "bias"):
        tensors |= {f"{new}.{kind}": state[f"{old}.{kind}"] for old, new in OUTER.items()}
        for old, new, what, _, out in _body_modules(arch):
            if what == "conv":
                tensors[f"{new}.{kind}"] = state[f"{old}.{kind}"]
                continue
            for there, here in (ATTENTION if what == "attention" else RESNET).items():
                if f"{old}.{there}.{kind}" in state:
                    value = state[f"{old}.{there}.{kind}"]
                    matrix = what == "attention" and value.ndim == 4
                    tensors[f"{new}.{here}.{kind}"] = value.reshape(out, out) if matrix else value
    return tensors


class DDPMFamily(Family):
    """The family: flat keys, one size."""

    name = "DDPM (SDEdit)"
    signature = ("temb.dense.0.weight", "conv_in.weight", "down.0.block.0.conv1.weight", "mid.block_1.conv1.weight",
                 "up.0.block.0.conv1.weight", "conv_out.weight")
    takes = (*RANGE, *SCHEDULE, "image_size")

    def convert(self, state: dict[str, Tensor], given: Mapping[str, Any]) -> Converted:
        """The network of this state dict; see `Family`."""
        only(given, self.takes, self.name)
        arch = ddpm_architecture({key: tuple(value.shape) for key, value in state.items()})
        compare(state, ddpm_layout(arch), self.name)
        if arch.out_channels not in (arch.in_channels, 2 * arch.in_channels):
            raise InputError(f"this network takes {arch.in_channels} channels and gives {arch.out_channels}: it needs a second "
                             "image beside the noisy one, and a prior takes none")
        multiple, side = 2 ** (len(arch.widths) - 1), self.side(arch, given)
        if side % multiple != 0:
            raise InputError(f"image_size must be a multiple of {multiple}, the halvings of this network, got {side}")
        schedule, said = stated_betas(given)
        made = ddpm_config(arch) | {"sample_size": side}
        return Converted(
            self.name, made, filled_network(made, ddpm_renamed(state, arch), self.name), Epsilon(schedule),
            stated_recipe(arch.in_channels, given, unit_interval=arch.in_channels == 3), arch.in_channels, multiple, (side, side),
            about={"schedule": said, "learned variance": arch.out_channels > arch.in_channels,
                   "attention at levels": [level for level, here in enumerate(arch.attention) if here] or "the middle alone",
                   **assumed(given, image_size=side, schedule="linear", low=0 if arch.in_channels == 3 else None,
                             high=1 if arch.in_channels == 3 else None)},
        )

    def side(self, arch: DDPMArchitecture, given: Mapping[str, Any]) -> int:
        """Pixels a side: stated, or from the one level with attention, which is 16 x 16 in the paper."""
        stated = whole(given, "image_size")
        if stated is not None:
            return stated
        if sum(arch.attention) != 1:
            raise InputError("this network knows one square size, and only attention at one level would tell it; "
                             "give image_size=256 or whatever it was trained at")
        return ATTENDED * 2 ** arch.attention.index(True)


FAMILY = DDPMFamily()
