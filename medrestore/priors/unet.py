"""The U-Net of DDPM, guided diffusion and EDM as diffusers' `UNet2DModel` arranges and names it, in plain torch.

Importing diffusers takes longer than a small reconstruction does; its weights and configurations are read as they are.
"""

import inspect
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from .blocks import Doubling, Halving, ResidualBlock, SelfAttention, TimeEmbedding, averaged, repeated, sinusoids

DOWN = ("DownBlock2D", "AttnDownBlock2D", "ResnetDownsampleBlock2D")
UP = ("UpBlock2D", "AttnUpBlock2D", "ResnetUpsampleBlock2D")


class Level(nn.Module):
    """The blocks of one resolution, each followed by attention where there is any, and the way to the next resolution."""

    attentions: nn.ModuleList
    resnets: nn.ModuleList

    def __init__(self, blocks: Sequence[tuple[nn.Module, nn.Module | None]], name: str, resampler: nn.Module | None) -> None:
        super().__init__()
        attentions = [attention for _, attention in blocks if attention is not None]
        if attentions:
            self.attentions = nn.ModuleList(attentions)
        self.resnets = nn.ModuleList([block for block, _ in blocks])
        self.attends, self.resampled = bool(attentions), name if resampler is not None else None
        if resampler is not None:
            self.add_module(name, nn.ModuleList([resampler]))

    def step(self, index: int, x: Tensor, time: Tensor | None) -> Tensor:
        """The features after a block and its attention."""
        x = self.resnets[index](x, time)
        return self.attentions[index](x) if self.attends else x

    def resample(self, x: Tensor, time: Tensor | None) -> Tensor:
        """The features at the next resolution."""
        assert self.resampled is not None
        module = cast("nn.ModuleList", self.get_submodule(self.resampled))[0]
        return cast("Tensor", module(x, time) if isinstance(module, ResidualBlock) else module(x))


class Middle(nn.Module):
    """Two residual blocks, with attention in between where `head` is not 0."""

    def __init__(self, first: nn.Module, attention: nn.Module | None, second: nn.Module) -> None:
        super().__init__()
        self.attentions = nn.ModuleList([] if attention is None else [attention])
        self.resnets = nn.ModuleList([first, second])

    def forward(self, x: Tensor, time: Tensor | None = None) -> Tensor:
        x = self.resnets[0](x, time)
        for attention in self.attentions:
            x = attention(x)
        return cast("Tensor", self.resnets[1](x, time))


