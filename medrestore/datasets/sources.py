"""Datasets by the kinds of a config, mixtures of them, and the separation of training and validation."""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Annotated, Any

import torch
from torch import Tensor

from ..codecs import CalibratedComplex
from ..errors import InputError
from ..settings import Bounds, build, parse
from .arrays import Arrays
from .base import Grouped, Images, Progress
from .brain import Volumes
from .contrasts import Pairs, Rendered
from .dicom import Dicom
from .dreaming import Dreaming
from .fastmri import FastMRI
from .folders import Photographs, Pictures
from .nifti import Nifti
from .phantoms import Phantoms
from .scenes import Scenes

Weight = Annotated[float, Bounds(at_least=0.01, at_most=100)]

KINDS: dict[str, type[Images]] = {
    "fastmri": FastMRI, "nifti": Nifti, "icbm": Nifti, "dicom": Dicom, "volumes": Volumes, "npz": Arrays,
    "pairs": Pairs,
    "phantoms": Phantoms,
    "dreaming": Dreaming, "scenes": Scenes, "pictures": Pictures, "photographs": Photographs,
}  # fmt: skip


def images(sources: Sequence[Mapping[str, Any]] | Mapping[str, Any]) -> Images:
    """The images of one source or of several after one another.

    Args:
        sources: mappings with `kind`, the settings of that kind and, where wanted, `weight`: how often an
            image of the source comes relative to one of the others (default 1). An epoch holds every image at
            least once: weights are divided by the smallest one, and a source of n images then fills n times
            its weight positions, its images repeated evenly in turn. Complex and magnitude sources may be
            mixed; magnitudes then get an imaginary part of 0. `label`: the class of all images of the source, where the
            kind has no labels of its own. `contrasts`, of T1w magnitudes: each slice in each of these contrasts, made by
            curves of tissues, which are its labels; `reference` with it: the contrast that lies beside each.

    Raises:
        InputError: an unknown kind or setting, files that are missing or broken, sources that no one prior
            can learn from.
    """
    listed = [sources] if isinstance(sources, Mapping) else list(sources)
    if not listed:
        raise InputError(f"data: no sources are given; name at least one of the kinds {', '.join(KINDS)}.")
    return Mixture(*zip(*(_source(settings) for settings in listed), strict=True))


def _source(settings: Mapping[str, Any]) -> tuple[Images, str, float, str | None]:
    if not isinstance(settings, Mapping):
        raise InputError(f"data: a source is a mapping with kind and its settings, got {settings!r}.")
    options = dict(settings)
    kind, weight, label = options.pop("kind", None), options.pop("weight", 1.0), options.pop("label", None)
    if not isinstance(kind, str) or kind not in KINDS:
        raise InputError(f"data: kind must be one of {', '.join(KINDS)}, got {kind!r}.")
    weight = parse(Weight, weight, f"data {kind}", "weight")
    label = parse(str | None, label, f"data {kind}", "label")
    rendering = None if kind == "pairs" else _rendering(options, f"data {kind}")
    made = build(KINDS[kind], options, f"data {kind}")
    if rendering is not None:
        try:
            made = Rendered(made, *rendering)
        except InputError as error:
            raise InputError(f"data {kind}: {error}") from error
    return made, "nifti" if kind == "icbm" else kind, weight, label


def _rendering(options: dict[str, Any], where: str) -> tuple[tuple[str, ...], str | None] | None:
    """The contrasts of a source and that of its reference images, taken out of its settings; None where there are none."""
    contrasts = parse(tuple[str, ...] | None, options.pop("contrasts", None), where, "contrasts")
    reference = parse(str | None, options.pop("reference", None), where, "reference")
    if contrasts is None:
        if reference is not None:
            raise InputError(f"{where}: reference is a contrast beside `contrasts`; give these too, or take kind: pairs.")
        return None
    return contrasts, reference


class Mixture(Images):
    """Sources after one another, each repeated by its weight; groups are named by kind, so that kinds cannot
    collide.

    Args:
        parts: the sources.
        kinds: of each.
        weights: of each, relative to one another.
        labels: the class of all images of each, None where the source has labels of its own, or none.
    """

    def __init__(self, parts: Sequence[Images], kinds: Sequence[str], weights: Sequence[float],
                 labels: Sequence[str | None] | None = None) -> None:
        self.parts, self.kinds = tuple(parts), tuple(kinds)
        self._labels = (None,) * len(self.parts) if labels is None else tuple(labels)
        self._weights = tuple(weight / min(weights) for weight in weights)
        self.recipe = self.parts[0].recipe
        self.channels = max(part.channels for part in self.parts)
        for kind, part in zip(self.kinds, self.parts, strict=True):
            alike = part.channels == self.channels or isinstance(self.recipe, CalibratedComplex)
            if part.recipe != self.recipe or not alike:
                raise InputError(
                    f"data: {self.kinds[0]} gives {self.parts[0].channels} channels for {self.recipe} but {kind} gives "
                    f"{part.channels} for {part.recipe}, which one prior cannot learn together; train on sources of one sort."
                )
        self.reference_channels = min(part.reference_channels for part in self.parts)
        self._ends: list[int] | None = None

    def prepare(self, progress: Progress | None = None) -> None:
        for part in self.parts:
            part.prepare(progress)

    def _bounds(self) -> list[int]:
        """The end position of each source; computed late, because a source may need `prepare` before its
        length is known.
        """
        if self._ends is None:
            self._ends = list(accumulate(round(w * len(part)) for w, part in zip(self._weights, self.parts, strict=True)))
        return self._ends

    def _find(self, index: int) -> tuple[int, int]:
        """The source of a position, and the number of the image in it."""
        ends = self._bounds()
        if not 0 <= index < ends[-1]:
            raise IndexError(f"there are {ends[-1]} images, there is no number {index}")
        at = bisect_right(ends, index)
        start = ends[at - 1] if at else 0
        places, count = ends[at] - start, len(self.parts[at])
        full_rounds = places - places % count
        within = index - start
        return at, within % count if within < full_rounds else (within - full_rounds) * count // (places - full_rounds)

    def __len__(self) -> int:
        return self._bounds()[-1]

    def __getitem__(self, index: int) -> Tensor:
        at, number = self._find(index)
        image = self.parts[at][number]
        return image if len(image) == self.channels else torch.cat([image, torch.zeros_like(image)])

    def reference_of(self, index: int) -> Tensor:
        at, number = self._find(index)
        return self.parts[at].reference_of(number)

    def label_of(self, index: int) -> str | None:
        at, number = self._find(index)
        return self._labels[at] or self.parts[at].label_of(number)

    def group_of(self, index: int) -> str:
        at, number = self._find(index)
        return f"{self.kinds[at]}: {self.parts[at].group_of(number)}"

    def groups(self) -> set[str]:
        return {f"{kind}: {name}"
                for kind, part in zip(self.kinds, self.parts, strict=True) for name in part.groups()}


def disjoint(train: Grouped, validation: Grouped) -> None:
    """Refuses to go on when training and validation share a patient or a scene.

    Raises:
        InputError: names one that they share, and how to split.
    """
    shared = sorted(train.groups() & validation.groups())
    if shared:
        others = f" and {len(shared) - 1} more" if len(shared) > 1 else ""
        raise InputError(
            f"Training and validation share {shared[0]}{others}; split by patient or scene (subjects, first, scenes, "
            "numbers, split or other folders), or set group where different ones only have the same name."
        )
