"""What a network is given of each image of a batch beside the noisy one, and how it is left out at random."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import torch
from torch import Tensor

from ..datasets.base import Batch, Images
from ..errors import InputError
from ..priors.classes import Classes, embeds
from ..priors.parametrisations import Network
from ..settings import Bounds, Checked

MOST_CLASSES = 100_000
Share = Annotated[float, Bounds(at_least=0, below=1)]


@dataclass(frozen=True)
class Conditioning(Checked):
    """What a network is told of an image beside the noisy one.

    Args:
        labels: the class of each image, which every source of `data` must tell (docs/conditions.md).
        label_dropout: share of the crops without their label; above 0 the prior does without a label too, and takes
            classifier-free guidance.
        reference: another image of the same object beside the noisy one, which every source of `data` must have.
        reference_dropout: share of the crops without it; at 0 the prior never does without.
    """

    labels: bool = False
    label_dropout: Share = 0.1
    reference: bool = False
    reference_dropout: Share = 0.5


def classes_of_run(conditioning: Conditioning, train: Images, validation: Images) -> Classes | None:
    """The classes of a run, in the order of their names; None where it has none.

    Raises:
        InputError: an image without a class, or a class that is validated and not trained on.
    """
    if not conditioning.labels:
        return None
    found, others = train.classes(), validation.classes()
    for name, labels in (("train", found), ("validation", others)):
        if None in labels or not labels:
            raise InputError(f"conditions.labels: images of data.{name} have no label; give every source `labels` (npz, "
                             "pictures) or `label`, one class for all of its images, or leave conditions.labels out")
    names = sorted(label for label in found if label is not None)
    unknown = sorted(label for label in others - found if label is not None)
    if unknown:
        raise InputError(f"data.validation has the class {unknown[0]}, and data.train has {', '.join(names[:20])}; "
                         "take images of the same classes")
    if len(names) > MOST_CLASSES:
        raise InputError(f"data.train has {len(names)} classes, more than {MOST_CLASSES}; the labels look like names of images")
    return Classes(len(names), tuple(names), conditioning.label_dropout > 0)


def with_classes(network: dict[str, Any], classes: Classes | None) -> dict[str, Any]:
    """The arguments of a network that embeds the classes of a run.

    Raises:
        InputError: the arguments state another number.
    """
    given = embeds(network)
    if classes is None:
        if given is not None:
            raise InputError("the network is conditioned on classes (num_class_embeds), and the run has no labels; leave it out, "
                             "or set conditions.labels and label the data")
        return network
    if given not in (None, classes.embedded):
        raise InputError(f"num_class_embeds is {given}, and the data have {classes.number} classes"
                         f"{', and one is for any' if classes.has_null else ''}; leave it out")
    return network | {"num_class_embeds": classes.embedded}


def network_with_reference(network: dict[str, Any], conditioning: Conditioning, channels: int, reference: int) -> dict[str, Any]:
    """The arguments of a network that takes a reference image, and a channel that says whether there is one.

    Args:
        channels, reference: of the images, and of those beside them.

    Raises:
        InputError: the arguments state another number.
    """
    if not conditioning.reference:
        return network
    wanted = {"in_channels": channels + reference + 1, "out_channels": channels}
    for name, number in wanted.items():
        if network.get(name, number) not in (number, channels):
            raise InputError(f"network.{name} is {network[name]}, and with the reference image and a channel for whether there "
                             f"is one it must be {number}; leave it out")
    return network | wanted


@dataclass(frozen=True)
class Given:
    """What a network is given of each image of a batch.

    Attributes:
        labels: (batch,) numbers of classes, or None.
        beside: (batch, channels, height, width) reference images and a channel of ones, zero where there is none; or None.
    """

    labels: Tensor | None = None
    beside: Tensor | None = None

    @classmethod
    def of(cls, batch: Batch) -> "Given":
        """All that is known of the images."""
        reference = batch.references
        return cls(batch.labels, None if reference is None else torch.cat([reference, torch.ones_like(reference[:, :1])], 1))

    def dropped(self, conditioning: Conditioning, classes: Classes | None, generator: torch.Generator) -> "Given":
        """The same with a share of it left out at random."""
        made = self
        if self.labels is not None and classes is not None and classes.null is not None:
            chance = torch.rand(len(self.labels), generator=generator, device=generator.device)
            made = replace(made, labels=self.labels.masked_fill(chance < conditioning.label_dropout, classes.null))
        if self.beside is not None and conditioning.reference_dropout > 0:
            chance = torch.rand(len(self.beside), 1, 1, 1, generator=generator, device=generator.device)
            made = replace(made, beside=self.beside * (chance >= conditioning.reference_dropout))
        return made

    def at(self, numbers: Sequence[int]) -> "Given":
        """That of some images of the batch."""
        at = list(numbers)
        return Given(None if self.labels is None else self.labels[at], None if self.beside is None else self.beside[at])

    def network(self, net: torch.nn.Module) -> Network:
        """The network, given this, as a function (x, t) to float32; those of diffusers return an object with a `sample`."""
        told = {} if self.labels is None else {"class_labels": self.labels}

        def predict(x: Tensor, t: Tensor) -> Tensor:
            output = net(x if self.beside is None else torch.cat([x, self.beside], 1), t, **told)
            return (output if isinstance(output, Tensor) else output.sample).float()

        return predict


Told = Callable[[Sequence[int]], Network]  # the numbers of images of a batch -> the network, told what is known of them
