"""Priors of classes: trained from labels, with labels left out, resumed, started from one another."""

from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.runs import NETWORK, Crop, Recorder, Waves, prior_config
from torch import Tensor

from medrestore.errors import InputError
from medrestore.priors import load, save
from medrestore.priors.architectures import build_network
from medrestore.priors.classes import Classes
from medrestore.priors.parametrisations import VarianceExploding
from medrestore.priors.store import describe
from medrestore.training import train
from medrestore.training.conditioning import Conditioning, Given

BARE = {key: value for key, value in NETWORK.items() if not key.endswith("_channels") or key.startswith("block")}


class Signed(Waves):
    """Waves about 1 or about -1, which a label tells."""

    def __getitem__(self, index: int) -> Tensor:
        return 0.1 * super().__getitem__(index) + (1 if index % 2 else -1)

    def label_of(self, index: int) -> str:
        return "up" if index % 2 else "down"


class Named(Signed):
    """The same under another name."""

    def label_of(self, index: int) -> str:
        return "other"


def fit(out: Path, *, data: Waves | None = None, validation: Waves | None = None, resume: bool = True, **changes: Any) -> Path:
    config = prior_config(out, **{"conditions": {"labels": True}} | changes)
    return train(config, images=data or Signed(), validation=validation or Signed(30, 6), augment=Crop(), resume=resume,
                 callbacks=Recorder())


class Doubled(Waves):
    """Waves of any sign; what lies beside them says which."""

    reference_channels = 1

    def __getitem__(self, index: int) -> Tensor:
        return 0.1 * super().__getitem__(index) + (1 if index % 2 else -1)

    def reference_of(self, index: int) -> Tensor:
        return torch.full((1, 24, 24), float(index % 2))


