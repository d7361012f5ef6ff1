"""The classifiers of noisy images of OpenAI's guided diffusion: Dhariwal & Nichol, NeurIPS 2021, sec. 4.1."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from ...errors import InputError
from ..classes import Classes
from ..parametrisations import Epsilon
from . import adm
from .base import (
    RANGE,
    SCHEDULE,
    Converted,
    Family,
    Shapes,
    axis,
    compare,
    filled_network,
    only,
    stated_betas,
    stated_recipe,
    whole,
)

BODY = {old: new for old, new in adm.OUTER.items() if not old.startswith("out.")} | {"out.0": "conv_norm_out"}
ATTENTION = {"out.2.positional_embedding": "pool.positional_embedding", **{
    f"out.2.{name}.{kind}": f"pool.{name}.{kind}" for name in ("qkv_proj", "c_proj") for kind in ("weight", "bias")}}
MEAN = {f"out.3.{kind}": f"pool.conv.{kind}" for kind in ("weight", "bias")}
HEAD = 64  # channels of a head of the published ones, in their bodies and their pools


def classifier_architecture(shapes: Shapes, blocks: int | None) -> adm.ADMArchitecture:
    """Reads the body of the network off the tensors.

    A block that halves the image looks like any other: what tells it is that only the first block of a level changes the width,
    and that all blocks of a level have attention, or none.

    Args:
        blocks: residual blocks a level, where it is known.

    Raises:
        InputError: keys that the layout always has are missing, or several numbers of levels fit.
    """
    name, count = ADMClassifier.name, adm.count_blocks(shapes, "input_blocks")
    numbers = range(1, count) if blocks is None else [blocks]
    fitting = [found for n in numbers if count % (n + 1) == 0 and (found := _body_of(shapes, count // (n + 1), n)) is not None]
    if not fitting:
        raise InputError(f"its {count} blocks make no levels of {'equal numbers of' if blocks is None else blocks} blocks; take "
                         "the file that the network was published in, or state num_res_blocks as its training flags do")
    if len(fitting) > 1:
        raise InputError(f"the blocks of this {name} may be {' or '.join(str(one.blocks) for one in fitting)} a level; give "
                         "num_res_blocks, as its training flags say")
    return fitting[0]


def _body_of(shapes: Shapes, levels: int, blocks: int) -> adm.ADMArchitecture | None:
    """The body, where it can have these levels and blocks."""
    convolutions = f"input_blocks.{blocks + 1}.0.op.weight" in shapes
    widths, attention = list[int](), list[bool]()
    for level in range(levels):
        start = 1 + level * (blocks + 1)
        inside = [f"input_blocks.{k}" for k in range(start, start + blocks)]
        outs = {shapes.get(f"{block}.0.in_layers.2.weight", (0,))[0] for block in inside}
        attended = {f"{block}.1.qkv.weight" in shapes for block in inside}
        if len(outs) > 1 or len(attended) > 1 or 0 in outs:
            return None
        widths += outs
        attention += attended
        halves = f"input_blocks.{start + blocks}"
        if level < levels - 1:
            own = f"{halves}.0.op.weight" if convolutions else f"{halves}.0.in_layers.2.weight"
            if shapes.get(own, ())[:2] != (widths[-1], widths[-1]) or f"{halves}.1.qkv.weight" in shapes:
                return None
    name = ADMClassifier.name
    return adm.ADMArchitecture(
        in_channels=axis(shapes, "input_blocks.0.0.weight", 1, name), out_channels=1,
        time_channels=axis(shapes, "time_embed.0.weight", 1, name), widths=tuple(widths), blocks=blocks,
        attention=tuple(attention), resnet_resampling=not convolutions,
        scale_shift=axis(shapes, "input_blocks.1.0.emb_layers.1.weight", 0, name) == 2 * widths[0],
    )


def classifier_layout(arch: adm.ADMArchitecture, classes: int, positions: int | None) -> dict[str, tuple[int, ...]]:
    """Every key of a checkpoint and its shape.

    Args:
        positions: of the pool by attention, 1 more than its pixels; None for the mean.
    """
    width = arch.widths[-1]
    shapes = {key: shape for key, shape in adm.adm_layout(arch).items() if not key.startswith(("output_blocks.", "out."))}
    shapes |= {"out.0.weight": (width,), "out.0.bias": (width,)}
    if positions is None:
        return shapes | {"out.3.weight": (classes, width, 1, 1), "out.3.bias": (classes,)}
    return shapes | {"out.2.positional_embedding": (width, positions), "out.2.qkv_proj.weight": (3 * width, width, 1),
                     "out.2.qkv_proj.bias": (3 * width,), "out.2.c_proj.weight": (classes, width, 1),
                     "out.2.c_proj.bias": (classes,)}


class ADMClassifier(Family):
    """The family: the first half of the network of `adm`, and a pool."""

    name = "classifier of guided diffusion"
    signature = ("time_embed.0.weight", "input_blocks.0.0.weight", "middle_block.0.in_layers.2.weight", "out.0.weight")
    takes = (*RANGE, *SCHEDULE, "num_res_blocks", "num_heads", "num_head_channels", "new_attention_order")

    def recognises(self, shapes: Shapes) -> bool:
        """Whether the keys of the first half and of a pool are there, and none of the second half."""
        pooled = "out.2.positional_embedding" in shapes or "out.3.weight" in shapes
        return super().recognises(shapes) and pooled and "output_blocks.0.0.in_layers.2.weight" not in shapes

    def convert(self, state: dict[str, Tensor], given: Mapping[str, Any]) -> Converted:
        """The network of this state dict; see `Family`."""
        only(given, self.takes, self.name)
        shapes = {key: tuple(value.shape) for key, value in state.items()}
        arch = classifier_architecture(shapes, whole(given, "num_res_blocks"))
        attended = "out.2.positional_embedding" in shapes
        positions = axis(shapes, "out.2.positional_embedding", 1, self.name) if attended else None
        classes = axis(shapes, "out.2.c_proj.weight" if attended else "out.3.weight", 0, self.name)
        compare(state, classifier_layout(arch, classes, positions), self.name)
        side = None if positions is None else _side(positions) * 2 ** (len(arch.widths) - 1)
        heads = self._heads(arch, given)
        schedule, said = stated_betas(given)
        made = self._config(arch, heads, classes, side)
        tensors = {new: state[old] for old, new in (ATTENTION if attended else MEAN).items()}
        tensors |= adm.adm_renamed(state, arch, heads, outer=BODY)
        return Converted(
            self.name, made, filled_network(made, tensors, self.name), Epsilon(schedule),
            stated_recipe(arch.in_channels, given, unit_interval=arch.in_channels == 3), arch.in_channels,
            2 ** (len(arch.widths) - 1),
            size=None if side is None else (side, side), classifies=Classes(classes),
            about={"schedule": said, "pool": "attention" if attended else "mean", "heads": heads.text,
                   "residual blocks a level": arch.blocks},
        )

    def _heads(self, arch: adm.ADMArchitecture, given: Mapping[str, Any]) -> adm.Heads:
        if {"num_heads", "num_head_channels"} & set(given):
            return adm.FAMILY.heads(arch, given)
        published = adm.FAMILY.heads(arch, {**given, "num_head_channels": HEAD})
        return replace(published, name="the published classifiers")

    def _config(self, arch: adm.ADMArchitecture, heads: adm.Heads, classes: int, side: int | None) -> dict[str, Any]:
        made = adm.adm_config(arch, heads)
        wrong = ("out_channels", "up_block_types", "upsample_type")
        made = {key: value for key, value in made.items() if key not in wrong}
        head = min(HEAD, arch.widths[-1])
        return made | {"_class_name": "EncoderUNet", "classes": classes, "pool": "mean" if side is None else "attention",
                       "pool_head_dim": heads.channels or head, "sample_size": side}


def _side(positions: int) -> int:
    """The side of the features of a pool with so many positions.

    Raises:
        InputError: they are no square and one more.
    """
    side = math.isqrt(positions - 1)
    if side < 1 or side * side + 1 != positions:
        raise InputError(f"its pool has {positions} positions, which are no square and the mean; take the file that the network "
                         "was published in")
    return side


FAMILY = ADMClassifier()
