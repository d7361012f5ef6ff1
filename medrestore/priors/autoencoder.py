"""The autoencoder with a code book of latent diffusion, as diffusers' `VQModel` arranges and names it, in plain torch."""

from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from .blocks import Doubling, Halving, ResidualBlock, SelfAttention
from .unet import Level, Middle

EPS = 1e-6  # of group normalisation


class CodeBook(nn.Module):
    """The nearest of some codes, for every pixel; gradients pass straight through."""

    def __init__(self, codes: int, channels: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(codes, channels)

    def forward(self, z: Tensor) -> Tensor:
        """Codes like z (batch, channels, height, width)."""
        pixels = z.movedim(1, -1)
        nearest = torch.cdist(pixels.flatten(0, -2), self.embedding.weight).argmin(1)
        return z + (self.embedding(nearest).view(pixels.shape).movedim(-1, 1) - z).detach()


class _Half(nn.Module):
    """The encoder or the decoder: levels of blocks, and a middle with or without attention."""

    def __init__(self, inside: int, out: int, widths: Sequence[int], blocks: int, groups: int, act: str, *,
                 down: bool, attends: bool) -> None:
        super().__init__()
        block = partial(ResidualBlock, embedded=None, groups=groups, eps=EPS, act=act)
        deepest, finest = widths[-1], widths[0]
        here = finest if down else deepest
        self.down = down
        self.conv_in = nn.Conv2d(inside, here, 3, padding=1)
        levels, last = nn.ModuleList(), len(widths) - 1
        if not down:
            self.mid_block = self._middle(deepest, block, groups, attends)
        for i, width in enumerate(widths if down else reversed(widths)):
            pairs = [(block(here if j == 0 else width, width), None) for j in range(blocks)]
            resampler = None if i == last else Halving(width, 0) if down else Doubling(width)
            levels.append(Level(pairs, "downsamplers" if down else "upsamplers", resampler))
            here = width
        self.add_module("down_blocks" if down else "up_blocks", levels)
        if down:
            self.mid_block = self._middle(deepest, block, groups, attends)
        self.levels = [cast("Level", level) for level in levels]
        self.conv_norm_out = nn.GroupNorm(groups, here, eps=EPS)
        self.conv_out = nn.Conv2d(here, out, 3, padding=1)

    @staticmethod
    def _middle(width: int, block: Any, groups: int, attends: bool) -> Middle:
        first = block(width, width)
        between = SelfAttention(width, None, groups=groups, eps=EPS) if attends else None
        return Middle(first, between, block(width, width))

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_in(x)
        if not self.down:
            x = self.mid_block(x)
        for level in self.levels:
            for index in range(len(level.resnets)):
                x = level.step(index, x, None)
            if level.resampled:
                x = level.resample(x, None)
        if self.down:
            x = self.mid_block(x)
        return cast("Tensor", self.conv_out(functional.silu(self.conv_norm_out(x))))


class VQModel(nn.Module):
    """An autoencoder whose codes are quantised by a code book, by the arguments of diffusers' class of this name.

    Raises:
        ValueError: blocks or a normalisation that are not those of the published autoencoders.
    """

    def __init__(
        self, in_channels: int = 3, out_channels: int = 3, down_block_types: Sequence[str] = ("DownEncoderBlock2D",),
        up_block_types: Sequence[str] = ("UpDecoderBlock2D",), block_out_channels: Sequence[int] = (64,),
        layers_per_block: int = 1, act_fn: str = "silu", latent_channels: int = 3, sample_size: int = 32,
        num_vq_embeddings: int = 256, norm_num_groups: int = 32, vq_embed_dim: int | None = None,
        scaling_factor: float = 0.18215, norm_type: str = "group", mid_block_add_attention: bool = True,
        lookup_from_codebook: bool = False, force_upcast: bool = False,
    ) -> None:
        super().__init__()
        given = locals()
        self.config: dict[str, Any] = {name: value for name, value in given.items() if name not in ("self", "__class__")}
        levels = len(block_out_channels)
        if list(down_block_types) != ["DownEncoderBlock2D"] * levels or list(up_block_types) != ["UpDecoderBlock2D"] * levels:
            raise ValueError(f"an autoencoder of {levels} levels has as many blocks DownEncoderBlock2D and UpDecoderBlock2D")
        if norm_type != "group" or lookup_from_codebook or force_upcast:
            raise ValueError("norm_type must be group, without lookup_from_codebook and force_upcast")
        codes = latent_channels if vq_embed_dim is None else vq_embed_dim
        self.config["vq_embed_dim"] = vq_embed_dim
        half = partial(_Half, widths=list(block_out_channels), groups=norm_num_groups, act=act_fn,
                       attends=mid_block_add_attention)
        self.encoder = half(in_channels, latent_channels, blocks=layers_per_block, down=True)
        self.quant_conv = nn.Conv2d(latent_channels, codes, 1)
        self.quantize = CodeBook(num_vq_embeddings, codes)
        self.post_quant_conv = nn.Conv2d(codes, latent_channels, 1)
        self.decoder = half(latent_channels, out_channels, blocks=layers_per_block + 1, down=False)

    def encode(self, image: Tensor) -> Tensor:
        """Codes (batch, vq_embed_dim, h, w) of images (batch, in_channels, height, width), not quantised."""
        return cast("Tensor", self.quant_conv(self.encoder(image)))

    def decode(self, z: Tensor, *, quantise: bool = True) -> Tensor:
        """Images (batch, out_channels, height, width) of codes, quantised first or taken as they are."""
        return cast("Tensor", self.decoder(self.post_quant_conv(self.quantize(z) if quantise else z)))

    def forward(self, image: Tensor) -> Tensor:
        """Images through their quantised codes."""
        return self.decode(self.encode(image))
