"""The data and the network that the training of a prior starts from; what cannot work is refused here."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..codecs import Interval, Recipe
from ..datasets.base import Augment, Batch, Crops, Images, Progress
from ..errors import InputError, first_line
from ..priors.classes import Classes, plain_classes
from ..priors.parametrisations import Parametrisation
from .batches import WEIGHTS, stream
from .conditioning import classes_of_run, network_with_reference, with_classes
from .config import Config, CropConfig
from .loss import target_of
from .runtime import continue_default_stream


@dataclass(frozen=True)
class ImageData:
    """The images of a run, how crops are made of them, their classes, and whether another image lies beside each."""

    train: Images
    validation: Images
    augment: Augment
    classes: Classes | None = None
    referenced: bool = False

    @property
    def reference_channels(self) -> int:
        """Of the other image beside each, 0 where it plays no part."""
        return self.train.reference_channels if self.referenced else 0

    @property
    def channels(self) -> int:
        """Of a crop."""
        return self.augment.channels or self.train.channels

    @property
    def counts(self) -> list[int]:
        """Images to train on and to validate."""
        return [len(self.train), len(self.validation)]

    def prepare(self, progress: Progress) -> None:
        """Does what is slow and done once."""
        for images in (self.train, self.validation):
            images.prepare(progress)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the classes."""
        return () if self.classes is None else self.classes.names

    def training_crops(self, config: CropConfig) -> Crops:
        """The crops that are trained on."""
        return Crops(self.train, self.augment, seed=config.seed, classes=self.names, referenced=self.referenced)

    def validation_crops(self, config: CropConfig) -> Batch:
        """The crops that are scored, always the same."""
        crops = Crops(self.validation, self.augment, seed=config.seed + 1, classes=self.names, referenced=self.referenced)
        return Batch.of([crops.batch((k, config.data.scored_side)) for k in range(config.data.validation_crops)])


@dataclass(frozen=True)
class Initial:
    """A network at the start of a run.

    Attributes:
        net: with its first weights.
        channels: of one image.
        network: the configuration that builds it, `_class_name` included.
        multiple: height and width must be multiples of this.
        size: the only (height, width) it accepts, or None.
        target: what it predicts.
        recipe: how a user's image becomes its coordinates.
        parent: name and sha256 of the prior whose weights it has, or None.
    """

    net: torch.nn.Module
    channels: int
    network: dict[str, Any]
    target: Parametrisation
    recipe: Recipe
    multiple: int
    size: tuple[int, int] | None = None
    parent: dict[str, str] | None = None


def stated_classes(data: ImageData) -> dict[str, Any]:
    """What checkpoints and `prior.json` say of the classes of a run; nothing where it has none."""
    return {} if data.classes is None else {"classes": plain_classes(data.classes)}


def check_classes(facts: Mapping[str, Any], data: ImageData, out: str) -> None:
    """Refuses to resume a run whose checkpoints are of other classes than its data have."""
    if facts.get("classes") != stated_classes(data).get("classes"):
        raise InputError(f"{out} holds checkpoints of a run of other classes than the data have now; give another out, or the "
                         "labels of that run to resume it")


def load_images(
    config: CropConfig, images: Images | None, validation: Images | None, augment: Augment | None
) -> ImageData:
    """The data of a run.

    Raises:
        InputError: none, of no use, or a patient or scene that is in both.
    """
    from .. import datasets

    for given, sources, name in (
        (images, config.data.train, "train"),
        (validation, config.data.validation, "validation"),
    ):
        if given is None and not sources:
            raise InputError(
                f"data.{name} is empty; name at least one source of images, "
                "such as {kind: pictures, files: images/}"
            )
    train = datasets.images(config.data.train) if images is None else images
    held_out = datasets.images(config.data.validation) if validation is None else validation
    augmentation = datasets.augmentation(config.data.augment) if augment is None else augment
    for data, name in ((train, "train"), (held_out, "validation")):
        if len(data) == 0:
            raise InputError(f"data.{name} holds no images; check its paths and splits")
    if train.channels != held_out.channels:
        raise InputError(
            f"training images have {train.channels} channels and validation images {held_out.channels}"
        )
    datasets.check_light(augmentation, train)
    datasets.disjoint(train, held_out)
    classes, referenced = classes_of_run(config.conditioning, train, held_out), config.conditioning.reference
    if referenced:
        for data in (train, held_out):  # which refuse what has none
            Crops(data, augmentation, seed=config.seed, referenced=True)
        if train.reference_channels != held_out.reference_channels:
            raise InputError(f"reference images to train on have {train.reference_channels} channels and those to validate with "
                             f"{held_out.reference_channels}; take sources of one sort")
    return ImageData(train, held_out, augmentation, classes, referenced)


def initial_network(config: Config, data: ImageData) -> Initial:
    """The network, new or a parent's, that fits the data.

    Raises:
        InputError: a network that cannot be built, a parent that cannot be read, or one that does not fit.
    """
    initial = _new(config, data) if config.init is None else _child(config, config.init, data)
    if initial.channels != data.channels:
        raise InputError(
            f"the network takes {initial.channels} channels and the crops have {data.channels}; set "
            f"network.in_channels and network.out_channels to {data.channels}, or take other data"
        )
    check_sides(config, initial.multiple)
    return initial


