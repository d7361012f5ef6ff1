"""Images in memory: what the commands do to files, on NumPy or torch arrays."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..priors import Prior
from ..settings import suggested
from .blind import kernel_of, with_kernel
from .codes import opened_for_images, settled_by_prior
from .degradation import Degradation
from .degrading import degraded
from .plan import DegradePlan, Plan
from .restore import Measured, prepare, restore_slice

A = TypeVar("A", np.ndarray, Tensor)
P = TypeVar("P", Plan, DegradePlan)
READ = ("axis", "slices", "keep_samples")  # fields of how files are read and written


@dataclass(frozen=True)
class RestoredImage(Generic[A]):
    """A restored image, arrays of the kind and layout of what was given, float32 in its units.

    Attributes:
        image: the mean of the samples.
        samples: with a leading axis of samples.
        std: spread of the samples, zero for one sample.
        simple: the image without a prior, A^+ y, or what was given where it has the size of the image; None where neither is.
        misfit: |A x - y| over what the noise explains, about 1; relative to |y| without noise.
        noise_std: of the data, in the units of the image; `noise_source` says where it is from.
        kernel: (side, side), of a blur whose kernel was not known; None for all else.
    """

    image: A
    samples: A
    std: A
    simple: A | None
    misfit: float
    noise_std: float
    noise_source: str
    kernel: A | None = None

    def __repr__(self) -> str:
        return (
            f"RestoredImage(image {tuple(self.image.shape)}, {len(self.samples)} samples, misfit {self.misfit:.3g}, "
            f"noise {self.noise_std:.3g} {self.noise_source})"
        )


def degrade(image: A, *, plan: DegradePlan | None = None, **plan_fields: Any) -> A:
    """What is left of an image, as `medrestore degrade` makes it.

    Args:
        image: (height, width), (height, width, 3) or (3, height, width); whole or floating-point numbers, grey ones also
            complex. A NumPy array or a tensor.
        plan: all that decides the result; None takes the defaults of `DegradePlan`.
        plan_fields: fields of the plan or of its degradation, such as `task="sr", factor=2, noise_std=3.0`.

    Returns:
        An array of the kind and layout of `image`, float32 or complex64 in its units; coefficients where these are measured.

    Raises:
        InputError: an array of another shape or values that are not finite, an unknown field or value of the plan, or a
            degradation that does not fit the image.
    """
    pixels = _image_tensor(image)
    y = degraded(pixels, _changed(plan or DegradePlan(), plan_fields))
    return _in_kind_of(_laid_out(y[0], image), image)


def restore_image(
    image: A,
    *,
    prior: Prior | str | Path | None = None,
    plan: Plan | None = None,
    device: torch.device | str | None = None,
    **plan_fields: Any,
) -> RestoredImage[A]:
    """A degraded image restored, as `medrestore restore` restores it.

    Args:
        image: as for `degrade`; what is left of the image.
        prior: loaded on `device` (for many images, load it once), or its folder or name; None takes that of the plan.
        plan: all that decides the result; None takes the defaults of `Plan`.
        device: where to compute; None for the device of a tensor, the CPU for a NumPy array.
        plan_fields: fields of the plan or of its degradation, such as `task="sr", factor=2, method="dds", samples=4`.

    Raises:
        InputError: as for `degrade`, or a prior that is missing or does not suit the image, or a method that the operator
            does not serve.
    """
    y = _image_tensor(image)
    plan = _changed(
        plan or Plan(), {**plan_fields, **({"prior": str(prior)} if isinstance(prior, str | Path) else {})}
    )
    colour = y.shape[1] == 3 or plan.degradation.task == "colorize"
    plan = plan.for_images(3 if colour else 1)
    if device is None:
        device = image.device if isinstance(image, Tensor) else "cpu"
    if not isinstance(prior, Prior):
        prior = opened_for_images(plan, str(device))
    plan = settled_by_prior(plan, prior)
    kind = str(image.dtype).removeprefix("torch.")
    measured = Measured(y, step=1.0 if "int" in kind else None, bytes=kind == "uint8")
    setting = with_kernel(prepare(measured, plan, prior), measured, plan, prior, device=device)
    made = restore_slice(setting, y, 0, prior, plan, device=device)
    samples = torch.stack([_laid_out(one, image) for one in made.samples])
    kernel = kernel_of(setting)
    return RestoredImage(
        _in_kind_of(_laid_out(made.mean, image), image),
        _in_kind_of(samples, image),
        _in_kind_of(_laid_out(made.std, image), image),
        None if made.simple is None else _in_kind_of(_laid_out(made.simple, image), image),
        made.misfit,
        setting.sigma,
        setting.noise_source,
        None if kernel is None else _in_kind_of(kernel, image),
    )


def _channels_last(image: np.ndarray | Tensor) -> bool:
    return image.ndim == 3 and image.shape[-1] == 3


def _image_tensor(image: np.ndarray | Tensor) -> Tensor:
    """(1, channel, height, width) float32 or complex64 on the CPU, checked."""
    if not isinstance(image, np.ndarray | Tensor):
        raise InputError(f"image must be a NumPy array or a tensor, got {type(image).__name__}")
    shape = tuple(image.shape)
    if 0 in shape or not (len(shape) == 2 or (len(shape) == 3 and 3 in (shape[0], shape[-1]))):
        raise InputError(
            f"image must be (height, width), (height, width, 3) or (3, height, width), got {shape}"
        )
    given = image.detach().cpu() if isinstance(image, Tensor) else torch.from_numpy(_as_floats(image))
    given = given.to(torch.complex64) if given.is_complex() else given.float()
    if not bool(given.isfinite().all()):
        raise InputError("image has values that are not finite; replace or mask them first")
    if len(shape) == 2:
        return given[None, None]
    if given.is_complex():
        raise InputError(
            "image is complex and has three channels; give one complex image (height, width) at a time"
        )
    return (given.permute(2, 0, 1) if _channels_last(image) else given)[None]


def _as_floats(image: np.ndarray) -> np.ndarray:
    if image.dtype.kind not in "biufc":
        raise InputError(f"image must hold numbers, got {image.dtype}")
    return np.ascontiguousarray(image.astype(np.complex64 if image.dtype.kind == "c" else np.float32))


def _laid_out(made: Tensor, image: np.ndarray | Tensor) -> Tensor:
    """(channel, height, width) as `image` is laid out; a grey one of colour, or the reverse, with the channels last."""
    if made.shape[0] == 1:
        return made[0]
    return made if image.ndim == 3 and not _channels_last(image) else made.permute(1, 2, 0).contiguous()


def _in_kind_of(made: Tensor, image: A) -> A:
    """An array of the kind of `image`."""
    if isinstance(image, Tensor):
        return made.to(image.device)
    return made.resolve_conj().numpy()


def _changed(plan: P, changes: Mapping[str, Any]) -> P:
    """The plan with other values in some of its fields, and of those of its degradation."""
    own = {one.name for one in fields(plan)} - {"degradation"}
    inner = {one.name for one in fields(Degradation)}
    for name in changes:
        if name not in own | inner:
            raise InputError(
                f"{type(plan).__name__}: {name} is no option; {suggested('', name, sorted(own | inner))}"
            )
        if name in READ:
            raise InputError(
                f"{type(plan).__name__}: {name} says how a file is read or written; select from the array"
            )
    done = replace(plan.degradation, **{name: value for name, value in changes.items() if name in inner})
    return replace(plan, degradation=done, **{name: value for name, value in changes.items() if name in own})
