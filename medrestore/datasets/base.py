"""Training data: clean images, and augmented crops of them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..codecs import Recipe
from ..errors import InputError

Progress = Callable[[str, int], Callable[[], None]]  # (label, total) -> advance by one


class Grouped(Protocol):
    """Data of patients or scenes."""

    def groups(self) -> set[str]:
        """The names of all patients or scenes."""
        ...


class Images(ABC):
    """Clean images to learn from, read one at a time; no file stays open between reads.

    They can be pickled, and read by several processes at once.

    Attributes:
        channels: of every image.
        recipe: how a user's image becomes a prior's coordinates when the prior learns from these.
        reference_channels: of another image of the same object beside each; 0 where there is none.
    """

    channels: int
    recipe: Recipe
    reference_channels: int = 0

    @abstractmethod
    def __len__(self) -> int:
        """The number of images."""

    @abstractmethod
    def __getitem__(self, index: int) -> Tensor:
        """Image `index`, (channels, height, width) float32 in the prior's coordinates; sizes may differ."""

    @abstractmethod
    def group_of(self, index: int) -> str:
        """The patient or scene that image `index` shows: training and validation may not share one."""

    def label_of(self, index: int) -> str | None:
        """The class that image `index` is of, by name; None where the source tells none."""
        return None

    def reference_of(self, index: int) -> Tensor:
        """Another image of what image `index` shows, registered to it: (reference_channels, height, width) float32, about 1 at
        its brightest.

        Raises:
            InputError: the source has none.
        """
        raise InputError(f"{type(self).__name__} has no reference images; give the source `contrasts` and `reference`, or take "
                         "kind: pairs")

    def classes(self) -> set[str | None]:
        """The classes of all images, None among them where an image has none."""
        return {self.label_of(index) for index in range(len(self))}

    def groups(self) -> set[str]:
        """All patients or scenes; needs no `prepare`."""
        return {self.group_of(index) for index in range(len(self))}

    def prepare(self, progress: Progress | None = None) -> None:
        """Does the slow work that is needed once; call it in one process before others read. Otherwise the
        first read does it.

        Args:
            progress: `(label, total) -> advance`, for a progress bar.
        """
        return


@runtime_checkable
class PairAugment(Protocol):
    """An augmentation that crops two images of one object alike."""

    def pair(self, image: Tensor, reference: Tensor, side: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """A random crop of `image`, and that of `reference` (channels, height, width) of the same place, each side x side."""


class Augment(Protocol):
    """Turns an image into a crop to train on."""

    @property
    def channels(self) -> int | None:
        """Of the crop; None when it has those of the image."""

    def __call__(self, image: Tensor, side: int, generator: torch.Generator) -> Tensor:
        """A random crop (channels, side, side) of `image` (channels, height, width); all chance comes from
        `generator`.
        """


@runtime_checkable
class Symmetric(Protocol):
    """An augmentation whose crops lie one way as often as the other."""

    @property
    def symmetries(self) -> tuple[str, ...]:
        """The ways, by their names in `priors.symmetries`."""


@dataclass(frozen=True)
class Batch:
    """Crops, and what is known of them.

    Attributes:
        images: (crop, channels, side, side).
        labels: (crop,) int64, the numbers of their classes; None where classes play no part.
        references: (crop, channels, side, side) other images of the same places; None where they play no part.
    """

    images: Tensor
    labels: Tensor | None = None
    references: Tensor | None = None

    def __len__(self) -> int:
        return len(self.images)

    @classmethod
    def of(cls, crops: Sequence["Batch"]) -> "Batch":
        """Crops of one side as one batch."""
        labels = [one.labels for one in crops if one.labels is not None]
        references = [one.references for one in crops if one.references is not None]
        return cls(torch.cat([one.images for one in crops]), torch.cat(labels) if labels else None,
                   torch.cat(references) if references else None)

    def pin_memory(self) -> "Batch":
        """The batch in memory from which a GPU copies while it computes."""
        return Batch(self.images.pin_memory(), None if self.labels is None else self.labels.pin_memory(),
                     None if self.references is None else self.references.pin_memory())

    def to(self, device: torch.device, memory_format: torch.memory_format = torch.preserve_format) -> "Batch":
        """The batch on a device."""
        return Batch(self.images.to(device, non_blocking=True, memory_format=memory_format),
                     None if self.labels is None else self.labels.to(device, non_blocking=True),
                     None if self.references is None else self.references.to(device, non_blocking=True))


class Crops(Dataset[Tensor]):
    """Augmented crops, each a pure function of the seed and its position, so that a run may stop and go on
    anywhere.

    Every image comes once an epoch, in an order of its own for each epoch.

    Args:
        images: where the crops come from.
        augment: how.
        seed: of the order and of every crop.
        classes: the names of the classes in the order of their numbers; none where they play no part.
        referenced: whether other images of the same places are given too.

    Raises:
        InputError: there are none, or the augmentation cannot crop two images alike.
    """

    def __init__(self, images: Images, augment: Augment, *, seed: int, classes: Sequence[str] = (),
                 referenced: bool = False) -> None:
        self.images, self.augment, self.seed, self.classes = images, augment, seed, tuple(classes)
        self.pairs = augment if referenced and isinstance(augment, PairAugment) else None
        if referenced and self.pairs is None:
            raise InputError("reference images need an augmentation that crops two images alike; take complex_mr or crop")
        if referenced and not images.reference_channels:
            raise InputError("conditions.reference: the images have no reference images; give every source `contrasts` and "
                             "`reference`, or take kind: pairs")
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.long)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, at: tuple[int, int]) -> Tensor:
        """The crop at (position counted over all epochs, side in pixels), (channels, side, side) float32."""
        position, side = at
        return self._crop(self._number(position), position, side)

    def batch(self, at: tuple[int, int]) -> Batch:
        """The crop at (position, side) as a batch of one, with what is known of it."""
        position, side = at
        number = self._number(position)
        labels = torch.tensor([self._class_of(number)]) if self.classes else None
        if self.pairs is None:
            return Batch(self._crop(number, position, side)[None], labels)
        crop, reference = self.pairs.pair(self.images[number], self.images.reference_of(number), side,
                                          _stream(self.seed, 1, position))
        return Batch(crop[None], labels, reference[None])

    def _number(self, position: int) -> int:
        """The image at a position."""
        epoch, within = divmod(position, len(self.images))
        if epoch != self._epoch:
            self._order = torch.randperm(len(self.images), generator=_stream(self.seed, 0, epoch))
            self._epoch = epoch
        return int(self._order[within])

    def _crop(self, number: int, position: int, side: int) -> Tensor:
        return self.augment(self.images[number], side, _stream(self.seed, 1, position))

    def _class_of(self, number: int) -> int:
        label = self.images.label_of(number)
        if label not in self.classes:
            raise InputError(f"image {number} of {self.images.group_of(number)} is of the class {label!r}, and those of the run "
                             f"are {', '.join(self.classes)}; correct the labels of the data")
        return self.classes.index(label)


def _stream(seed: int, purpose: int, number: int) -> torch.Generator:
    """A generator of its own for each (seed, purpose, number).

    The finaliser of SplitMix64 (Steele, Lea & Flood, OOPSLA 2014) spreads all 64 bits over the low 32, the
    only ones that torch's generator takes.
    """
    mask = (1 << 64) - 1
    z = ((seed * 2 + purpose) * 0x9E3779B97F4A7C15 + number * 0xD1342543DE82EF95) & mask
    z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ z >> 27) * 0x94D049BB133111EB) & mask
    return torch.Generator().manual_seed((z ^ z >> 31) >> 1)
