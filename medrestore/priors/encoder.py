"""The first half of a U-Net with a pool at its end, for classes of noisy images: Dhariwal & Nichol, NeurIPS 2021, sec. 4.1."""

from collections.abc import Sequence
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from .unet import UNet2DModel


class AttentionPool(nn.Module):
    """Attention of the mean of all positions over them and itself (Radford et al., CLIP, ICML 2021), and a linear layer.

    Args:
        side: of the features, pixels: each position has an embedding of its own.
        channels: of the features.
        head: channels of a head.
        out: numbers that are given.
    """

    def __init__(self, side: int, channels: int, head: int, out: int) -> None:
        super().__init__()
        if channels % head:
            raise ValueError(f"the {channels} channels of the pool cannot be split into heads of {head}")
        self.side, self.heads = side, channels // head
        self.positional_embedding = nn.Parameter(torch.zeros(channels, side**2 + 1))
        self.qkv_proj = nn.Conv1d(channels, 3 * channels, 1)
        self.c_proj = nn.Conv1d(channels, out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, out) of features (batch, channels, side, side)."""
        x = x.flatten(2)
        x = torch.cat([x.mean(2, keepdim=True), x], 2) + self.positional_embedding
        q, k, v = self.qkv_proj(x).unflatten(1, (3, self.heads, -1)).transpose(3, 4).unbind(1)
        first = functional.scaled_dot_product_attention(q[:, :, :1], k, v)  # that of the mean is all that is asked for
        return cast("Tensor", self.c_proj(first.transpose(2, 3).flatten(1, 2))[:, :, 0])


class MeanPool(nn.Module):
    """The mean over all positions, and a linear layer: features of any size."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, out) of features (batch, channels, height, width)."""
        return cast("Tensor", self.conv(x.mean((2, 3), keepdim=True))[:, :, 0, 0])


class EncoderUNet(UNet2DModel):
    """A network (x, t) to (batch, classes) logits: a `UNet2DModel` up to its middle, a normalisation and a pool.

    Args:
        classes: how many numbers are given.
        pool: attention, for images of `sample_size` alone, or mean, for images of any size.
        pool_head_dim: channels of a head of the attention of the pool.
        arguments: as of `UNet2DModel`, those of the way up and of the output left out.

    Raises:
        ValueError: blocks, embeddings or numbers that do not fit each other.
    """

    def __init__(self, classes: int, pool: Literal["attention", "mean"] = "mean", pool_head_dim: int = 64,
                 **arguments: Any) -> None:
        wrong = {"out_channels", "up_block_types", "upsample_type", "num_class_embeds", "num_heads_upsample"} & arguments.keys()
        if wrong:
            raise ValueError(f"an encoder has no {', '.join(sorted(wrong))}; leave it out")
        downs: Sequence[str] = arguments.get("down_block_types", ("DownBlock2D",) * 4)
        super().__init__(**{"down_block_types": downs, **arguments}, out_channels=1, up_block_types=["UpBlock2D"] * len(downs))
        if type(classes) is not int or classes < 2:
            raise ValueError(f"classes must be a whole number of at least 2, got {classes!r}")
        widths, side = self.config["block_out_channels"], self.config["sample_size"]
        del self.up_blocks, self.conv_out
        self.conv_norm_out = nn.GroupNorm(self.config["norm_num_groups"], widths[-1], eps=self.config["norm_eps"])
        if pool not in ("attention", "mean"):
            raise ValueError(f"pool must be attention or mean, got {pool!r}")
        if pool == "attention" and (type(side) is not int or side % 2 ** (len(widths) - 1)):
            raise ValueError(f"a pool by attention needs sample_size, the side of the images, a multiple of "
                             f"{2 ** (len(widths) - 1)}, got {side!r}")
        self.pool = (MeanPool(widths[-1], classes) if pool == "mean"
                     else AttentionPool(side // 2 ** (len(widths) - 1), widths[-1], pool_head_dim, classes))
        own = {"out_channels", "up_block_types", "upsample_type", "num_class_embeds"}
        self.config = {name: value for name, value in self.config.items() if name not in own}
        self.config |= {"classes": classes, "pool": pool, "pool_head_dim": pool_head_dim}

    def forward(self, x: Tensor, t: Tensor | float, class_labels: Tensor | None = None) -> Tensor:
        """(batch, classes) logits of images (batch, in_channels, height, width) at times t, (batch,) or one for all.

        Raises:
            ValueError: classes are given, which are what is asked for.
        """
        if class_labels is not None:
            raise ValueError("class_labels are what this network tells; leave them out")
        x, _ = self.encoded(x, self.embedded(torch.as_tensor(t, device=x.device).expand(len(x))))
        return cast("Tensor", self.pool(functional.silu(self.conv_norm_out(x))))
