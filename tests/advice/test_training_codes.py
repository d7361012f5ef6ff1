"""Advice on trainings of autoencoders and of priors of codes, followed; then a batch is trained."""

from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.advice import case, followed
from helpers.autoencoders import autoencoder as small_autoencoder
from helpers.autoencoders import train_waves_autoencoder
from helpers.batches import prior
from helpers.runs import Waves
from training.test_codes import Counted, source
from training.test_latent import config as latent_config
from training.test_latent import run as latent

from medrestore.codecs import Interval
from medrestore.conditions import Conditions
from medrestore.priors import spaces
from medrestore.priors.latent import load
from medrestore.priors.spaces import LatentSpace
from medrestore.training import train
from medrestore.training.latent_config import AutoencoderLoss


def of_codes(folder: Path, **how: Any) -> bool:
    """Whether a prior of codes is trained for one batch; AE in a value stands for the folder of an autoencoder."""
    ae = str(LATENT["folder"])
    how = {
        key: {**value, "autoencoder": ae} if isinstance(value, dict) and value.get("autoencoder") else value
        for key, value in how.items()
    }
    if not any(key.startswith("latent") for key in how):
        how["latent"] = {"autoencoder": ae, "crops": 4}
    return (
        latent(latent_config(folder / "out", **{"images": 4, "checkpoint_images": 4, **how})) / "prior.json"
    ).is_file()


def with_classifier(folder: Path, classifier: str | None) -> bool:
    of_codes(folder)
    label = None if classifier is None else "a"
    return load(folder / "out" / "prior", Conditions(label=label, classifier=classifier)).channels == 3


LATENT: dict[str, Path] = {}


class Colours(Waves):
    """Waves of three channels."""

    channels, recipe = 3, Interval()

    def __getitem__(self, index: int) -> torch.Tensor:
        return super().__getitem__(index)[:1].expand(3, -1, -1)


def colours_with(folder: Path, images: type[Waves]) -> bool:
    made = latent_config(
        folder / "out",
        latent={"autoencoder": str(LATENT["folder"]), "crops": 4},
        images=4,
        checkpoint_images=4,
    )
    return (
        train(made, images=images(), validation=images(first=12, count=6)) / "prior.json"
    ).is_file()


def autoencoder(out: Path, **how: Any) -> bool:
    return (
        0
        < spaces.load(train_waves_autoencoder(out, images=4, checkpoint_images=4, **how)).scale
        < float("inf")
    )


CODES = [
    case(
        "the autoencoder is of {} channels and the crops have {}; leave network.in_channels and "
        "network.out_channels out",
        lambda folder: autoencoder(folder, network__in_channels=3, network__out_channels=3),
        lambda folder: autoencoder(folder),
    ),
    case(
        "codes are not finite or too large for half precision; train the autoencoder again",
        lambda folder: source(space=LatentSpace(small_autoencoder(), 1e9)).read(folder, "codes", Counted()),
        lambda folder: source().read(folder, "codes", Counted()).pairs.isfinite().all(),
    ),
    case(
        "AutoencoderLoss: l1, squared and gradients are all 0, so nothing would be learned; raise one",
        lambda _: AutoencoderLoss(l1=0, squared=0, gradients=0),
        lambda _: (
            [
                AutoencoderLoss(**{"l1": 0, "squared": 0, "gradients": 0, name: 1}) is not None
                for name in LOSSES
            ]
            == [True] * 3
        ),
    ),
    case(
        "pixels without low_resolution are what a plain prior learns; leave latent out",
        lambda folder: of_codes(folder, latent={"pixels": True, "crops": 4}),
        lambda folder: prior(folder),
    ),
    case(
        "the network is of {} channels in and {} out, and {} and {} are needed; leave them out",
        lambda folder: of_codes(folder, network__in_channels=9),
        lambda folder: of_codes(folder),
    ),
    case(
        "codes are learned without reference images; leave conditions.reference out, or learn pixels by "
        "leaving latent out",
        lambda folder: of_codes(folder, conditions={"reference": True}),
        lambda folder: of_codes(folder, conditions={}),
    ),
    case(
        "{} is a prior of codes or one that is given the coarse image, and no classifier knows these; leave `classifier` out",
        lambda folder: with_classifier(folder, "c"),
        lambda folder: with_classifier(folder, None),
    ),
    case(
        "codes of {} x {} do not fit a network whose images are multiples of {}; set data.sides to "
        "{} times what it is, or take fewer block_out_channels",
        lambda folder: of_codes(folder, data__sides=[[18, 1.0]]),
        lambda folder: (
            of_codes(folder / "a", data__sides=[[20, 1.0]])
            and of_codes(folder / "b", data__sides=[[18, 1.0]], **ONE_LEVEL)
        ),
    ),
    case(
        "the autoencoder is of {} channels ({}) and the crops have {} ({}); take the one that was "
        "trained on such images",
        lambda folder: colours_with(folder, Colours),
        lambda folder: colours_with(folder, Waves),
    ),
    case(
        "crops of {} pixels do not fit codes of 1 / {}; set data.sides to a multiple",
        lambda folder: of_codes(folder, data__sides=[[17, 1.0]]),
        lambda folder: of_codes(folder, data__sides=[[16, 1.0]]),
    ),
    case(
        "autoencoder (a folder), train (how to train one) and pixels: true exclude one another; give one of them",
        lambda folder: of_codes(folder, latent={"crops": 4}),
        lambda folder: of_codes(folder, latent={"autoencoder": "AE", "crops": 4}),
    ),
    case(
        "latent.train: {} is that of the run of the prior; leave it out",
        lambda folder: latent_config(folder, latent__train__seed=3).first,
        lambda folder: latent_config(folder).first.seed == latent_config(folder).seed,
    ),
]
LOSSES = ("l1", "squared", "gradients")
ONE_LEVEL: dict[str, Any] = {
    "network__block_out_channels": [8],
    "network__down_block_types": ["DownBlock2D"],
    "network__up_block_types": ["UpBlock2D"],
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_waves_autoencoder(tmp_path_factory.mktemp("ae"), images=4, checkpoint_images=4)


@pytest.mark.parametrize(("sentence", "wrong", "right"), CODES)
def test_a_training_of_codes_as_a_sentence_proposes(
    sentence: str, wrong: Any, right: Any, tmp_path: Path, trained: Path
) -> None:
    LATENT["folder"] = trained
    followed(sentence, wrong, right, tmp_path)
