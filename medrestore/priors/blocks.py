"""Blocks of U-Nets in plain torch: residual blocks, self-attention, resampling, the embedding of the noise level.

Their tensors have the names that diffusers gives to them, so that weights written by either are read by the other; tests
compare their values with those of diffusers.
"""

import math
from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "silu": nn.SiLU, "swish": nn.SiLU, "mish": nn.Mish, "gelu": nn.GELU, "relu": nn.ReLU,
}
LARGEST = 2**31  # numbers; torch doubles larger images in channels-last memory wrongly
PERIOD = 10_000  # of the slowest sine of the embedding


def activation(name: str) -> nn.Module:
    """A nonlinearity by its name.

    Raises:
        ValueError: an unknown name.
    """
    if name.lower() not in ACTIVATIONS:
        raise ValueError(f"there is no activation {name!r}; known are {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name.lower()]()


def sinusoids(times: Tensor, channels: int, *, cosines_first: bool, shift: float) -> Tensor:
    """(batch, channels): sines and cosines of times (batch,) at `channels // 2` frequencies (Ho et al., NeurIPS 2020)."""
    half = channels // 2
    exponents = -math.log(PERIOD) * torch.arange(half, dtype=torch.float32, device=times.device) / (half - shift)
    angles = times[:, None].float() * exponents.exp()
    parts = (angles.cos(), angles.sin()) if cosines_first else (angles.sin(), angles.cos())
    return functional.pad(torch.cat(parts, 1), (0, channels % 2))


class TimeEmbedding(nn.Module):
    """Two linear layers: (batch, channels) to (batch, embedded)."""

    def __init__(self, channels: int, embedded: int) -> None:
        super().__init__()
        self.linear_1, self.linear_2 = nn.Linear(channels, embedded), nn.Linear(embedded, embedded)

    def forward(self, x: Tensor) -> Tensor:
        return cast("Tensor", self.linear_2(functional.silu(self.linear_1(x))))


class ResidualBlock(nn.Module):
    """Two normalised convolutions beside a shortcut; the embedded noise level comes in between.

    Args:
        inside, out: channels.
        embedded: channels of the embedded noise level; None: there is none.
        groups: of the first normalisation.
        groups_out: of the second; None: as many.
        eps: of both.
        scale_shift: the noise level scales and shifts the normalised features, instead of being added to them.
        resample: halves or doubles both branches; None: they keep their size.
        shortcut: whether a convolution of one pixel leads around; None: where the channels differ.
        divisor: of the sum of the branches.
    """

    def __init__(self, inside: int, out: int, embedded: int | None, *, groups: int, groups_out: int | None = None,
                 eps: float = 1e-6, scale_shift: bool = False, act: str = "silu", dropout: float = 0.0,
                 resample: Callable[[Tensor], Tensor] | None = None, shortcut: bool | None = None,
                 divisor: float = 1.0) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, inside, eps=eps)
        self.conv1 = nn.Conv2d(inside, out, 3, padding=1)
        self.time_emb_proj = None if embedded is None else nn.Linear(embedded, 2 * out if scale_shift else out)
        self.norm2 = nn.GroupNorm(groups if groups_out is None else groups_out, out, eps=eps)
        self.dropout = nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1)
        self.act = activation(act)
        around = inside != out if shortcut is None else shortcut
        self.conv_shortcut = nn.Conv2d(inside, out, 1) if around else None
        self.resample, self.scale_shift, self.divisor = resample, scale_shift, divisor

    def forward(self, x: Tensor, time: Tensor | None = None) -> Tensor:
        """(batch, out, h, w) of features (batch, inside, h, w) and the embedded noise level (batch, embedded)."""
        h = self.act(self.norm1(x))
        if self.resample is not None:
            x, h = self.resample(x), self.resample(h)
        h = self.conv1(h)
        level = None
        if self.time_emb_proj is not None and time is not None:
            level = self.time_emb_proj(self.act(time))[:, :, None, None]
        if self.scale_shift and level is not None:
            scale, shift = level.chunk(2, dim=1)
            h = self.norm2(h) * (1 + scale) + shift
        else:
            h = self.norm2(h if level is None else h + level)
        h = self.conv2(self.dropout(self.act(h)))
        if self.conv_shortcut is not None:
            x = self.conv_shortcut(x)
        return x + h if self.divisor == 1 else (x + h) / self.divisor


class SelfAttention(nn.Module):
    """Attention of every pixel to every pixel, beside a shortcut.

    Args:
        channels: of the features.
        head: channels of a head; None: one head of all.
        groups: of the normalisation; None: there is none.
        divisor: of the sum of the branches.
    """

    def __init__(self, channels: int, head: int | None, *, groups: int | None, eps: float = 1e-5,
                 divisor: float = 1.0) -> None:
        super().__init__()
        head = channels if head is None else head
        self.heads, self.divisor = channels // head, divisor
        inner = self.heads * head
        self.group_norm = None if groups is None else nn.GroupNorm(groups, channels, eps=eps)
        self.to_q, self.to_k, self.to_v = (nn.Linear(channels, inner) for _ in range(3))
        self.to_out = nn.ModuleList([nn.Linear(inner, channels)])

    def split_into(self, heads: int) -> None:
        """Splits the channels into another number of heads.

        Raises:
            ValueError: a number that does not divide them.
        """
        if self.to_q.out_features % heads != 0:
            raise ValueError(f"an attention of {self.to_q.out_features} channels cannot have {heads} heads")
        self.heads = heads

    def forward(self, x: Tensor) -> Tensor:
        """(batch, channels, h, w) of features of that shape."""
        h = x if self.group_norm is None else self.group_norm(x.flatten(2)).unflatten(2, x.shape[2:])
        h = h.flatten(2).transpose(1, 2)
        q, k, v = (layer(h).unflatten(2, (self.heads, -1)).transpose(1, 2) for layer in (self.to_q, self.to_k, self.to_v))
        h = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        h = self.to_out[0](h).transpose(1, 2).reshape(x.shape) + x
        return h if self.divisor == 1 else h / self.divisor


def averaged(x: Tensor) -> Tensor:
    """An image of half the height and width, by means of 2 x 2 pixels."""
    return functional.avg_pool2d(x, 2)


def repeated(x: Tensor) -> Tensor:
    """An image of twice the height and width, every pixel four times."""
    if 4 * x.numel() >= LARGEST:
        x = x.contiguous()
    return functional.interpolate(x, scale_factor=2.0, mode="nearest")


class Halving(nn.Module):
    """A 3 x 3 convolution at every second pixel.

    Args:
        channels: in and out.
        padding: rows and columns of zeros on all sides; 0: one at the end of each axis.
    """

    def __init__(self, channels: int, padding: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=padding)
        self.padding = padding

    def forward(self, x: Tensor) -> Tensor:
        return cast("Tensor", self.conv(x if self.padding else functional.pad(x, (0, 1, 0, 1))))


class Doubling(nn.Module):
    """Every pixel four times, then a 3 x 3 convolution of as many channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return cast("Tensor", self.conv(repeated(x)))
