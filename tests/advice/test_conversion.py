"""Advice on checkpoints that are converted, followed: the weights alone, another file, or what the training's flags say."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DDPMScheduler
from helpers import latent_diffusion as ldm_cases
from helpers.advice import case, followed
from helpers.checkpoints import CASES as KNOWN
from helpers.checkpoints import open_checkpoint
from priors.convert import test_edm as edm_cases
from priors.convert import test_monai as monai_cases
from priors.convert import test_ncsnpp as ncsnpp_cases
from priors.convert.conftest import random_state
from priors.convert.test_adm_classifier import BASE
from priors.convert.test_bundle import NETWORK, facts
from priors.convert.test_folder import pipeline
from torch import Tensor

from medrestore.codecs import Interval
from medrestore.priors.convert import Converted, adm_classifier, ddpm
from medrestore.priors.convert.edm import FAMILY as EDM
from medrestore.priors.convert.ldm import FAMILY as LDM_FAMILY
from medrestore.priors.convert.load import DEEPEST, load_tree
from medrestore.priors.convert.monai import FAMILY as MONAI
from medrestore.priors.encoder import EncoderUNet
from medrestore.priors.parametrisations import scaled_linear_betas

State = dict[str, Tensor]
SMALL = ddpm.DDPMArchitecture(3, 3, (32,), 1, (True,))


def converted(folder: Path, tree: Any, family: str | None = None, **given: Any) -> Converted:
    torch.save(tree, folder / "c.pt")
    return open_checkpoint(folder / "c.pt", family=family, given=given)


def knee() -> State:
    return random_state(KNOWN["knee"][0])


def faces() -> State:
    return random_state(ddpm.ddpm_layout(SMALL))


def classifier(**changes: Any) -> State:
    return random_state(adm_classifier.classifier_layout(replace(BASE, **changes), 5, None))


def edm(change: Callable[[State], object] = lambda state: None) -> Converted:
    state = edm_cases.random_state(edm_cases.layout(side=8, channels=1))
    change(state)
    return EDM.convert(state, {})


def monai(change: Callable[[State], object] = lambda state: None) -> Converted:
    state = dict(monai_cases.trained().state_dict())
    change(state)
    return MONAI.convert(state, monai_cases.GIVEN)


def ldm(change: Callable[[State], object] = lambda state: None, **given: Any) -> Converted:
    state = dict(ldm_cases.random_state(LDM))
    change(state)
    return LDM_FAMILY.convert(state, given)


def ncsnpp(**given: Any) -> Converted:
    state = ncsnpp_cases.random_state(ncsnpp_cases.layout(width=16, mults=(1, 1), blocks=1))
    return ncsnpp_cases.FAMILY.convert(state, given)


def bundle(folder: Path, **config: Any) -> Mapping[str, Any]:
    return facts(folder, train={"net": NETWORK, "widths": [8], **config})


def monai_bundle(folder: Path, *names: str) -> Converted:
    """A bundle whose weights lie in files of these names."""
    path, _ = monai_cases.bundle(folder / "bundle")
    weights = (path / "models" / "model.pt").read_bytes()
    (path / "models" / "model.pt").unlink()
    for name in names:
        (path / "models" / name).write_bytes(weights)
    return open_checkpoint(path)


def of_diffusers(folder: Path, given: Mapping[str, Any], **scheduler: Any) -> Converted:
    """A pipeline whose scheduler says this."""
    path = pipeline(folder / "p", DDPMScheduler())
    place = path / "scheduler" / "scheduler_config.json"
    place.write_text(json.dumps(json.loads(place.read_text()) | scheduler))
    return open_checkpoint(path, given=given)


def nested(state: State) -> Any:
    tree: Any = state
    for _ in range(DEEPEST + 2):
        tree = {"a": tree}
    return tree


def alike(made: Converted, state: State) -> bool:
    """Whether the network converted has the weights of a DDPM checkpoint."""
    return torch.equal(made.net.state_dict()["conv_in.weight"], state["conv_in.weight"])


LDM = ldm_cases.layout(ldm_cases.unet_layout(**ldm_cases.UNET), ldm_cases.vq_layout(**ldm_cases.VQ))
AMBIGUOUS: dict[str, Any] = {"widths": (32,) * 4, "attention": (False,) * 4}  # levels that all look alike
SMALL_ENCODER: dict[str, Any] = {
    "in_channels": 2,
    "block_out_channels": [8, 16],
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "down_block_types": ["DownBlock2D"] * 2,
    "add_attention": False,
}
CASES = [
    case(
        "attention of {} channels cannot be split into {}; give the flags of its training",
        lambda folder: converted(folder, knee(), num_heads=3),
        lambda folder: converted(folder, knee(), num_heads=2).channels == 2,
    ),
    case(
        "num_heads_upsample needs num_heads beside it, and neither goes with num_head_channels; give "
        "the flags of its training",
        lambda folder: converted(folder, knee(), num_heads_upsample=2),
        lambda folder: converted(folder, knee(), num_heads_upsample=2, num_heads=4).channels == 2,
    ),
    case(
        "the blocks of this {} may be {} a level; give num_res_blocks, as its training flags say",
        lambda folder: converted(folder, classifier(**AMBIGUOUS), num_heads=2),
        lambda folder: (
            converted(folder, classifier(**AMBIGUOUS), num_heads=2, num_res_blocks=2).config[
                "layers_per_block"
            ]
            == 2
        ),
    ),
    case(
        "quantile is for complex images of two channels, not of {}; give low and high",
        lambda folder: converted(folder, faces(), quantile=0.9),
        lambda folder: converted(folder, faces(), low=0, high=255).recipe == Interval(0, 255),
    ),
    case(
        "{} describes a latent diffusion network beside its autoencoder, and only networks of images "
        "are priors; give a bundle without an autoencoder",
        lambda folder: bundle(folder, autoencoder_def={}),
        lambda folder: bundle(folder)["channels"] == [8],
    ),
    case(
        "{} gives {} where a plain value is needed, and configurations are read, never run; write "
        "the value in its place",
        lambda folder: bundle(folder, widths="$[4 * 2]"),
        lambda folder: bundle(folder, widths=[8])["channels"] == [8],
    ),
    case(
        "{} refers to {}, which it does not hold; write the value in its place",
        lambda folder: facts(folder, train={"net": NETWORK}),
        lambda folder: facts(folder, train={"net": NETWORK | {"channels": [8]}})["channels"] == [8],
    ),
    case(
        "{} keeps its averaged weights as a list of {} tensors that fit no network in it; save the "
        "state dict of the averaged network alone",
        lambda folder: converted(
            folder, {"model": faces(), "ema": {"shadow_params": [*faces().values(), torch.ones(3)]}}
        ),
        lambda folder: alike(converted(folder, faces()), faces()),
    ),
    case(
        "{} holds no network: {}; give the file of its weights",
        lambda folder: converted(folder, {"step": 3}),
        lambda folder: alike(converted(folder, faces()), faces()),
    ),
    case(
        "{} belong to EDM's DDPM++ or NCSN++ networks, and only its ADM networks are known here; "
        "convert one of those",
        lambda _: edm(lambda state: state.update({"model.dec.8x8_aux_norm.weight": torch.zeros(1)})),
        lambda _: edm().channels == 1,
    ),
    case(
        "this is no {}: no key names a level, such as enc.320x320_conv.weight; give no family",
        lambda folder: converted(folder, faces(), "edm"),
        lambda folder: alike(converted(folder, faces()), faces()),
    ),
    case(
        "the network predicts {}, and {} are known; give prediction if the scheduler's configuration "
        "is wrong",
        lambda folder: of_diffusers(folder, {}, prediction_type="flow"),
        lambda folder: (
            type(
                of_diffusers(folder, {"prediction": "v_prediction"}, prediction_type="flow").parametrisation
            ).__name__
            == "Velocity"
        ),
    ),
    case(
        "the scheduler's betas are {}, and {} are known; give schedule if that is another name for "
        "one of them",
        lambda folder: of_diffusers(folder, {}, beta_schedule="quadratic"),
        lambda folder: (
            len(
                of_diffusers(
                    folder, {"schedule": "scaled_linear"}, beta_schedule="quadratic"
                ).parametrisation.betas
            )
            == 1000
        ),
    ),
    case(
        "{} is a folder, but of no known kind; give a checkpoint file, or a folder with "
        "model_index.json or config.json and its weights",
        lambda folder: open_checkpoint(folder),
        lambda folder: of_diffusers(folder, {}).channels == 3 and alike(converted(folder, faces()), faces()),
    ),
    case(
        "this checkpoint scales its codes by {}, and only 1 is known here; convert the published "
        "super-resolution network",
        lambda _: ldm(lambda state: state.update({"scale_factor": torch.tensor(0.18)})),
        lambda _: ldm().channels == 3,
    ),
    case(
        "betas of this checkpoint are no schedule; give one as schedule=scaled_linear",
        lambda _: ldm(lambda state: state.update({"betas": torch.zeros(3)})),
        lambda _: (
            ldm(
                lambda state: state.update({"betas": torch.zeros(3)}), schedule="scaled_linear"
            ).parametrisation.betas
            == pytest.approx(scaled_linear_betas(0.0015, 0.0155))
        ),
    ),
    case(
        "{} {}; give a checkpoint",
        lambda folder: load_tree(folder),
        lambda folder: alike(converted(folder, faces()), faces()),
    ),
    case(
        "{} nests its entries deeper than {} levels, which no known checkpoint does; save the state "
        "dict alone",
        lambda folder: converted(folder, nested(faces())),
        lambda folder: alike(converted(folder, faces()), faces()),
    ),
    case(
        "{} is no checkpoint of PyTorch or safetensors (it is empty, truncated, text or another "
        "format); give a .pt, .pth, .ckpt, .bin or .safetensors file",
        lambda folder: ((folder / "c.pt").write_text("page"), load_tree(folder / "c.pt")),
        lambda folder: alike(converted(folder, faces()), faces()),
    ),
    case(
        "{} has {} entries, more than any known network; save the state dict alone",
        lambda folder: converted(folder, {"model": faces(), **{str(k): 0 for k in range(20_001)}}),
        lambda folder: alike(converted(folder, faces()), faces()),
    ),
    case(
        "{}/models holds {}; leave the one file of this network there, as model.pt or model.safetensors",
        lambda folder: monai_bundle(folder, "a.pt", "b.pt"),
        lambda folder: monai_bundle(folder / "again", "model.pt").channels == 1,
    ),
    case(
        "this network is of volumes, and priors here are of images; convert one with spatial_dims 2",
        lambda _: monai(lambda state: state.update({"conv_in.conv.weight": torch.zeros(16, 1, 3, 3, 3)})),
        lambda _: monai().channels == 1,
    ),
    case(
        "this network is conditioned by cross-attention, and a prior has nothing to tell; convert "
        "one that was trained with_conditioning=False",
        lambda _: monai(
            lambda state: state.update({"middle_block.attention.transformer_blocks.0.x": torch.zeros(1)})
        ),
        lambda _: monai().channels == 1,
    ),
    case(
        "noise levels must be positive and rise, got {} to {}; give sigma_min and sigma_max",
        lambda _: ncsnpp(sigma_min=900),
        lambda _: (
            ncsnpp(sigma_min=0.02, sigma_max=50).parametrisation.sigma_range
            == pytest.approx((0.02, 50), rel=1e-5)
        ),
    ),
    case(
        "an encoder has no {}; leave it out",
        lambda _: EncoderUNet(3, **SMALL_ENCODER, out_channels=2),
        lambda _: EncoderUNet(3, **SMALL_ENCODER)(torch.zeros(1, 2, 16, 16), 1.0).shape == (1, 3),
    ),
    case(
        "class_labels are what this network tells; leave them out",
        lambda _: EncoderUNet(3, **SMALL_ENCODER)(torch.zeros(1, 2, 16, 16), 1.0, torch.tensor([0])),
        lambda _: EncoderUNet(3, **SMALL_ENCODER)(torch.zeros(1, 2, 16, 16), 1.0).shape == (1, 3),
    ),
]


@pytest.mark.parametrize(("sentence", "wrong", "right"), CASES)
def test_a_checkpoint_as_a_sentence_proposes(sentence: str, wrong: Any, right: Any, tmp_path: Path) -> None:
    followed(sentence, wrong, right, tmp_path)
