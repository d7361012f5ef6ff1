"""Classifiers of noisy images on disk: a folder like that of a prior, with `classifier.json`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ..codecs import Recipe
from ..errors import InputError
from . import store
from .classes import Classes, plain_classes, read_classes
from .classifier import NetworkClassifier
from .descriptions import described_coordinates, read_description
from .encoder import EncoderUNet
from .network_files import CONFIG, WEIGHTS, device_of, network_config, read_network
from .parametrisations import Parametrisation

FILE = "classifier.json"


def save(folder: Path, net: torch.nn.Module, *, parametrisation: Parametrisation, recipe: Recipe | None, channels: int,
         multiple: int, classes: Classes, card: dict[str, Any], size: tuple[int, int] | None = None,
         facts: Mapping[str, Any] | None = None) -> None:
    """Writes a classifier and what it must say of itself.

    Args:
        folder: made when missing; `unet/` with the network and `classifier.json` go there.
        parametrisation: how a noisy image and its level become the input and the time of the network.
        card, facts, others: as `store.save`.
    """
    named = {"classes": plain_classes(classes)} if classes.names else {}
    store.save(folder, net, parametrisation=parametrisation, recipe=recipe, channels=channels, multiple=multiple, size=size,
               card=card, facts={**(facts or {}), **named}, file=FILE)


def describe(name: str | Path) -> dict[str, Any]:
    """`classifier.json` of a classifier, checked for its fields.

    Raises:
        InputError: no such classifier, or a description that cannot be read.
    """
    path = Path(name) / FILE
    if not path.is_file():
        raise InputError(f"no classifier at {name}: give a folder that holds {FILE}, as medrestore train and convert make it")
    return read_description(path)


def load(name: str | Path, *, device: torch.device | str = "cpu") -> NetworkClassifier:
    """A classifier from its folder, checked against its hashes.

    Raises:
        InputError: missing, truncated, altered or mismatching files, each in one sentence.
    """
    about, folder = describe(name), Path(name)
    parametrisation, recipe = described_coordinates(about, folder)
    config = network_config(folder, "unet", about)
    if config.get("_class_name") != EncoderUNet.__name__:
        raise InputError(f"{folder} has a {config.get('_class_name')}, and a classifier is an {EncoderUNet.__name__}; "
                         "convert or train it again")
    net = read_network(folder, WEIGHTS, config, about["sha256"]).to(device_of(device))
    if config.get("in_channels") != about["channels"]:
        raise InputError(f"{folder}/{FILE} speaks of {about['channels']} channels and {CONFIG} of "
                         f"{config.get('in_channels')}; copy the classifier again")
    number = config["classes"]
    classes = read_classes(about["classes"], number, f"{folder}/{FILE}") if "classes" in about else Classes(number)
    return NetworkClassifier(net, parametrisation, classes=classes, channels=about["channels"], multiple=about["multiple"],
                             size=tuple(about["size"]) if about.get("size") else None, recipe=recipe)
