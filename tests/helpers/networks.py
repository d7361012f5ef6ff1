"""Priors on disk for tests: networks of a few thousand random weights."""

import json
from pathlib import Path
from typing import Any

import torch
from diffusers import UNet2DModel

from medrestore import priors
from medrestore.codecs import CalibratedComplex, Interval
from medrestore.files import digest
from medrestore.priors import EDM, Classes, classifier_store
from medrestore.priors.architectures import build_network
from medrestore.priors.descriptions import sealed
from medrestore.priors.encoder import EncoderUNet


def save_rgb_prior(folder: Path, *, channels: int = 3, classes: int | None = None, names: tuple[str, ...] = (),
                   null: bool = False) -> Path:
    """A prior of pictures with values in [-1, 1], of classes where their number or names are given; returns its folder."""
    facts = {"classes": {"names": list(names), "null": null}} if names else None
    net = UNet2DModel(
        in_channels=channels,
        out_channels=channels,
        block_out_channels=(8, 8),
        layers_per_block=1,
        norm_num_groups=4,
        down_block_types=("DownBlock2D",) * 2,
        up_block_types=("UpBlock2D",) * 2,
        add_attention=False,
        num_class_embeds=len(names) + null if names else classes,
    )
    generator = torch.Generator().manual_seed(channels)
    for weights in net.parameters():
        weights.data = 0.03 * torch.randn(weights.shape, generator=generator)
    if net.class_embedding is not None:
        net.class_embedding.weight.data *= 100.0  # the class is heard through layers that hear little
    priors.save(folder, net, parametrisation=EDM(sigma_data=0.5, sigmas=(0.005, 40.0)), recipe=Interval(),
                channels=channels, multiple=2, card={"name": "tiny"}, facts=facts)
    return folder


def save_complex_prior(folder: Path, *, names: tuple[str, ...] = (), reference: bool = False) -> Path:
    """A prior of complex images, of classes where they are named, that follows a reference image of one channel; its folder."""
    net = build_network({"_class_name": "UNet2DModel", "in_channels": 4 if reference else 2, "out_channels": 2,
                         "block_out_channels": [8, 8], "layers_per_block": 1, "norm_num_groups": 4,
                         "down_block_types": ["DownBlock2D"] * 2, "up_block_types": ["UpBlock2D"] * 2,
                         "add_attention": False, "num_class_embeds": len(names) or None})
    generator = torch.Generator().manual_seed(0)
    for weights in net.parameters():
        weights.data = 0.1 * torch.randn(weights.shape, generator=generator)
    facts: dict[str, Any] = {"classes": {"names": list(names), "null": False}} if names else {}
    priors.save(folder, net, parametrisation=EDM(sigma_data=0.5, sigmas=(0.005, 40.0)), recipe=CalibratedComplex(), channels=2,
                multiple=2, card={"name": "tiny"}, facts=facts | ({"reference": {"channels": 1}} if reference else {}))
    return folder


def save_classifier(folder: Path, *, names: tuple[str, ...], channels: int = 3) -> torch.nn.Module:
    """A classifier of noisy pictures by random weights; returns its network."""
    net = EncoderUNet(len(names), in_channels=channels, block_out_channels=(8, 8), layers_per_block=1, norm_num_groups=4,
                      down_block_types=("DownBlock2D",) * 2, add_attention=False)
    generator = torch.Generator().manual_seed(channels)
    for weights in net.parameters():
        weights.data = 0.3 * torch.randn(weights.shape, generator=generator)
    classifier_store.save(folder, net, parametrisation=EDM(sigma_data=0.5, sigmas=(0.005, 40.0)), recipe=Interval(),
                          channels=channels, multiple=2, classes=Classes(len(names), names), card={"name": "tiny"})
    return net


def rewrite(folder: Path, **changes: Any) -> None:
    """Another description of a prior, sealed as if it had been written so: None removes an entry."""
    about = json.loads((folder / "prior.json").read_text()) | changes
    about["config_sha256"] = {name: digest(folder / name / "config.json") for name in about.get("config_sha256", ())
                              if (folder / name / "config.json").is_file()}
    about = {key: value for key, value in about.items() if value is not None}
    (folder / "prior.json").write_text(json.dumps(sealed(about)))


def tiny_unet(**changes) -> UNet2DModel:
    """A UNet2DModel of few weights, the same ones each time."""
    torch.manual_seed(0)
    made = {"in_channels": 1, "out_channels": 1, "layers_per_block": 1, "block_out_channels": (8, 16), "norm_num_groups": 4,
            "down_block_types": ("DownBlock2D", "AttnDownBlock2D"), "up_block_types": ("AttnUpBlock2D", "UpBlock2D")}
    return UNet2DModel(**made | changes)


def saved_prior(folder, net=None, **more):
    """The folder of a prior, as `store.save` writes it; `more` are its arguments."""
    given = {"parametrisation": EDM(), "recipe": Interval(), "channels": 1, "multiple": 2, "card": {}} | more
    priors.save(folder, net or tiny_unet(), **given)
    return folder