def check_sides(config: CropConfig, multiple: int, *, least: int = 1, name: str = "network") -> None:
    """Refuses crops whose sides are no multiples of a number, or less than `least`."""
    sides = [side for side, _ in config.data.sides]
    sides += [] if config.data.validation_side is None else [config.data.validation_side]
    if wrong := [side for side in sides if side % multiple or side < least]:
        raise InputError(f"sides of {', '.join(map(str, wrong))} pixels do not fit the {name}; data.sides and "
                         f"data.validation_side must be multiples of {multiple}{f', of {least} at least' if least > 1 else ''}")


def _new(config: Config, data: ImageData) -> Initial:
    if not config.network:
        raise InputError("give network, the arguments of a UNet2DModel, or init, a prior to start from")
    net, network = _build(config, data)
    return Initial(
        net,
        data.channels if data.referenced else network.get("in_channels", 3),
        network,
        target_of(config.objective),
        data.train.recipe,
        multiple_of(network),
    )


def _child(config: Config, init: str, data: ImageData) -> Initial:
    from ..priors.classes import described_classes
    from ..priors.network_files import CONFIG
    from ..priors.store import describe, find, load, reference_channels

    about, recipe, folder = describe(init), data.train.recipe, find(init)
    known = described_classes(about, json.loads((folder / CONFIG).read_text(encoding="utf-8")), folder)
    if known != data.classes:
        raise InputError(
            f"{init} is a prior of {_said(known)} and the run is of {_said(data.classes)}; take another parent, or set "
            "conditions and data as for it"
        )
    known_reference = reference_channels(about, folder)
    if known_reference not in (0, data.reference_channels):
        raise InputError(
            f"{init} is a prior with {known_reference} channels of reference images and the run has "
            f"{data.reference_channels or 'none'}; take another parent, or set conditions.reference as for it"
        )
    parent = load(init, label=None if known is None else known.names[0])
    if parent.recipe is not None and type(parent.recipe) is not type(recipe):
        raise InputError(
            f"{init} is a prior of {type(parent.recipe).__name__} images and the data are "
            f"{type(recipe).__name__}; take other data or another parent"
        )
    net, network = parent.net, json.loads((find(init) / CONFIG).read_text(encoding="utf-8"))
    if config.network:
        net, network = _build(config, data)
        try:
            net.load_state_dict(parent.net.state_dict())
        except RuntimeError as error:
            wrong = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
            raise InputError(
                f"the weights of {init} do not fit the network of the config ({wrong}); "
                "leave network out to take the parent's"
            ) from error
    elif known_reference != data.reference_channels:
        net, network = _widened(parent.net, network, config, data)
    target = parent.parametrisation if config.objective.kind is None else target_of(config.objective)
    for weight in net.parameters():
        weight.requires_grad_(True)
    card = about.get("card")
    name = card.get("name") if isinstance(card, dict) else None
    origin = {"name": name or Path(init).name, "sha256": about["sha256"]}
    if isinstance(
        parent.recipe, Interval
    ):  # a unit of the images, unlike a quantile, which scales the network's input
        recipe = parent.recipe
    return Initial(net, parent.channels, network, target, recipe, about["multiple"], parent.size, origin)


def _widened(net: torch.nn.Module, network: dict[str, Any], config: Config, data: ImageData) -> tuple[torch.nn.Module,
                                                                                                      dict[str, Any]]:
    """A network that takes a reference image, of one that takes none: the new weights are zero, so that it begins as it was."""
    from ..priors.unet import UNet2DModel

    if not isinstance(net, UNet2DModel):
        raise InputError(f"{config.init} is a {type(net).__name__}, and only a UNet2DModel can be given the channels of a "
                         "reference image; take such a parent, or train without init")
    first = net.conv_in.weight.detach()
    network = network_with_reference(network, config.conditions, data.channels, data.reference_channels)
    added = first.new_zeros(len(first), network["in_channels"] - first.shape[1], *first.shape[2:])
    wider = drawn_network(network, config.seed)
    wider.load_state_dict(net.state_dict() | {"conv_in.weight": torch.cat([first, added], 1)})
    return wider, network


def _said(classes: Classes | None) -> str:
    if classes is None:
        return "no classes"
    return f"the classes {', '.join(classes.names) or classes.number}{' with labels left out' if classes.has_null else ''}"


def _build(config: Config, data: ImageData) -> tuple[torch.nn.Module, dict[str, Any]]:
    """The network of a config, its first weights drawn from the seed."""
    network = with_classes({"_class_name": "UNet2DModel"} | config.network, data.classes)
    network = network_with_reference(network, config.conditions, data.channels, data.reference_channels)
    return drawn_network(network, config.seed), network


def drawn_network(network: dict[str, Any], seed: int) -> torch.nn.Module:
    """A network by its configuration, its first weights drawn from a seed.

    Raises:
        InputError: arguments that the network cannot take.
    """
    from ..priors.architectures import build_network

    with torch.random.fork_rng(devices=[]):
        continue_default_stream(stream(seed, WEIGHTS))
        try:
            return build_network(network)
        except InputError:
            raise
        except Exception as error:  # whatever the library says of arguments it cannot take
            raise InputError(
                f"network cannot be built: {first_line(error)}"
            ) from error


def multiple_of(network: dict[str, Any]) -> int:
    """2 to the number of halvings: one fewer than there are levels."""
    return 2 ** (len(network.get("block_out_channels", (224, 448, 672, 896))) - 1)
