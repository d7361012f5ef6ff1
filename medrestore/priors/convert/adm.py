"""OpenAI's guided diffusion (ADM): Dhariwal & Nichol, NeurIPS 2021; and what was trained in its layout (FFHQ-10M, DDS)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
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

RESNET = {"in_layers.0": "norm1", "in_layers.2": "conv1", "emb_layers.1": "time_emb_proj", "out_layers.0": "norm2",
          "out_layers.3": "conv2", "skip_connection": "conv_shortcut"}
OUTER = {"time_embed.0": "time_embedding.linear_1", "time_embed.2": "time_embedding.linear_2", "out.0": "conv_norm_out",
         "out.2": "conv_out", "input_blocks.0.0": "conv_in"}


@dataclass(frozen=True)
class Heads:
    """How attention is split, which no tensor tells, and what comes with it in a published network.

    Args:
        name: the network that is published in this shape.
        channels: width of a head, or None where the number is fixed.
        number: of heads at every width, or None where the width is fixed.
        number_up: of heads on the way up, where they are others (`num_heads_upsample`).
        new_order: q, k and v lie one after the other, heads within; else heads first (the older order).
        schedule: of the noise.
        trained_at: pixels a side.
    """

    name: str
    channels: int | None = None
    number: int | None = None
    number_up: int | None = None
    new_order: bool = False
    schedule: str = "linear"
    trained_at: int | None = None

    @property
    def text(self) -> str:
        """How attention is split, for people."""
        if not self.number:
            return f"{self.channels} channels each"
        up = "" if self.number_up in (None, self.number) else f", {self.number_up} on the way up"
        return f"{self.number} at every width{up}"


@dataclass(frozen=True)
class ADMArchitecture:
    """What keys and shapes tell of a network of this family.

    Args:
        in_channels, out_channels: of an image, and of what is predicted (twice that with a learned variance).
        time_channels: sines and cosines of the time.
        widths: channels of the levels, finest first.
        blocks: residual blocks a level on the way down.
        attention: whether a level has it.
        resnet_resampling: residual blocks change the resolution; else a convolution does.
        scale_shift: the time scales and shifts; else it is added.
        classes: of a class-conditional network, or None.
    """

    in_channels: int
    out_channels: int
    time_channels: int
    widths: tuple[int, ...]
    blocks: int
    attention: tuple[bool, ...]
    resnet_resampling: bool = True
    scale_shift: bool = True
    classes: int | None = None

    @property
    def mults(self) -> tuple[float, ...]:
        """The widths in units of the base width."""
        return tuple(width / self.time_channels for width in self.widths)


KNOWN = {  # (base width, widths in its units, blocks, levels with attention): the flags it was published with
    (256, (1, 1, 2, 2, 4, 4), 2, (3, 4, 5)): Heads("ADM 256", channels=64, trained_at=256),
    (256, (0.5, 1, 1, 2, 2, 4, 4), 2, (4, 5, 6)): Heads("ADM 512", channels=64, trained_at=512),
    (256, (1, 1, 2, 3, 4), 2, (2, 3, 4)): Heads("ADM 128", number=4, trained_at=128),
    (192, (1, 2, 3, 4), 3, (1, 2, 3)): Heads("ADM 64", channels=64, new_order=True, schedule="cosine", trained_at=64),
    (128, (1, 1, 2, 2, 4, 4), 1, (4,)): Heads("FFHQ-10M 256", channels=64, trained_at=256),
    (256, (1, 1, 2, 2, 4, 4), 1, ()): Heads("DDS fastMRI 320", channels=64, trained_at=320),
    (256, (1, 1, 2, 2, 4, 4), 1, (4,)): Heads("DDS AAPM CT 256", channels=64, trained_at=256),
}


def adm_architecture(shapes: Shapes) -> ADMArchitecture:
    """Reads the architecture off the tensors.

    Raises:
        InputError: keys that the layout always has are missing.
    """
    outs = count_blocks(shapes, "output_blocks")
    blocks = next((k for k in range(outs) if _raises_resolution(shapes, k)), outs - 1)
    levels = outs // (blocks + 1)
    starts = [1 + level * (blocks + 1) for level in range(levels)]
    widths = tuple(_axis(shapes, f"input_blocks.{k}.0.in_layers.2.weight", 0) for k in starts)
    return ADMArchitecture(
        in_channels=_axis(shapes, "input_blocks.0.0.weight", 1), out_channels=_axis(shapes, "out.2.weight", 0),
        time_channels=_axis(shapes, "time_embed.0.weight", 1), widths=widths, blocks=blocks,
        attention=tuple(f"input_blocks.{k}.1.qkv.weight" in shapes for k in starts),
        resnet_resampling=f"input_blocks.{blocks + 1}.0.op.weight" not in shapes,
        scale_shift=_axis(shapes, "input_blocks.1.0.emb_layers.1.weight", 0) == 2 * widths[0],
        classes=_axis(shapes, "label_emb.weight", 0) if "label_emb.weight" in shapes else None,
    )


def _axis(shapes: Shapes, key: str, index: int) -> int:
    return axis(shapes, key, index, ADM.name)


def count_blocks(shapes: Shapes, name: str) -> int:
    """One more than the largest number of a block; at least one, which is asked for later."""
    numbers = (key.split(".")[1] for key in shapes if key.startswith(f"{name}."))
    return 1 + max((int(number) for number in numbers if number.isascii() and number.isdecimal() and len(number) < 4), default=0)


def _raises_resolution(shapes: Shapes, k: int) -> bool:
    """Whether an output block ends in a module that raises the resolution: only the last block of a level does."""
    return any(f"output_blocks.{k}.{j}.{key}" in shapes for j in (1, 2) for key in ("conv.weight", "in_layers.2.weight"))


@dataclass(frozen=True)
class _Block:
    """A module of the layout: its name there, its name here, its kind, channels in and out."""

    old: str
    new: str
    kind: str  # resnet, attention, conv
    channels: tuple[int, int]


def _body_blocks(arch: ADMArchitecture) -> Iterator[_Block]:
    """The body of the network in the order of the paper's figure: down, middle, up."""
    levels, resampler = len(arch.widths), "resnet" if arch.resnet_resampling else "conv"
    width, k, skips = arch.widths[0], 1, [arch.widths[0]]
    for level, out in enumerate(arch.widths):
        for j in range(arch.blocks):
            yield _Block(f"input_blocks.{k}.0", f"down_blocks.{level}.resnets.{j}", "resnet", (width, out))
            if arch.attention[level]:
                yield _Block(f"input_blocks.{k}.1", f"down_blocks.{level}.attentions.{j}", "attention", (out, out))
            width, k = out, k + 1
            skips.append(width)
        if level < levels - 1:
            old, new = f"input_blocks.{k}.0", f"down_blocks.{level}.downsamplers.0"
            yield _Block(*((old, new) if arch.resnet_resampling else (f"{old}.op", f"{new}.conv")), resampler, (width, width))
            k += 1
            skips.append(width)
    for j, kind in enumerate(("resnet", "attention", "resnet")):
        new = "mid_block.attentions.0" if kind == "attention" else f"mid_block.resnets.{j // 2}"
        yield _Block(f"middle_block.{j}", new, kind, (width, width))
    k = 0
    for up, level in enumerate(reversed(range(levels))):
        for j in range(arch.blocks + 1):
            out, inner = arch.widths[level], 1
            yield _Block(f"output_blocks.{k}.0", f"up_blocks.{up}.resnets.{j}", "resnet", (width + skips.pop(), out))
            if arch.attention[level]:
                yield _Block(f"output_blocks.{k}.1", f"up_blocks.{up}.attentions.{j}", "attention", (out, out))
                inner = 2
            if level > 0 and j == arch.blocks:
                old, new = f"output_blocks.{k}.{inner}", f"up_blocks.{up}.upsamplers.0"
                names = (old, new) if arch.resnet_resampling else (f"{old}.conv", f"{new}.conv")
                yield _Block(*names, resampler, (out, out))
            width, k = out, k + 1


