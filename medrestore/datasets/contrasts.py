"""MR contrasts of one slice: of T1-weighted magnitudes by curves of tissues, and of two sources of registered images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..codecs import CalibratedComplex
from ..errors import InputError, meant
from ..settings import check
from .base import Images, Progress

# T1w magnitudes of air, fluid, grey and white matter, fat and vessels; 1 is the 99 % quantile
TISSUES = (0.0, 0.3, 0.6, 0.85, 1.1, 1.6)
CURVES: Mapping[str, tuple[float, ...]] = {  # what these become; about 1 at the brightest
    "T1w": TISSUES,
    "T2w": (0.0, 1.0, 0.62, 0.42, 0.7, 0.2),
    "FLAIR": (0.0, 0.12, 0.85, 0.62, 0.8, 0.3),
    "PD": (0.0, 0.95, 0.9, 0.72, 0.85, 0.4),
}


def rendered(image: Tensor, contrast: str) -> Tensor:
    """A T1-weighted magnitude slice (1, height, width) in another contrast: each tissue as bright as it is there, about.

    The tissue is told from the T1w magnitude alone, so that what one contrast shows and another hides is not made up: for
    training and tests, not for measurements of what a second contrast adds in patients.
    """
    positive = image[image > 0.02]
    if not len(positive):
        return image
    unit = image / max(float(np.quantile(positive.numpy(), 0.99)), 1e-6)
    return torch.from_numpy(np.interp(unit.numpy(), TISSUES, CURVES[contrast]).astype(np.float32))


class Rendered(Images):
    """The slices of a source of T1w magnitudes, each in some contrasts, which are their labels.

    Args:
        source: of magnitudes, one channel.
        contrasts: names in `CURVES`; every slice comes once in each.
        reference: the contrast that lies beside each as its reference image; None for none.

    Raises:
        InputError: an unknown contrast, or a source of other images.
    """

    channels, recipe = 1, CalibratedComplex()

    def __init__(self, source: Images, contrasts: Sequence[str], reference: str | None = None) -> None:
        for name in (*contrasts, *([] if reference is None else [reference])):
            if name not in CURVES:
                raise InputError(f"there is no contrast {name!r} here; known are {', '.join(CURVES)}{meant(name, CURVES)}")
        if not contrasts or len(set(contrasts)) < len(contrasts):
            raise InputError(f"contrasts must be different names, at least one, got {list(contrasts)}")
        if source.channels != 1 or not isinstance(source.recipe, CalibratedComplex):
            raise InputError("contrasts are made of T1w magnitudes, one channel; leave them out, or take magnitudes")
        self.source, self.contrasts, self.reference = source, tuple(contrasts), reference
        self.reference_channels = 0 if reference is None else 1

    def prepare(self, progress: Progress | None = None) -> None:
        self.source.prepare(progress)

    def __len__(self) -> int:
        return len(self.source) * len(self.contrasts)

    def __getitem__(self, index: int) -> Tensor:
        if not 0 <= index < len(self):
            raise IndexError(f"there are {len(self)} images, there is no number {index}")
        return rendered(self.source[index // len(self.contrasts)], self.label_of(index))

    def label_of(self, index: int) -> str:
        return self.contrasts[index % len(self.contrasts)]

    def reference_of(self, index: int) -> Tensor:
        return super().reference_of(index) if self.reference is None else rendered(
            self.source[index // len(self.contrasts)], self.reference)

    def group_of(self, index: int) -> str:
        return self.source.group_of(index // len(self.contrasts))

    def groups(self) -> set[str]:
        return self.source.groups()


@dataclass(eq=False)
class Pairs(Images):
    """Images of one source with those of another beside them, number by number: two contrasts, or two visits, registered.

    Args:
        image: the source of the images, a mapping with its kind.
        reference: that of the images beside them, as many, each of the size of its image.
    """

    image: dict[str, Any] = field(default_factory=dict)
    reference: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        from .sources import images

        check(self)
        if not self.image or not self.reference:
            raise InputError("pairs need image and reference, each a source with its kind")
        self._images, self._others = images(self.image), images(self.reference)
        if len(self._images) != len(self._others):
            raise InputError(f"pairs: image has {len(self._images)} images and reference {len(self._others)}; they are paired "
                             "number by number, so give as many")
        self.channels, self.recipe = self._images.channels, self._images.recipe
        self.reference_channels = 1

    def prepare(self, progress: Progress | None = None) -> None:
        for part in (self._images, self._others):
            part.prepare(progress)

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> Tensor:
        return self._images[index]

    def reference_of(self, index: int) -> Tensor:
        other, size = self._others[index], self._images[index].shape[-2:]
        if other.shape[-2:] != size:
            raise InputError(f"pairs: image {index} is {tuple(size)} and its reference {tuple(other.shape[-2:])}; they must be "
                             "of one size, registered to each other")
        return other[:1] if len(other) != 2 else other.square().sum(0, keepdim=True).sqrt()

    def label_of(self, index: int) -> str | None:
        return self._images.label_of(index)

    def group_of(self, index: int) -> str:
        return self._images.group_of(index)

    def groups(self) -> set[str]:
        return self._images.groups()