class UNet2DModel(nn.Module):
    """A network (x, t) to a tensor like x, by the arguments of diffusers' class of this name.

    Time embeddings other than sines and cosines, embedded classes other than by their number, and blocks other than
    `DOWN` and `UP` are refused.

    Args:
        sample_size: what it was trained at; any multiple of 2 to the number of halvings is taken.
        center_input_sample: images come in [0, 1] and are centred first.
        time_embedding_dim: 4 times the first width where it is None.
        time_channels: the number of sines and cosines of the time, where that is not the width of the first level.
        num_heads: of every attention, whatever its width; `num_heads_upsample` of those on the way up. None: heads of
            `attention_head_dim` channels.

    Raises:
        ValueError: blocks, embeddings or numbers that do not fit each other.
    """

    def __init__(
        self, sample_size: int | Sequence[int] | None = None, in_channels: int = 3, out_channels: int = 3,
        center_input_sample: bool = False, time_embedding_type: str = "positional", time_embedding_dim: int | None = None,
        freq_shift: int = 0, flip_sin_to_cos: bool = True,
        down_block_types: Sequence[str] = ("DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"),
        mid_block_type: str | None = "UNetMidBlock2D",
        up_block_types: Sequence[str] = ("AttnUpBlock2D", "AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
        block_out_channels: Sequence[int] = (224, 448, 672, 896), layers_per_block: int = 2, mid_block_scale_factor: float = 1,
        downsample_padding: int = 1, downsample_type: str = "conv", upsample_type: str = "conv", dropout: float = 0.0,
        act_fn: str = "silu", attention_head_dim: int | None = 8, norm_num_groups: int = 32,
        attn_norm_num_groups: int | None = None, norm_eps: float = 1e-5, resnet_time_scale_shift: str = "default",
        add_attention: bool = True, class_embed_type: str | None = None, num_class_embeds: int | None = None,
        num_train_timesteps: int | None = None, *, time_channels: int | None = None, num_heads: int | None = None,
        num_heads_upsample: int | None = None,
    ) -> None:
        super().__init__()
        given = locals()
        self.config: dict[str, Any] = {name: given[name] for name in ARGUMENTS
                                       if name not in OWN or given[name] is not None}
        _check_config(self.config)
        widths, embedded = list(block_out_channels), time_embedding_dim or 4 * block_out_channels[0]
        self.time_channels, self.checkpointing = time_channels or widths[0], False
        block = partial(ResidualBlock, embedded=embedded, groups=norm_num_groups, eps=norm_eps, act=act_fn, dropout=dropout,
                        scale_shift=resnet_time_scale_shift == "scale_shift")
        attention = partial(SelfAttention, head=attention_head_dim, eps=norm_eps)

        def pair(inside: int, out: int, kind: str) -> tuple[nn.Module, nn.Module | None]:
            made = block(inside, out)
            return made, attention(out, groups=norm_num_groups) if kind.startswith("Attn") else None

        def down(kind: str, channels: int) -> nn.Module | None:
            if kind.startswith("Resnet") or (kind.startswith("Attn") and downsample_type == "resnet"):
                return block(channels, channels, resample=averaged)
            return Halving(channels, downsample_padding)

        def up(kind: str, channels: int) -> nn.Module | None:
            if kind.startswith("Resnet") or (kind.startswith("Attn") and upsample_type == "resnet"):
                return block(channels, channels, resample=repeated)
            return Doubling(channels)

        self.conv_in = nn.Conv2d(in_channels, widths[0], 3, padding=1)
        self.time_embedding = TimeEmbedding(self.time_channels, embedded)
        self.class_embedding = None if num_class_embeds is None else nn.Embedding(num_class_embeds, embedded)
        self.down_blocks, self.up_blocks = nn.ModuleList(), nn.ModuleList()
        last, here = len(widths) - 1, widths[0]
        for i, (kind, out) in enumerate(zip(down_block_types, widths, strict=True)):
            pairs = [pair(here if j == 0 else out, out, kind) for j in range(layers_per_block)]
            self.down_blocks.append(Level(pairs, "downsamplers", down(kind, out) if i < last else None))
            here = out
        self.mid_block: Middle | None = None
        if mid_block_type is not None:
            groups = attn_norm_num_groups
            if groups is None and resnet_time_scale_shift == "default":
                groups = norm_num_groups
            middle = partial(block, here, here, divisor=mid_block_scale_factor)
            first = middle()
            between = attention(here, groups=groups, divisor=mid_block_scale_factor) if add_attention else None
            self.mid_block = Middle(first, between, middle())
        for i, (kind, out) in enumerate(zip(up_block_types, reversed(widths), strict=True)):
            skip = widths[max(last - i - 1, 0)]  # of the last block, which joins the features of the level below in width
            pairs = [pair((here if j == 0 else out) + (skip if j == layers_per_block else out), out, kind)
                     for j in range(layers_per_block + 1)]
            self.up_blocks.append(Level(pairs, "upsamplers", up(kind, out) if i < last else None))
            here = out
        self.conv_norm_out = nn.GroupNorm(norm_num_groups, widths[0], eps=norm_eps)
        self.conv_out = nn.Conv2d(widths[0], out_channels, 3, padding=1)
        self._split(num_heads, num_heads if num_heads_upsample is None else num_heads_upsample)

    def _split(self, heads: int | None, heads_up: int | None) -> None:
        for name, module in self.named_modules():
            number = heads_up if name.startswith("up_blocks.") else heads
            if isinstance(module, SelfAttention) and number is not None:
                module.split_into(number)

    def enable_gradient_checkpointing(self) -> None:
        """Computes the features of each block again when gradients need them, instead of keeping them."""
        self.checkpointing = True

    def forward(self, x: Tensor, t: Tensor | float, class_labels: Tensor | None = None) -> Tensor:
        """The output (batch, out_channels, height, width) for images (batch, in_channels, height, width) at times t.

        Args:
            t: (batch,), or one for all.
            class_labels: (batch,), for a network of classes.

        Raises:
            ValueError: classes for a network of none, or none for one of classes.
        """
        time = self.embedded(torch.as_tensor(t, device=x.device).expand(len(x)), class_labels)
        x, skips = self.encoded(x, time)
        for level in cast("Iterable[Level]", self.up_blocks):
            for index in range(len(level.resnets)):
                x = self._run(level.step, index, torch.cat([x, skips.pop()], 1), time)
            if level.resampled:
                x = level.resample(x, time)
        return cast("Tensor", self.conv_out(functional.silu(self.conv_norm_out(x))))

    def encoded(self, x: Tensor, time: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The features of the middle, and those of every block on the way down, for images and their embedded times."""
        if self.config["center_input_sample"]:
            x = 2 * x - 1
        x = self.conv_in(x)
        skips = [x]
        for level in cast("Iterable[Level]", self.down_blocks):
            for index in range(len(level.resnets)):
                x = self._run(level.step, index, x, time)
                skips.append(x)
            if level.resampled:
                x = level.resample(x, time)
                skips.append(x)
        if self.mid_block is not None:
            x = self._run(self.mid_block, x, time)
        return x, skips

    def _run(self, step: Any, *inputs: Any) -> Tensor:
        if self.checkpointing and torch.is_grad_enabled():
            return cast("Tensor", checkpoint(step, *inputs, use_reentrant=False))
        return cast("Tensor", step(*inputs))

    def embedded(self, t: Tensor, class_labels: Tensor | None = None) -> Tensor:
        """The embedded times (batch, channels), with the classes where the network has some."""
        waves = sinusoids(t, self.time_channels, cosines_first=self.config["flip_sin_to_cos"], shift=self.config["freq_shift"])
        time: Tensor = self.time_embedding(waves.to(self.conv_in.weight.dtype))
        if (self.class_embedding is None) != (class_labels is None):
            raise ValueError("class_labels are for networks of classes, which need them")
        return time if self.class_embedding is None else time + self.class_embedding(class_labels).to(time.dtype)


OWN = ("time_channels", "num_heads", "num_heads_upsample")  # arguments that diffusers' class does not have
ARGUMENTS = tuple(inspect.signature(UNet2DModel).parameters)


def _check_config(config: dict[str, Any]) -> None:
    """Refuses what the network cannot be, in the words of its arguments."""
    for key, known in (("down_block_types", DOWN), ("up_block_types", UP)):
        kinds = config[key]
        if len(kinds) != len(config["block_out_channels"]):
            raise ValueError(f"{key} are {len(kinds)} and block_out_channels {len(config['block_out_channels'])}; "
                             "a level has one of each")
        if unknown := [kind for kind in kinds if kind not in known]:
            raise ValueError(f"there are no blocks {unknown[0]!r} here; known are {', '.join(known)}")
    if config["time_embedding_type"] != "positional" or config["class_embed_type"] is not None:
        raise ValueError("times are embedded as positional, classes by their number (num_class_embeds)")
    for key, choices in (("downsample_type", ("conv", "resnet")), ("upsample_type", ("conv", "resnet")),
                         ("resnet_time_scale_shift", ("default", "scale_shift"))):
        if config[key] not in choices:
            raise ValueError(f"{key} must be {' or '.join(choices)}, got {config[key]!r}")