def adm_layout(arch: ADMArchitecture) -> dict[str, tuple[int, ...]]:
    """Every key of a checkpoint of this architecture and its shape."""
    emb, shapes = 4 * arch.time_channels, {}

    def affine(name: str, *weight: int, bias: bool = True) -> None:
        shapes[f"{name}.weight"] = weight
        if bias:
            shapes[f"{name}.bias"] = weight[:1]

    affine("time_embed.0", emb, arch.time_channels)
    affine("time_embed.2", emb, emb)
    if arch.classes is not None:
        affine("label_emb", arch.classes, emb, bias=False)
    affine("input_blocks.0.0", arch.widths[0], arch.in_channels, 3, 3)
    for block in _body_blocks(arch):
        name, (inside, out) = block.old, block.channels
        if block.kind == "conv":
            affine(name, out, inside, 3, 3)
        elif block.kind == "attention":
            affine(f"{name}.norm", out)
            affine(f"{name}.qkv", 3 * out, out, 1)
            affine(f"{name}.proj_out", out, out, 1)
        else:
            affine(f"{name}.in_layers.0", inside)
            affine(f"{name}.in_layers.2", out, inside, 3, 3)
            affine(f"{name}.emb_layers.1", (1 + arch.scale_shift) * out, emb)
            affine(f"{name}.out_layers.0", out)
            affine(f"{name}.out_layers.3", out, out, 3, 3)
            if inside != out:
                affine(f"{name}.skip_connection", out, inside, 1, 1)
    affine("out.0", arch.widths[0])
    affine("out.2", arch.out_channels, arch.widths[0], 3, 3)
    return shapes


