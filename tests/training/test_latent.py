"""Priors of codes are trained from nothing, resumed exactly, and exported with their autoencoder."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.autoencoders import train_waves_autoencoder
from helpers.runs import NETWORK, Recorder, Waves
from safetensors.torch import load_file

from medrestore.conditions import Conditions
from medrestore.errors import InputError
from medrestore.priors import latent, spaces
from medrestore.priors.store import describe
from medrestore.settings import assign
from medrestore.training import LatentConfig, export_last, read, train
from medrestore.training.task import Stopped

WEIGHTS = "unet/diffusion_pytorch_model.safetensors"
FIRST = {"autoencoder": "kl", "images": 8, "checkpoint_images": 8, "ema_images": 4, "scale_crops": 4, "optim": {"batch": 4},
         "network": {"block_out_channels": [8, 16], "norm_num_groups": 4, "latent_channels": 3}}
SMALL = {key: value for key, value in NETWORK.items() if not key.endswith("_channels") or key == "block_out_channels"}


def config(out: Path, **changes: Any) -> LatentConfig:
    values: dict[str, Any] = {
        "out": str(out), "latent": {"crops": 6, "train": dict(FIRST)}, "images": 16, "checkpoint_images": 8,
        "ema_images": 8,
        "network": dict(SMALL), "data": {"sides": [[16, 1.0]], "validation_crops": 4}, "optim": {"lr": 2e-3, "batch": 4},
    }
    for key, value in changes.items():
        assign(values, key.replace("__", "."), value)
    return read(values, "test")


def run(made: LatentConfig, **rest: Any) -> Path:
    return train(made, images=Waves(), validation=Waves(first=12, count=6), **rest)


class Stopper(Recorder):
    """Stops the second run, that of the prior, at its first checkpoint."""

    def on_checkpoint(self, row: Any) -> None:
        super().on_checkpoint(row)
        if len(self.rows) == 2:
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.fixture(scope="module")
def autoencoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(train_waves_autoencoder(tmp_path_factory.mktemp("ae"), images=4, checkpoint_images=4))


def test_from_nothing_to_a_prior_and_exactly_so_after_a_stop(tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        run(config(tmp_path / "part"), callbacks=Stopper())
    part, whole = run(config(tmp_path / "part")), run(config(tmp_path / "whole"))
    one, other = load_file(whole / WEIGHTS), load_file(part / WEIGHTS)
    assert all(torch.equal(one[key], other[key]) for key in one)
    prior, space = latent.load(part), spaces.load(tmp_path / "part-autoencoder" / "autoencoder")
    assert isinstance(prior, latent.LatentPrior) and prior.space.scale == space.scale and prior.channels == 3
    assert "codes of 3 channels, 1 / 2 of the height and width" in (part / "CARD.md").read_text()
    export_last(config(tmp_path / "part"), images=Waves(), validation=Waves(first=12, count=6))


@pytest.mark.parametrize("pixels", [False, True])
def test_given_the_coarse_image(tmp_path: Path, autoencoder: str, pixels: bool) -> None:
    where = {"latent": {"pixels": True, "crops": 6}} if pixels else {"latent": {"autoencoder": autoencoder, "crops": 6}}
    folder = run(config(tmp_path, **where, images=8, weights="fp16", low_resolution={"recipe": "bsr", "factor": 4, "drop": 0.5}))
    prior = latent.load(folder)
    assert isinstance(prior, latent.SuperResolutionPrior) and prior.optional and prior.factor == 4
    assert (prior.space is None) == pixels and prior.channels == (2 if pixels else 3)
    with torch.no_grad():
        made = prior.given(torch.zeros(1, 2, 4, 4))(torch.zeros(1, prior.channels, 16 if pixels else 8, 16 if pixels else 8), 1.0)
    assert bool(made.isfinite().all())


@pytest.mark.parametrize(("changes", "message"), [
    ({"latent": {"crops": 4}}, r"latent.autoencoder \(a folder\), train .* exclude one another; give one of them"),
    ({"latent": {"pixels": True}}, "are what a plain prior learns"),
    ({"data__sides": [[16, 0.5], [32, 0.5]]}, "codes are of crops of one side"),
    ({"latent__train__seed": 3}, "seed is that of the run of the prior"),
    ({"network__in_channels": 9}, "the network is of 9 channels in and 3 out, and 3 and 3 are needed"),
    ({"network__num_class_embeds": 4}, "conditioned on classes .* and the run has no labels"),
    ({"conditions": {"labels": True}}, "images of data.train have no label"),
    ({"conditions": {"reference": True}}, "codes are learned without reference images"),
    ({"data__sides": [[18, 1.0]]}, "codes of 9 x 9 do not fit a network"),
    ({"data__sides": [[17, 1.0]]}, "crops of 17 pixels do not fit codes of 1 / 2"),
    ({"low_resolution": {"factor": 3}}, "low_resolution.factor must be a multiple"),
])
def test_what_does_not_fit_is_refused(tmp_path: Path, autoencoder: str, changes: dict[str, Any], message: str) -> None:
    given = dict(changes)
    if not any(key.startswith("latent") for key in given):
        given["latent"] = {"autoencoder": autoencoder, "crops": 4}
    with pytest.raises(InputError, match=message):
        run(config(tmp_path / "out", **given))


class Labelled(Waves):
    """Waves whose class is told by their number."""

    def label_of(self, index: int) -> str:
        return "odd" if index % 2 else "even"


class Renamed(Waves):
    """The same under another name."""

    def label_of(self, index: int) -> str:
        return "other"


@pytest.mark.parametrize("low", [None, {"factor": 4, "drop": 0.5}])
def test_classes(tmp_path: Path, autoencoder: str, low: dict[str, Any] | None) -> None:
    """Stored, told apart by the network, pulled to; others are refused when a run resumes."""
    def trained(images: int = 16, source: type[Waves] = Labelled) -> Path:
        made = config(tmp_path, latent={"autoencoder": autoencoder, "crops": 6}, conditions={"labels": True}, images=images,
                      low_resolution=low, optim__lr=1e-2)
        return train(made, images=source(), validation=source(first=12, count=6))

    folder = trained()
    assert describe(folder)["classes"] == {"names": ["even", "odd"], "null": True}
    assert "| classes | even, odd |" in (folder / "CARD.md").read_text()
    x = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))

    def estimate(**told: Any) -> torch.Tensor:
        prior = latent.load(folder, Conditions(**told))
        with torch.no_grad():
            return (prior.given(torch.zeros(1, 2, 4, 4)) if isinstance(prior, latent.SuperResolutionPrior) else prior)(x, 0.8)

    anything, even, odd = (estimate(label=label) for label in (None, "even", "odd"))
    assert not torch.allclose(even, odd) and not torch.allclose(even, anything)
    torch.testing.assert_close(estimate(label="odd", guidance=3.0), anything + 3 * (odd - anything), rtol=1e-4, atol=1e-5)
    for told, says in (({"label": "three"}, "three"), ({"guidance": 2.0}, "none is given; give a `label`"),
                       ({"label": "odd", "classifier": "c"}, "leave `classifier` out")):
        with pytest.raises(InputError, match=says):
            estimate(**told)
    with pytest.raises(InputError, match="a run of other classes than the data have now"):
        trained(images=24, source=Renamed)


def test_an_autoencoder_of_other_images_is_refused(tmp_path: Path, autoencoder: str) -> None:
    class Pictures(Waves):
        channels = 3

        def __getitem__(self, index: int) -> torch.Tensor:
            return super().__getitem__(index)[:1].expand(3, -1, -1)

    made = config(tmp_path, latent={"autoencoder": autoencoder, "crops": 4})
    with pytest.raises(InputError, match="the autoencoder is of 2 channels"):
        train(made, images=Pictures(), validation=Pictures(first=12, count=6))
