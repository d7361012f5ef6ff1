"""Small autoencoders, and runs that train them."""

from pathlib import Path
from typing import Any

import torch
from helpers.runs import Waves

from medrestore.priors.autoencoder import Autoencoder, AutoencoderKL, VQModel
from medrestore.settings import assign
from medrestore.training import AutoencoderConfig, Callbacks, read, train

BLOCKS: dict[str, Any] = {
    "block_out_channels": (8, 16), "down_block_types": ("DownEncoderBlock2D",) * 2, "norm_num_groups": 4,
    "up_block_types": ("UpDecoderBlock2D",) * 2, "layers_per_block": 1, "mid_block_add_attention": False,
}


def autoencoder(kind: str = "kl", channels: int = 2, codes: int = 3) -> Autoencoder:
    """A network of a few thousand weights, always the same."""
    shape = BLOCKS | {"in_channels": channels, "out_channels": channels, "latent_channels": codes}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return AutoencoderKL(**shape) if kind == "kl" else VQModel(**shape, num_vq_embeddings=8)


def autoencoder_config(out: Path, **changes: Any) -> AutoencoderConfig:
    """A run of three steps or so on waves; `a__b` sets a.b."""
    values: dict[str, Any] = {
        "autoencoder": "kl", "out": str(out), "images": 12, "checkpoint_images": 4, "ema_images": 4, "scale_crops": 4,
        "network": {"block_out_channels": [8, 16], "norm_num_groups": 4, "latent_channels": 3},
        "data": {"sides": [[16, 1.0]], "validation_crops": 4},
        "optim": {"lr": 2e-3, "batch": 4, "warmup_images": 4, "decay_images": 4},
    }
    for key, value in changes.items():
        assign(values, key.replace("__", "."), value)
    return read(values, "test")


def train_waves_autoencoder(out: Path, *, callbacks: Callbacks | None = None, resume: bool = True, **changes: Any) -> Path:
    """The folder of a trained autoencoder of waves."""
    return train(autoencoder_config(out, **changes), images=Waves(), validation=Waves(first=12, count=6),
                             callbacks=callbacks, resume=resume)
