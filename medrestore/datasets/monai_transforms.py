"""MONAI's array transforms as augmentation, by name from a list of allowed ones; no text is evaluated."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError, first_line
from ..extras import extra
from .augment import window

PLAIN = {"Resize", "SpatialPad", "CenterSpatialCrop", "NormalizeIntensity", "ScaleIntensity",
         "ScaleIntensityRange",
         "GaussianSmooth", "Flip", "Rotate90"}  # fmt: skip


class MonaiTransforms:
    """MONAI transforms one after another, then a random window.

    Args:
        listed: each a name or {name: {argument: value}}. Names are those of `monai.transforms` that begin
            with Rand and work on arrays, and a few that draw nothing. Images are (channel, height, width),
            spatial axes 0 and 1.

    Raises:
        InputError: a name that is not allowed, or arguments that the transform refuses.
    """

    channels = None

    def __init__(self, listed: Sequence[str | Mapping[str, Any]]) -> None:
        if not listed:
            raise InputError("augment: the list of MONAI transforms is empty; name some, or write crop.")
        self._steps = [_built_transform(entry) for entry in listed]

    def __call__(self, image: Tensor, side: int, generator: torch.Generator) -> Tensor:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # MONAI and torch warn of their own deprecations
            from monai.transforms import Randomizable

            for step in self._steps:
                if isinstance(step, Randomizable):
                    step.set_random_state(seed=int(torch.randint(2**31 - 1, (), generator=generator)))
                image = _apply(step, image)
        # no metadata of MONAI's
        plain = torch.as_tensor(image).as_subclass(Tensor).detach().to(torch.float32)
        return window(plain, side, generator)


def _apply(step: Callable[[Tensor], Tensor], image: Tensor) -> Tensor:
    name, size = type(step).__name__, tuple(image.shape)
    try:
        result = step(image)
    except Exception as error:  # what MONAI raises for images that it cannot take has no common type
        why = first_line(error)
        raise InputError(f"augment: MONAI's {name} fails on an image of {size}: {why}; "
                         "change its arguments or leave it out.") from error
    if not isinstance(result, Tensor) or result.ndim != 3:
        raise InputError(f"augment: MONAI's {name} makes no image (channels, height, width) of one of {size}; leave it out.")
    return result


def _built_transform(entry: str | Mapping[str, Any]) -> Callable[[Tensor], Tensor]:
    """One transform."""
    single = isinstance(entry, Mapping) and len(entry) == 1
    name, arguments = (entry, {}) if isinstance(entry, str) else next(iter(entry.items())) if single else (None, {})
    if not isinstance(name, str) or not isinstance(arguments, Mapping | None):
        raise InputError(f"augment: a MONAI transform is a name or {{name: {{argument: value}}}}, got {entry!r}.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with extra("monai", "augment: a transform of MONAI"):
            from monai import transforms

        # those work on dictionaries
        random = name.startswith("Rand") and not name.endswith(("d", "D", "Dict"))
        if not (random or name in PLAIN) or name not in dir(transforms):
            allowed = ", ".join(sorted(PLAIN))
            raise InputError(f"augment: {name!r} is not allowed; use MONAI's array transforms Rand... or {allowed}.")
        make = getattr(transforms, name)
        try:
            result = make(**(arguments or {}))
        except Exception as error:  # what MONAI raises for wrong arguments has no common type
            raise InputError(f"augment: MONAI's {name} refuses {dict(arguments or {})}: {error}.") from error
    return result
