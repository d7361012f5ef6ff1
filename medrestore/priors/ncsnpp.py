"""NCSN++, the score network of Song et al., ICLR 2021 (app. H), as trained with the variance-exploding SDE at high resolution."""

import math
from collections.abc import Iterable, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from .blocks import ResidualBlock, SelfAttention
from .resampling import Halved, doubled, halved

EPS = 1e-6  # of group normalisation
HALVING = 2**0.5  # a sum of two branches is divided by it, so that its variance stays


def groups(channels: int) -> int:
    """Of the normalisation: at most 32, of at least four channels each."""
    return max(min(channels // 4, 32), 1)


def _residual_block(inside: int, out: int, embedded: int, halving: float, *, up: bool = False, down: bool = False) -> nn.Module:
    """A residual block of BigGAN, which resamples, if it does, in both branches."""
    return ResidualBlock(inside, out, embedded, groups=groups(inside), groups_out=groups(out), eps=EPS,
                         resample=doubled if up else halved if down else None,
                         shortcut=inside != out or up or down, divisor=halving)


def _self_attention(channels: int, halving: float) -> nn.Module:
    """Self-attention of one head over all pixels."""
    return SelfAttention(channels, None, groups=groups(channels), eps=EPS, divisor=halving)


class _Level(nn.Module):
    """The modules of one resolution, on the way down or up; of the single ones those that the network needs there."""

    resample: nn.Module
    see: nn.Module
    norm: nn.Module
    show: nn.Module

    def __init__(self, blocks: Sequence[nn.Module], attentions: Sequence[nn.Module], **others: nn.Module) -> None:
        super().__init__()
        self.blocks, self.attentions = nn.ModuleList(blocks), nn.ModuleList(attentions)
        for name, module in others.items():
            self.add_module(name, module)


class NCSNpp(nn.Module):
    """Estimates the score of x = x0 + sigma n; the input is passed to every resolution apart from the features.

    Args:
        channels: of an image.
        width: channels of the finest level.
        mults: channels of the levels in units of `width`, finest first.
        blocks: residual blocks of a level on the way down; one more on the way up.
        attention: whether a level has attention; the middle always has.
        progressive_input: the input is handed down by convolutions and joined with the features ("residual"), or filtered down
            as an image and added to them ("input_skip").
        progressive: the output is made of the finest features ("none"), or every resolution adds to it ("output_skip").
        centred: images come in [-1, 1]; else in [0, 1], and the network centres them.
        skip_rescale: every sum of two branches is divided by sqrt(2).
        scale_by_sigma: what the last layer gives is divided by the noise level.

    Raises:
        ValueError: other words for `progressive` and `progressive_input`.
    """

    frequencies: Tensor

    def __init__(self, channels: int = 1, width: int = 128, mults: Sequence[int] = (1, 2, 2, 2), blocks: int = 4,
                 attention: Sequence[bool] = (False, False, False, False), progressive_input: str = "residual",
                 progressive: str = "none", centred: bool = False,
                 skip_rescale: bool = True, scale_by_sigma: bool = True) -> None:
        super().__init__()
        if progressive_input not in ("residual", "input_skip") or progressive not in ("none", "output_skip"):
            raise ValueError(f"no NCSN++ has progressive_input {progressive_input!r} and progressive {progressive!r}")
        self.scale_by_sigma, halving = scale_by_sigma, HALVING if skip_rescale else 1.0
        self.halving = halving
        self.centred, self.residual, self.shows = centred, progressive_input == "residual", progressive == "output_skip"
        embedded, widths, here, skips = 4 * width, [width * mult for mult in mults], width, [width]
        last = len(widths) - 1
        self.register_buffer("frequencies", torch.empty(width))  # drawn once, before training
        self.embed = nn.Sequential(nn.Linear(2 * width, embedded), nn.SiLU(), nn.Linear(embedded, embedded))
        self.first = nn.Conv2d(channels, width, 3, padding=1)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        for i, out in enumerate(widths):
            made = [_residual_block(here if j == 0 else out, out, embedded, halving) for j in range(blocks)]
            see = Halved(channels if i == 0 else here, out) if self.residual else nn.Conv2d(channels, out, 1)
            coarser = {"resample": _residual_block(out, out, embedded, halving, down=True), "see": see} if i < last else {}
            self.down.append(_Level(made, [_self_attention(out, halving) for _ in made if attention[i]], **coarser))
            skips += [out] * (blocks + (i < last))
            here = out
        self.middle = nn.ModuleList([_residual_block(here, here, embedded, halving), _self_attention(here, halving),
                                     _residual_block(here, here, embedded, halving)])
        for i, out in reversed(list(enumerate(widths))):
            made = []
            for _ in range(blocks + 1):
                made.append(_residual_block(here + skips.pop(), out, embedded, halving))
                here = out
            others = {"resample": _residual_block(out, out, embedded, halving, up=True)} if i > 0 else {}
            if self.shows or i == 0:
                others |= {"norm": nn.GroupNorm(groups(out), out, eps=EPS), "show": nn.Conv2d(out, channels, 3, padding=1)}
            self.up.append(_Level(made, [_self_attention(out, halving)] if attention[i] else [], **others))

    def forward(self, x: Tensor, sigma: Tensor) -> Tensor:
        """The score, shaped like `x` (batch, channels, height, width); `sigma` (batch,) is the std of the noise in `x`."""
        angles = 2 * math.pi * sigma.log()[:, None] * self.frequencies
        time = self.embed(torch.cat([angles.sin(), angles.cos()], 1))
        image = x if self.centred else 2 * x - 1
        h = self.first(image)
        skips = [h]
        for level in cast("Iterable[_Level]", self.down):
            for j, block in enumerate(level.blocks):
                h = block(h, time)
                h = level.attentions[j](h) if level.attentions else h
                skips.append(h)
            if hasattr(level, "resample"):
                h = level.resample(h, time)
                if self.residual:
                    h = image = (level.see(image) + h) / self.halving
                else:
                    image = halved(image)
                    h = h + level.see(image)
                skips.append(h)
        first, attention, second = self.middle
        h = second(attention(first(h, time)), time)
        total: Tensor | None = None
        for level in cast("Iterable[_Level]", self.up):
            for block in level.blocks:
                h = block(torch.cat([h, skips.pop()], 1), time)
            h = level.attentions[0](h) if level.attentions else h
            if hasattr(level, "show"):
                here = level.show(nn.functional.silu(level.norm(h)))
                total = here if total is None else doubled(total) + here
            if hasattr(level, "resample"):
                h = level.resample(h, time)
        assert total is not None  # the finest level always shows
        return total / sigma[:, None, None, None] if self.scale_by_sigma else total
