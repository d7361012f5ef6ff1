"""The kind of a run follows from the keys of its config."""

from pathlib import Path

import pytest
from helpers.runs import Crop, Waves, baseline_config

from medrestore.errors import InputError
from medrestore.training import (
    AutoencoderConfig,
    BaselineConfig,
    ClassifierConfig,
    Config,
    LatentConfig,
    export_last,
    read,
    train,
)


@pytest.mark.parametrize(("given", "kind", "out"), [
    ({}, Config, "runs/prior"),
    ({"baseline": "unet"}, BaselineConfig, "runs/baseline"),
    ({"classifier": "encoder"}, ClassifierConfig, "runs/classifier"),
    ({"autoencoder": "vq"}, AutoencoderConfig, "runs/autoencoder"),
    ({"latent": {"pixels": True}}, LatentConfig, "runs/latent"),
])
def test_a_key_tells_what_is_trained(given: dict[str, object], kind: type, out: str) -> None:
    config = read(given, "x")
    assert type(config) is kind and config.out == out and config.keep == 2


def test_a_key_of_another_kind_is_refused() -> None:
    with pytest.raises(InputError, match=r"^x\.yaml: snapshots is no option"):
        read({"baseline": "unet", "snapshots": [1]}, "x.yaml")


def test_a_baseline_takes_no_augmentation_of_crops(tmp_path: Path) -> None:
    for done in (train, export_last):
        with pytest.raises(InputError, match=r"set data\.augment and data\.sides"):
            done(baseline_config(tmp_path), images=Waves(), validation=Waves(30, 6), augment=Crop())