def adm_config(arch: ADMArchitecture, heads: Heads) -> dict[str, Any]:
    """The same network as a diffusers `UNet2DModel`."""
    plain = ("ResnetDownsampleBlock2D", "ResnetUpsampleBlock2D") if arch.resnet_resampling else ("DownBlock2D", "UpBlock2D")
    resampling = "resnet" if arch.resnet_resampling else "conv"
    made = {
        "_class_name": "UNet2DModel", "in_channels": arch.in_channels, "out_channels": arch.out_channels,
        "block_out_channels": list(arch.widths), "layers_per_block": arch.blocks,
        "down_block_types": ["AttnDownBlock2D" if here else plain[0] for here in arch.attention],
        "up_block_types": ["AttnUpBlock2D" if here else plain[1] for here in reversed(arch.attention)],
        "downsample_type": resampling, "upsample_type": resampling,
        "resnet_time_scale_shift": "scale_shift" if arch.scale_shift else "default",
        "attention_head_dim": heads.channels, "norm_eps": 1e-5, "norm_num_groups": 32, "attn_norm_num_groups": 32,
        "flip_sin_to_cos": True, "freq_shift": 0, "time_embedding_dim": 4 * arch.time_channels,
        "sample_size": heads.trained_at,
    }
    if heads.number is not None:
        made["num_heads"] = heads.number
    if heads.number_up is not None and heads.number_up != heads.number:
        made["num_heads_upsample"] = heads.number_up
    if arch.time_channels != arch.widths[0]:
        made["time_channels"] = arch.time_channels
    if arch.classes is not None:
        made["num_class_embeds"] = arch.classes
    return made


def adm_renamed(state: Mapping[str, Tensor], arch: ADMArchitecture, heads: Heads, *,
            outer: Mapping[str, str] = OUTER) -> dict[str, Tensor]:
    """The tensors by the names of `UNet2DModel`, q, k and v apart.

    Args:
        outer: the names of what is no block; without those of the way up, no block of it is taken either.
    """
    tensors = {f"{new}.{kind}": state[f"{old}.{kind}"] for old, new in outer.items() for kind in ("weight", "bias")}
    if arch.classes is not None:
        tensors["class_embedding.weight"] = state["label_emb.weight"]
    for block in _body_blocks(arch):
        if block.old.startswith("output_blocks.") and outer is not OUTER:
            continue
        for kind in ("weight", "bias"):
            if block.kind == "conv":
                tensors[f"{block.new}.{kind}"] = state[f"{block.old}.{kind}"]
            elif block.kind == "attention":
                tensors |= _attention_tensors(state, block, heads, kind)
            else:
                tensors |= {f"{block.new}.{new}.{kind}": state[f"{block.old}.{old}.{kind}"]
                            for old, new in RESNET.items() if f"{block.old}.{old}.{kind}" in state}
    return tensors


def _attention_tensors(state: Mapping[str, Tensor], block: _Block, heads: Heads, kind: str) -> dict[str, Tensor]:
    """The older order has q, k and v of one head together: (heads, 3, channels of a head)."""
    together = state[f"{block.old}.qkv.{kind}"].reshape(3 * block.channels[1], -1)
    up = heads.number_up if block.old.startswith("output_blocks.") else None
    number = up or heads.number or block.channels[1] // (heads.channels or block.channels[1])
    apart = together.chunk(3) if heads.new_order else together.unflatten(0, (number, 3, -1)).transpose(0, 1).flatten(1, 2)
    shape = (-1,) if kind == "bias" else (block.channels[1], -1)
    return {
        f"{block.new}.group_norm.{kind}": state[f"{block.old}.norm.{kind}"],
        **{f"{block.new}.to_{name}.{kind}": part.reshape(shape).contiguous() for name, part in zip("qkv", apart, strict=True)},
        f"{block.new}.to_out.0.{kind}": state[f"{block.old}.proj_out.{kind}"].reshape(shape),
    }


