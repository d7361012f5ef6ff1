"""Training starts from a new network or from another prior; what cannot work is refused before any work."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.runs import Crop, Waves, prior_config, train_waves

from medrestore.codecs import CalibratedComplex, Interval
from medrestore.datasets import augmentation
from medrestore.errors import InputError
from medrestore.priors import EDM, Velocity, load, save
from medrestore.priors.architectures import build_network
from medrestore.priors.parametrisations import VarianceExploding
from medrestore.priors.store import describe
from medrestore.training import train


def test_child_has_the_target_of_its_parent_unless_it_names_one(tmp_path: Path) -> None:
    parent = train_waves(tmp_path / "parent", objective__kind="velocity")
    tender = {"network": {}, "init": str(parent), "images": 8, "optim__lr": 1e-12}
    child = train_waves(tmp_path / "child", objective={}, **tender)
    assert isinstance(load(child).parametrisation, Velocity)
    pairs = zip(load(parent).net.parameters(), load(child).net.parameters(), strict=True)
    assert all(torch.allclose(old, new, atol=1e-6) for old, new in pairs)
    assert describe(child)["card"]["parent"] == {"name": "unnamed", "sha256": describe(parent)["sha256"]}
    assert describe(parent)["sha256"] in (child / "CARD.md").read_text()
    named = train_waves(tmp_path / "named", objective={"kind": "edm"}, **tender)
    assert isinstance(load(named).parametrisation, EDM)
    with pytest.raises(InputError, match=r"do not fit the network of the config \(size mismatch .*leave network out"):
        train_waves(tmp_path / "wrong", **tender | {"network": dict(prior_config(tmp_path).network, block_out_channels=[8, 24])})


def test_score_network_as_parent_takes_the_recipe_of_the_data(tmp_path: Path) -> None:
    """NCSN++ names its channels otherwise; its description may lack a card."""
    made = {"_class_name": "NCSNpp", "channels": 2, "width": 8, "mults": [1, 1], "blocks": 1, "attention": [False, False]}
    net = build_network(made)
    net.frequencies.copy_(torch.linspace(-1, 1, 8))
    parent = tmp_path / "parent"
    save(parent, net, parametrisation=VarianceExploding((0.01, 10.0)), recipe=CalibratedComplex(0.9), channels=2, multiple=2,
         card={}, config=made)
    about = json.loads((parent / "prior.json").read_text())
    del about["card"]
    (parent / "prior.json").write_text(json.dumps(about))
    child = load(train_waves(tmp_path / "child", network={}, init=str(parent), images=8))
    assert isinstance(child.parametrisation, VarianceExploding) and child.channels == 2
    assert child.recipe == Waves.recipe != CalibratedComplex(0.9)
    with pytest.raises(InputError, match="gradient_checkpointing: NCSNpp cannot do it"):
        train_waves(tmp_path / "other", network={}, init=str(parent), gradient_checkpointing=True)


class Pictures(Waves):
    """In another unit than a parent's."""

    recipe = Interval(0.0, 1.0)


def test_child_has_the_range_of_its_parent(tmp_path: Path) -> None:
    made = prior_config(tmp_path).network
    parent = tmp_path / "parent"
    save(parent, build_network({"_class_name": "UNet2DModel"} | made), parametrisation=EDM(), recipe=Interval(0.0, 255.0),
         channels=2,
         multiple=2, card={})
    child = train_waves(tmp_path / "child", data=Pictures(), network={}, init=str(parent), images=8)
    assert load(child).recipe == Interval(0.0, 255.0)


class Twins(Waves):
    """Of patients that are trained on, too."""

    def __init__(self) -> None:
        super().__init__(9, 6)


class Flat(Waves):
    channels, recipe = 1, Interval(0, 1)


@pytest.mark.parametrize(("given", "changes", "message"), [
    ({"validation": Twins()}, {}, "share patient 3"),
    ({"images": Waves(0, 0)}, {}, "data.train holds no images"),
    ({"images": None}, {}, "data.train is empty; name at least one source"),
    ({"validation": Flat()}, {}, "training images have 2 channels and validation images 1"),
    ({"images": Flat(), "validation": Flat(30)}, {}, "the network takes 2 channels and the crops have 1"),
    ({}, {"data__sides": [[9, 1.0]]}, "sides of 9 pixels do not fit the network; .* must be multiples of 2"),
    ({}, {"data__validation_side": 13}, "sides of 13 pixels do not fit"),
    ({}, {"network__num_class_embeds": 4}, "conditioned on classes"),
    ({"augment": augmentation("frames")}, {}, "frames is for pictures"),
    ({}, {"network": {}}, "give network, the arguments of a UNet2DModel, or init"),
    ({}, {"network__colour": 1}, "network cannot be built: .*colour"),
    ({}, {"network__norm_num_groups": 3}, "network cannot be built"),
    ({}, {"init": "nowhere"}, "no prior at nowhere"),
    ({"images": Flat(), "validation": Flat(30)}, {"init": "brain-mr-starter"}, "CalibratedComplex images and the data are Int"),
    ({}, {"precision": "fp16"}, "fp16 needs a GPU"),
    ({}, {"objective__noise__kind": "schedule"}, "no timesteps"),
])
def test_refusals_before_any_work(tmp_path: Path, given: dict[str, Any], changes: dict[str, Any], message: str) -> None:
    data: dict[str, Any] = {"images": Waves(), "validation": Waves(30, 6), "augment": Crop()} | given
    with pytest.raises(InputError, match=message):
        train(prior_config(tmp_path, **changes), **data)
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------------------------------------------- the pieces
