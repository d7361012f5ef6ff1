"""Classifiers of noisy images: trained from labels, resumed, exported; what cannot be trained is refused."""

from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.runs import Crop, Recorder, Waves
from torch import Tensor

from medrestore.errors import InputError
from medrestore.priors import classifier_store
from medrestore.settings import assign, build
from medrestore.training import ClassifierConfig, train

NETWORK: dict[str, Any] = {"block_out_channels": [8, 16], "layers_per_block": 1, "norm_num_groups": 4,
                           "down_block_types": ["DownBlock2D"] * 2, "add_attention": False}


class Signed(Waves):
    """Waves about 1 or about -1, which a label tells."""

    def __getitem__(self, index: int) -> Tensor:
        return 0.1 * super().__getitem__(index) + (1 if index % 2 else -1)

    def label_of(self, index: int) -> str:
        return "up" if index % 2 else "down"


class Alone(Signed):
    """Of one class."""

    def label_of(self, index: int) -> str:
        return "up"


def fit(out: Path, *, data: Waves | None = None, callbacks: Recorder | None = None, **changes: Any) -> Path:
    given: dict[str, Any] = {
        "classifier": "encoder", "out": str(out), "seed": 3, "network": dict(NETWORK), "objective": {"sigma_data": 0.5},
        "data": {"sides": [[8, 0.5], [16, 0.5]], "validation_crops": 4},
        "optim": {"lr": 5e-3, "batch": 8, "warmup_images": 8, "decay_images": 32}, "images": 48, "ema_images": 16,
        "checkpoint_images": 24,
    }
    for name, value in changes.items():
        assign(given, name.replace("__", "."), value)
    source = data or Signed()
    return train(build(ClassifierConfig, given, "test"), images=source, validation=type(source)(30, 6), augment=Crop(),
                            callbacks=callbacks or Recorder())


def weights(folder: Path) -> bytes:
    return (folder / "unet" / "diffusion_pytorch_model.safetensors").read_bytes()


def test_classes_are_told_apart(tmp_path: Path) -> None:
    recorder = Recorder()
    folder = fit(tmp_path / "whole", callbacks=recorder, images=144, checkpoint_images=72)
    assert recorder.rows[-1]["accuracy_at_0.1"] == 1 and recorder.rows[-1]["validation_loss"] < 0.6
    loaded = classifier_store.load(folder)
    assert (loaded.classes.names, loaded.channels, loaded.multiple, loaded.size) == (("down", "up"), 2, 2, None)
    x = torch.ones(1, 2, 8, 8) * torch.tensor([-1.0, 1.0]).reshape(2, 1, 1, 1)
    assert (loaded(x, 0.1).exp().diagonal() > 0.6).all()
    assert describe_scores(folder) == {key: value for key, value in recorder.rows[-1].items() if key in describe_scores(folder)}


def describe_scores(folder: Path) -> dict[str, float]:
    scores: dict[str, float] = classifier_store.describe(folder)["card"]["scores"]
    return scores


def test_runs_that_cannot_work(tmp_path: Path) -> None:
    for changes, says in (
        ({"data": Waves()}, "images of data.train have no label"),
        ({"data": Alone()}, "the class up alone, which leaves nothing to tell apart"),
        ({"network": {}}, "give network, the arguments of an EncoderUNet"),
        ({"network__classes": 2}, "network.classes is the number of the labels"),
        ({"network__in_channels": 3}, "takes 3 channels and the crops have 2"),
        ({"network__pool": "max"}, "network cannot be built: pool must be attention or mean"),
        ({"network__pool": "attention", "network__sample_size": 16, "network__pool_head_dim": 8}, "sample_size 16 pixels alone"),
        ({"data__sides": [[9, 1.0]]}, "sides of 9 pixels do not fit the network"),
        ({"classifier": "resnet"}, "classifier must be one of encoder"),
    ):
        with pytest.raises(InputError, match=says):
            fit(tmp_path / "wrong", **changes)
