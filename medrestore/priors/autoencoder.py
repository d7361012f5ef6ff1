"""The autoencoders of latent diffusion (Rombach et al., CVPR 2022, sec. 3.1), in plain torch.

`VQModel` quantises its codes by a code book, `AutoencoderKL` keeps them near a normal distribution; both as diffusers
arranges and names the classes of these names.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from .blocks import Doubling, Halving, ResidualBlock, SelfAttention
from .unet import Level, Middle

EPS = 1e-6  # of group normalisation
COMMITMENT = 0.25  # weight of the codes following their entries, beside entries following codes (van den Oord et al., 2017)
LOG_VARIANCE = (-30.0, 20.0)  # of a code, beyond which it is cut off, as in the published network


class CodeBook(nn.Module):
    """The nearest of some codes, for every pixel; gradients pass straight through to z."""

    def __init__(self, codes: int, channels: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(codes, channels)

    def forward(self, z: Tensor) -> Tensor:
        """Codes like z (batch, channels, height, width)."""
        return z + (self.entries(z) - z).detach()

    def entries(self, z: Tensor) -> Tensor:
        """The nearest entries, like z (batch, channels, height, width), with gradients to the book."""
        pixels = z.movedim(1, -1)
        nearest = torch.cdist(pixels.flatten(0, -2), self.embedding.weight).argmin(1)
        return cast("Tensor", self.embedding(nearest).view(pixels.shape).movedim(-1, 1))


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


class Autoencoder(nn.Module, ABC):
    """Images to codes of 1 / `factor` of their height and width, and back.

    Attributes:
        config: the arguments that it was made with.
    """

    config: dict[str, Any]

    @property
    def factor(self) -> int:
        """How many times larger an image is than its code, along each axis."""
        return int(2 ** (len(self.config["block_out_channels"]) - 1))

    @property
    @abstractmethod
    def code_channels(self) -> int:
        """Of a code."""

    @abstractmethod
    def encode(self, image: Tensor) -> Tensor:
        """Codes (batch, code_channels, h, w) of images (batch, in_channels, height, width)."""

    @abstractmethod
    def decode(self, z: Tensor, *, quantise: bool = True) -> Tensor:
        """Images (batch, out_channels, height, width) of codes.

        Args:
            quantise: by the code book first, where there is one.
        """

    @abstractmethod
    def reconstruct(self, image: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Images by way of their codes, and how far the codes are from what they are to be, a scalar to learn from.

        Args:
            noise: white, shaped like the codes, for codes that are drawn.
        """


def _check_blocks(down: Sequence[str], up: Sequence[str], levels: int) -> None:
    if list(down) != ["DownEncoderBlock2D"] * levels or list(up) != ["UpDecoderBlock2D"] * levels:
        raise ValueError(f"an autoencoder of {levels} levels has as many blocks DownEncoderBlock2D and UpDecoderBlock2D")


def _without_self(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name not in ("self", "__class__")}


class VQModel(Autoencoder):
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
        self.config = _without_self(locals())
        _check_blocks(down_block_types, up_block_types, len(block_out_channels))
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

    @property
    def code_channels(self) -> int:
        return int(self.config["latent_channels"] if self.config["vq_embed_dim"] is None else self.config["vq_embed_dim"])

    def encode(self, image: Tensor) -> Tensor:
        """Codes (batch, code_channels, h, w) of images (batch, in_channels, height, width), not quantised."""
        return cast("Tensor", self.quant_conv(self.encoder(image)))

    def decode(self, z: Tensor, *, quantise: bool = True) -> Tensor:
        """Images (batch, out_channels, height, width) of codes, quantised first or taken as they are."""
        return cast("Tensor", self.decoder(self.post_quant_conv(self.quantize(z) if quantise else z)))

    def reconstruct(self, image: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """See `Autoencoder`; the distance of codes and their entries (van den Oord et al., NeurIPS 2017, eq. 3), no draws."""
        z = self.encode(image)
        entries = self.quantize.entries(z)
        apart = (entries - z.detach()).square().mean() + COMMITMENT * (entries.detach() - z).square().mean()
        return self.decode(z + (entries - z).detach(), quantise=False), apart

    def forward(self, image: Tensor) -> Tensor:
        """Images through their quantised codes."""
        return self.decode(self.encode(image))


class AutoencoderKL(Autoencoder):
    """An autoencoder whose codes are drawn from normal distributions, by the arguments of diffusers' class of this name.

    Raises:
        ValueError: blocks or settings that are not those of the published autoencoders.
    """

    def __init__(
        self, in_channels: int = 3, out_channels: int = 3, down_block_types: Sequence[str] = ("DownEncoderBlock2D",),
        up_block_types: Sequence[str] = ("UpDecoderBlock2D",), block_out_channels: Sequence[int] = (64,),
        layers_per_block: int = 1, act_fn: str = "silu", latent_channels: int = 4, norm_num_groups: int = 32,
        sample_size: int = 32, scaling_factor: float = 0.18215, shift_factor: float | None = None,
        latents_mean: Sequence[float] | None = None, latents_std: Sequence[float] | None = None, force_upcast: bool = True,
        use_quant_conv: bool = True, use_post_quant_conv: bool = True, mid_block_add_attention: bool = True,
    ) -> None:
        super().__init__()
        self.config = _without_self(locals())
        _check_blocks(down_block_types, up_block_types, len(block_out_channels))
        moved = any(one is not None for one in (shift_factor, latents_mean, latents_std))
        if not (use_quant_conv and use_post_quant_conv) or moved:
            raise ValueError("use_quant_conv and use_post_quant_conv must be true, without shift_factor, latents_mean and "
                             "latents_std")
        half = partial(_Half, widths=list(block_out_channels), groups=norm_num_groups, act=act_fn,
                       attends=mid_block_add_attention)
        self.encoder = half(in_channels, 2 * latent_channels, blocks=layers_per_block, down=True)
        self.quant_conv = nn.Conv2d(2 * latent_channels, 2 * latent_channels, 1)
        self.post_quant_conv = nn.Conv2d(latent_channels, latent_channels, 1)
        self.decoder = half(latent_channels, out_channels, blocks=layers_per_block + 1, down=False)

    @property
    def code_channels(self) -> int:
        return int(self.config["latent_channels"])

    def moments(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of the codes of images, each (batch, latent_channels, h, w)."""
        mean, log_variance = self.quant_conv(self.encoder(image)).chunk(2, 1)
        return mean, log_variance.clamp(*LOG_VARIANCE)

    def encode(self, image: Tensor) -> Tensor:
        """The mean of the codes (batch, latent_channels, h, w) of images (batch, in_channels, height, width)."""
        return self.moments(image)[0]

    def decode(self, z: Tensor, *, quantise: bool = True) -> Tensor:
        """Images (batch, out_channels, height, width) of codes; there is no code book to quantise by."""
        return cast("Tensor", self.decoder(self.post_quant_conv(z)))

    def reconstruct(self, image: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """See `Autoencoder`; the divergence of the codes from a standard normal distribution, mean of all real numbers."""
        mean, log_variance = self.moments(image)
        divergence = (mean.square() + log_variance.exp() - 1 - log_variance).mean() / 2
        return self.decode(mean + (log_variance / 2).exp() * noise), divergence

    def forward(self, image: Tensor) -> Tensor:
        """Images through the means of their codes."""
        return self.decode(self.encode(image))