class ADM(Family):
    """The family: flat keys, no configuration inside."""

    name = "guided diffusion (ADM)"
    signature = ("time_embed.0.weight", "input_blocks.0.0.weight", "middle_block.0.in_layers.2.weight",
                 "output_blocks.0.0.in_layers.2.weight", "out.2.weight")
    takes = (*RANGE, *SCHEDULE, "num_heads", "num_heads_upsample", "num_head_channels", "new_attention_order", "image_size")

    def convert(self, state: dict[str, Tensor], given: Mapping[str, Any]) -> Converted:
        """The network of this state dict; see `Family`."""
        only(given, self.takes, self.name)
        arch = adm_architecture({key: tuple(value.shape) for key, value in state.items()})
        compare(state, adm_layout(arch), self.name)
        if arch.out_channels not in (arch.in_channels, 2 * arch.in_channels):
            raise InputError(f"this network takes {arch.in_channels} channels and gives {arch.out_channels}: it needs a second "
                             "image beside the noisy one (an upsampler?), and a prior takes none")
        heads = self.heads(arch, given)
        schedule, said = stated_betas(given, heads.schedule)
        made = adm_config(arch, heads)
        return Converted(
            self.name, made, filled_network(made, adm_renamed(state, arch, heads), self.name), Epsilon(schedule),
            stated_recipe(arch.in_channels, given, unit_interval=arch.in_channels == 3), arch.in_channels,
            2 ** (len(arch.widths) - 1),
            about={
                "layout of": heads.name, "schedule": said, "learned variance": arch.out_channels > arch.in_channels,
                "attention at levels": [level for level, here in enumerate(arch.attention) if here] or "the middle alone",
                "heads": heads.text,
                "order of q, k, v": "one after the other" if heads.new_order else "by heads (older)",
                "trained at": whole(given, "image_size") or heads.trained_at or "not stated",
                **_assumed(given, heads, arch),
            },
        )

    def heads(self, arch: ADMArchitecture, given: Mapping[str, Any]) -> Heads:
        """What a user states of attention, else what the network of this shape was published with."""
        number, channels = whole(given, "num_heads"), whole(given, "num_head_channels")
        order = given.get("new_attention_order")
        if order is not None and not isinstance(order, bool):
            raise InputError(f"new_attention_order must be true or false, got {order!r}")
        number_up = whole(given, "num_heads_upsample")
        if number_up is not None and number is None:
            raise InputError("num_heads_upsample needs num_heads beside it, and neither goes with num_head_channels; "
                             "give the flags of its training")
        if number is not None and channels is not None:
            raise InputError("num_heads and num_head_channels exclude each other; give the one of its training flags")
        levels = tuple(level for level, here in enumerate(arch.attention) if here)
        known = KNOWN.get((arch.time_channels, arch.mults, arch.blocks, levels)) if arch.resnet_resampling else None
        if number is None and channels is None:
            if known is None:
                raise InputError(f"no tensor tells how attention is split here (base width {arch.time_channels}, widths "
                                 f"{arch.widths}, {arch.blocks} blocks a level), and it is none of the published ones; give "
                                 "num_heads=4 or num_head_channels=64, as its training flags say")
            number, channels = known.number, known.channels
        split = {arch.widths[level] for level in (*levels, -1)}
        if any(width % parts != 0 for width in split for parts in (number or channels or 1, number_up or 1)):
            raise InputError(f"attention of {', '.join(map(str, sorted(split)))} channels cannot be split into "
                             f"{f'{number} heads' if number else f'heads of {channels}'}; give the flags of its training")
        known = known or Heads("a network of its own")
        return replace(known, channels=channels, number=number, number_up=number_up,
                       new_order=known.new_order if order is None else order)


def _assumed(given: Mapping[str, Any], heads: Heads, arch: ADMArchitecture) -> dict[str, str]:
    """What was taken of the published network of this shape, or of the family's defaults."""
    stated = {*given, *(("num_heads", "num_head_channels") if {"num_heads", "num_head_channels"} & set(given) else ())}
    three = arch.in_channels == 3
    return assumed(
        dict.fromkeys(stated), num_heads=heads.number, num_head_channels=heads.channels,
        num_heads_upsample="as num_heads" if heads.number and not heads.number_up else None,
        new_attention_order=heads.new_order, schedule=heads.schedule, low=0 if three else None, high=1 if three else None,
        quantile=0.99 if arch.in_channels == 2 and not {"low", "high"} & set(given) else None)


FAMILY = ADM()