class PairCrop(Crop):
    """The same crop of both."""

    def pair(self, image: Tensor, reference: Tensor, side: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        crop = self(torch.cat([image, reference]), side, generator)
        return crop[:2], crop[2:]


def beside(out: Path, *, data: Waves | None = None, **changes: Any) -> Path:
    given = {"conditions": {"reference": True}, "network": BARE} | changes
    source = data or Doubled()
    return train(prior_config(out, **given), images=source, validation=type(source)(30, 6), augment=PairCrop())


@pytest.mark.slow
def test_a_reference_image_is_followed_and_done_without(tmp_path: Path) -> None:
    prior = beside(tmp_path / "run", images=640, checkpoint_images=640, optim__lr=1e-2, ema_images=[60], data__sides=[[8, 1.0]])
    assert describe(prior)["reference"] == {"channels": 1} and "left out of 50% of the crops" in (prior / "CARD.md").read_text()
    x = 3 * torch.randn(4, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    alone = load(prior)
    down, up = (float(alone.with_reference(torch.full((1, 1, 8, 8), value))(x, 3.0).mean()) for value in (0.0, 1.0))
    assert down < -0.5 and up > 0.5 and down < float(alone(x, 3.0).mean()) < up


def score_network(folder: Path) -> Path:
    made = {"_class_name": "NCSNpp", "channels": 2, "width": 8, "mults": [1, 1], "blocks": 1, "attention": [False, False]}
    save(folder, build_network(made), parametrisation=VarianceExploding((0.01, 10.0)), recipe=Waves.recipe, channels=2,
         multiple=2, card={}, config=made)
    return folder


def test_a_plain_prior_begins_to_take_reference_images_as_what_it_was(tmp_path: Path) -> None:
    parent = train(prior_config(tmp_path / "parent"), images=Doubled(), validation=Doubled(30, 6), augment=PairCrop())
    told = {"init": str(parent), "network": {}, "images": 48}
    child = load(beside(tmp_path / "child", optim__lr=1e-12, **told))
    x = torch.randn(2, 2, 16, 16, generator=torch.Generator().manual_seed(0))
    image = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    for prior in (child, child.with_reference(image)):
        torch.testing.assert_close(prior(x, 0.7), load(parent)(x, 0.7), rtol=1e-4, atol=1e-5)
    taught = load(beside(tmp_path / "taught", optim__lr=1e-2, **told))
    assert float((taught.with_reference(image)(x, 0.7) - taught(x, 0.7)).abs().max()) > 1e-4


def test_reference_images_that_cannot_be_trained_on(tmp_path: Path) -> None:
    for changes, says in (
        ({"data": Waves()}, "the images have no reference images"),
        ({"network": BARE | {"in_channels": 5}}, "network.in_channels is 5, and with the reference image .* it must be 4"),
        ({"init": str(score_network(tmp_path / "score")), "network": {}}, "is a NCSNpp, and only a UNet2DModel can be given"),
    ):
        with pytest.raises(InputError, match=says):
            beside(tmp_path / "wrong", **changes)


def test_a_run_with_reference_images_resumes(tmp_path: Path) -> None:
    whole = beside(tmp_path / "whole", images=32, checkpoint_images=16)
    beside(tmp_path / "parts", images=16, checkpoint_images=16)
    x = torch.randn(1, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    parts = beside(tmp_path / "parts", images=32, checkpoint_images=16)
    assert load(parts)(x, 1.0).shape == load(whole)(x, 1.0).shape == x.shape


def test_reference_images_are_left_out_as_often_as_asked() -> None:
    given = Given(beside=torch.ones(2000, 2, 1, 1)).dropped(Conditioning(reference=True, reference_dropout=0.3), None,
                                                            torch.Generator().manual_seed(0))
    assert given.beside is not None and float((given.beside[:, 0] == 0).float().mean()) == pytest.approx(0.3, abs=0.04)
    assert torch.equal(given.beside[:, 0], given.beside[:, 1])  # what says so goes with it


@pytest.mark.slow
def test_a_class_is_learned(tmp_path: Path) -> None:
    """Of noise alone the network makes images of the class that it is told."""
    prior = fit(tmp_path / "run", images=640, checkpoint_images=640, optim__lr=1e-2, ema_images=[60], data__sides=[[8, 1.0]])
    assert describe(prior)["classes"] == {"names": ["down", "up"], "null": True}
    assert "down, up" in (prior / "CARD.md").read_text()
    x = 3 * torch.randn(4, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    down, up, either = (float(load(prior, label=label)(x, 3.0).mean()) for label in ("down", "up", None))
    assert down < -0.5 and up > 0.5 and down < either < up


def test_labels_are_left_out_as_often_as_asked() -> None:
    classes, generator = Classes(2, ("a", "b"), has_null=True), torch.Generator().manual_seed(0)
    given = Given(torch.ones(4000, dtype=torch.int64)).dropped(Conditioning(True, 0.3), classes, generator)
    assert given.labels is not None and float((given.labels == 2).float().mean()) == pytest.approx(0.3, abs=0.03)
    sure = Given(torch.ones(50, dtype=torch.int64))
    assert sure.dropped(Conditioning(True, 0.0), Classes(2, ("a", "b")), generator) is sure
    assert Given().dropped(Conditioning(), None, generator).labels is None


def test_runs_that_cannot_work(tmp_path: Path) -> None:
    for changes, says in (
        ({"data": Waves()}, "images of data.train have no label"),
        ({"validation": Waves(30, 6)}, "images of data.validation have no label"),
        ({"validation": Named(30, 6)}, "data.validation has the class other, and data.train has down, up"),
        ({"network__num_class_embeds": 5}, "num_class_embeds is 5, and the data have 2 classes, and one is for any"),
        ({"conditions": {}, "network__num_class_embeds": 2}, "the run has no labels; leave it out"),
        ({"conditions": {"label_dropout": 1.0}}, "label_dropout must be .*below 1"),
        ({"init": "brain-mr-starter", "network": {}}, "of no classes and the run is of the classes down, up with labels"),
    ):
        with pytest.raises(InputError, match=says):
            fit(tmp_path / "wrong", **changes)


def test_a_run_resumes_with_its_classes_and_starts_from_one_of_the_same(tmp_path: Path) -> None:
    fit(tmp_path / "run", images=32)
    with pytest.raises(InputError, match="of other classes than the data have now"):
        fit(tmp_path / "run", images=64, data=Named(), validation=Named(30, 6))
    prior = fit(tmp_path / "run", images=64)
    child = fit(tmp_path / "child", images=8, init=str(prior), network={}, optim__lr=1e-12)
    x = torch.randn(1, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(load(child, label="up")(x, 1.0), load(prior, label="up")(x, 1.0), atol=1e-5, rtol=1e-4)
