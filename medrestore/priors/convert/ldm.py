"""Latent-diffusion super-resolution (Rombach et al., CVPR 2022, sec. 4.4): `bsr_sr`, a U-Net on codes of VQ-f4.

One checkpoint holds the U-Net, its average under names without dots (`model_ema.*`), the autoencoder and the schedule. The U-Net
has the layout of guided diffusion, its condition being further input channels.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from ...errors import InputError
from ..architectures import configuration
from ..latent import AUTOENCODER
from ..parametrisations import Epsilon
from . import adm
from .base import SCHEDULE, Converted, Family, assumed, compare, filled_network, only, some, stated_betas, whole
from .shapes import shape_of

NAME = "latent diffusion, super-resolution"
UNET, AVERAGE, FIRST = "model.diffusion_model.", "model_ema.", "first_stage_model."
PUBLISHED = {"beta_start": 0.0015, "beta_end": 0.0155}  # linear in the square root
HEAD_CHANNELS = 32
SMALL_CHANNELS = 3  # the small image is in colour
DERIVED = re.compile(  # what the training program keeps beside the networks, all of it computed from the betas
    r"(sqrt_|log_)?(one_minus_|recip_|recipm1_)?alphas_cumprod(_prev)?|posterior_(variance|log_variance_clipped|mean_coef[12])"
    r"|lvlb_weights|logvar|model_ema\.(decay|num_updates)")
VQ = tuple((re.compile(old), new) for old, new in (  # names of VQ-f4 and of `VQModel`
    (r"encoder\.down\.(\d{1,2})\.block\.", r"encoder.down_blocks.\1.resnets."),
    (r"encoder\.down\.(\d{1,2})\.downsample\.", r"encoder.down_blocks.\1.downsamplers.0."),
    (r"(?<=coder\.)mid\.block_1\.", "mid_block.resnets.0."), (r"(?<=coder\.)mid\.block_2\.", "mid_block.resnets.1."),
    (r"(?<=coder\.)mid\.attn_1\.norm\.", "mid_block.attentions.0.group_norm."),
    (r"(?<=coder\.)mid\.attn_1\.([qkv])\.", r"mid_block.attentions.0.to_\1."),
    (r"(?<=coder\.)mid\.attn_1\.proj_out\.", "mid_block.attentions.0.to_out.0."),
    (r"(?<=coder\.)norm_out\.", "conv_norm_out."), (r"\.nin_shortcut\.", ".conv_shortcut."),
))
UP = re.compile(r"decoder\.up\.(\d{1,2})\.(?:(block\.)|(upsample\.))")
BLOCKS = re.compile(r"encoder\.down\.(\d{1,2})\.block\.(\d{1,2})\.conv1\.weight")


class LatentSR(Family):
    """`model.diffusion_model.*` with the small image as channels, and `first_stage_model.*` with a code book."""

    name = NAME
    signature = (f"{UNET}input_blocks.0.0.weight", f"{UNET}out.2.weight", f"{FIRST}encoder.conv_in.weight",
                 f"{FIRST}quantize.embedding.weight", f"{FIRST}decoder.conv_out.weight")
    takes = (*SCHEDULE, "num_head_channels")

    def convert(self, state: dict[str, Tensor], given: Mapping[str, Any]) -> Converted:
        """The network of this state dict; see `Family`."""
        only(given, self.takes, NAME)
        _leftover(state)
        unet, averaged = _unet_state(state)
        arch = adm.adm_architecture({key: tuple(value.shape) for key, value in unet.items()})
        compare(unet, adm.adm_layout(arch), NAME)
        if arch.in_channels - arch.out_channels != SMALL_CHANNELS:
            raise InputError(f"this latent network takes {arch.in_channels} channels and gives {arch.out_channels}, and only "
                             f"super-resolution, which takes {SMALL_CHANNELS} more than it gives, is known here")
        wide = whole(given, "num_head_channels") or HEAD_CHANNELS
        heads = adm.Heads("LDM bsr_sr", channels=wide, trained_at=64)
        attend = [*(width for width, here in zip(arch.widths, arch.attention, strict=True) if here), arch.widths[-1]]
        if any(width % wide for width in attend):
            raise InputError(f"attention of {', '.join(map(str, attend))} channels cannot be split into heads of "
                             f"{wide}; give num_head_channels as its training says")
        schedule, said = _schedule(state, given)
        config = adm.adm_config(arch, heads)
        net = filled_network(config, adm.adm_renamed(unet, arch, heads), NAME)
        autoencoder = _autoencoder({key.removeprefix(FIRST): value for key, value in state.items() if key.startswith(FIRST)})
        codes = configuration(autoencoder)
        if codes['vq_embed_dim'] != arch.out_channels:
            raise InputError(f"the codes of the autoencoder have {codes['vq_embed_dim']} channels and the denoiser gives "
                             f"{arch.out_channels}; they belong to different checkpoints")
        return Converted(
            NAME, config, net, Epsilon(schedule), None, arch.out_channels, 2 ** (len(arch.widths) - 1),
            about={
                "condition_channels": SMALL_CHANNELS, "schedule": said,
                "weights": "averaged (EMA)" if averaged else "the last ones",
                "enlarges by": 2 ** (len(codes['block_out_channels']) - 1),
                "code book": f"{codes['num_vq_embeddings']} codes of {codes['vq_embed_dim']} channels",
                **assumed(given, num_head_channels=wide, schedule=None if "betas" in state else "scaled_linear"),
            },
            parts={AUTOENCODER: autoencoder},
        )


def _leftover(state: Mapping[str, Tensor]) -> None:
    """Refuses what belongs to no known part, and a scale of the codes that would go unused."""
    extra = [key for key in state if not key.startswith((UNET, AVERAGE, FIRST)) and not DERIVED.fullmatch(key)
             and key not in ("betas", "scale_factor")]
    if extra:
        raise InputError(f"this is nearly {NAME}, but it has in addition {some(extra)}; "
                         "only networks conditioned on nothing but the small image are known here")
    scale = state.get("scale_factor")
    if scale is not None and not (scale.numel() == 1 and float(scale) == 1):
        raise InputError(f"this checkpoint scales its codes by {scale.flatten()[:1].tolist()}, and only 1 is known here; "
                         "convert the published super-resolution network")


def _unet_state(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], bool]:
    """The tensors of the U-Net by the keys of guided diffusion, averaged ones if there are, and whether they are."""
    last = {key.removeprefix(UNET): value for key, value in state.items() if key.startswith(UNET)}
    names = {f"{AVERAGE}diffusion_model{key.replace('.', '')}": key for key in last}
    stored = {key for key in state if key.startswith(AVERAGE) and not DERIVED.fullmatch(key)}
    if not stored:
        return last, False
    if stored != names.keys():
        raise InputError(f"the averaged weights do not fit the last ones: {some(sorted(stored ^ names.keys()))}; "
                         "take the file that the network was published in")
    return {key: state[name] for name, key in names.items()}, True


def _schedule(state: Mapping[str, Tensor], given: Mapping[str, Any]) -> tuple[tuple[float, ...], str]:
    """The betas: stated, of the checkpoint, or as published."""
    stored = state.get("betas")
    if stored is None or set(given) & set(SCHEDULE):
        return stated_betas({**PUBLISHED, **given}, "scaled_linear")
    if stored.ndim != 1 or not 2 <= len(stored) <= 100_000 or not bool(((stored > 0) & (stored < 1)).all()):
        raise InputError("betas of this checkpoint are no schedule; give one as schedule=scaled_linear")
    values = tuple(stored.double().tolist())
    return values, f"{len(values)} betas of the checkpoint, {values[0]:.4g} to {values[-1]:.4g}"


def _autoencoder(state: Mapping[str, Tensor]) -> torch.nn.Module:
    """The VQ autoencoder as a diffusers `VQModel`."""
    shapes = {key: tuple(value.shape) for key, value in state.items()}

    def shape(key: str, axes: int = 4) -> tuple[int, ...]:
        return shape_of(shapes, key, axes, NAME, prefix=FIRST)

    blocks = [(int(found[1]), int(found[2])) for key in state if (found := BLOCKS.fullmatch(key))]
    levels = 1 + max((level for level, _ in blocks), default=0)
    codes, embedded = shape("quantize.embedding.weight", 2)
    latent, image = shape("encoder.conv_out.weight")[0], shape("decoder.conv_out.weight")[0]
    config = {
        "_class_name": "VQModel", "in_channels": shape("encoder.conv_in.weight")[1], "out_channels": image,
        "block_out_channels": [shape(f"encoder.down.{i}.block.0.conv1.weight")[0] for i in range(levels)],
        "down_block_types": ["DownEncoderBlock2D"] * levels, "up_block_types": ["UpDecoderBlock2D"] * levels,
        "layers_per_block": 1 + max((block for _, block in blocks), default=0), "latent_channels": latent,
        "num_vq_embeddings": codes, "vq_embed_dim": embedded, "norm_num_groups": 32, "scaling_factor": 1.0,
    }
    return filled_network(config, dict(_vq_tensors(state, levels)), f"{NAME}, {FIRST.rstrip('.')}")


def _vq_tensors(state: Mapping[str, Tensor], levels: int) -> Iterator[tuple[str, Tensor]]:
    """Tensors by the keys of `VQModel`; keys of no known place keep their names, and are refused later."""
    for key, value in state.items():
        for old, new in VQ:
            key = old.sub(new, key)
        if found := UP.match(key):  # counted from the coarsest level here, from the finest there
            inside = "resnets." if found[2] else "upsamplers.0."
            key = f"decoder.up_blocks.{levels - 1 - int(found[1])}.{inside}{key[found.end():]}"
        flat = ".attentions.0." in key and value.ndim > 1  # 1 x 1 convolutions there, linear layers here
        yield key, value.flatten(1) if flat else value


FAMILY = LatentSR()
