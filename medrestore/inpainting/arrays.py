"""Frames in memory: what `medrestore inpaint` does to one frame, on NumPy or torch arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..io.frames.base import Frames
from ..io.frames.masks import Masks
from ..io.scenes.base import Scene
from ..priors import Prior, opened
from ..settings import check_names
from .frame import check_inpaint_plan
from .plan import Plan
from .scene import fill_frames, grown, inspect_scene

A = TypeVar("A", np.ndarray, Tensor)


def inpaint(
    frame: A,
    mask: np.ndarray | Tensor,
    *,
    prior: Prior | str | Path | None = None,
    mask_means: Literal["hole", "keep"] | None = None,
    plan: Plan | None = None,
    device: torch.device | str | None = None,
    allow_large_hole: bool = False,
    **plan_fields: Any,
) -> A:
    """A frame with its hole filled, as `medrestore inpaint` fills it.

    Args:
        frame: (height, width, 3) or (3, height, width) uint8 RGB, a NumPy array or a tensor.
        mask: (height, width), bool or uint8 of 0 and 255.
        prior: of RGB pictures, loaded on `device` (for many frames, load it once), or its folder or name;
            None takes that of the plan.
        mask_means: what True or white means in the mask, "hole" or "keep"; None takes that of the plan, or
            "hole".
        plan: all that decides the fill; None takes the defaults of `Plan`.
        device: where to compute; None for the device of a tensor, the CPU for a NumPy array.
        allow_large_hole: accept a mask that hides more than half of the frame.
        plan_fields: fields of the plan that are to have other values, such as `steps=50` or `grow=3`.

    Returns:
        A new array of the kind, layout and device of `frame`; pixels that the mask, once grown, does not hide
        are those of `frame`, bit by bit.

    Raises:
        InputError: an array of another type or shape, a mask that hides nothing, everything or, without
            leave, more than half, an unknown field or value of the plan, a prior that is missing or does not
            suit it.
    """
    pixels, channels_last = _frame_array(frame, mask)
    plan = _changed_plan(plan or Plan(), mask_means, prior, plan_fields)
    if device is None:
        device = frame.device if isinstance(frame, Tensor) else "cpu"
    if not isinstance(prior, Prior):
        prior = opened(plan.prior, plan, device=str(device), bf16=plan.bf16)
    check_inpaint_plan(plan, prior)
    scene = Scene(
        "the frame",
        ArrayFrames([pixels], "the frame"),
        Masks(ArrayFrames([_to_numpy(mask)], "the mask"), plan.mask_means,
              hole_values=plan.hole_values or ()),
    )
    inspect_scene(grown(scene, plan.grow), prior, plan, allow_large_hole=allow_large_hole)
    (filled,) = fill_frames(scene, prior, plan, device=device)
    made = filled.frame.permute(1, 2, 0).contiguous() if channels_last else filled.frame
    return made.to(frame.device) if isinstance(frame, Tensor) else made.numpy()


class ArrayFrames(Frames):
    """Pictures in memory as a sequence of frames.

    Args:
        pictures: (height, width, 3) or (height, width) uint8 each, at least one.
        where: their name in messages.
    """

    lossless = True

    def __init__(self, pictures: Sequence[np.ndarray], where: str) -> None:
        first = pictures[0]
        self.where, self.size, self.channels = where, first.shape[:2], 3 if first.ndim == 3 else 1
        self._pictures = pictures

    def __len__(self) -> int:
        return len(self._pictures)

    def _read(self, index: int) -> np.ndarray:
        return self._pictures[index]


def _to_numpy(given: np.ndarray | Tensor) -> np.ndarray:
    return given.detach().cpu().numpy() if isinstance(given, Tensor) else given


def _frame_array(frame: np.ndarray | Tensor, mask: np.ndarray | Tensor) -> tuple[np.ndarray, bool]:
    """The frame as (height, width, 3), and whether it was given so; refuses other types and shapes."""
    for name, given in (("frame", frame), ("mask", mask)):
        if not isinstance(given, np.ndarray | Tensor):
            raise InputError(f"{name} must be a NumPy array or a tensor, got {type(given).__name__}")
    pixels, size = _to_numpy(frame), tuple(mask.shape)
    if pixels.dtype != np.uint8:
        raise InputError(f"frame must be uint8 with values from 0 to 255, got {pixels.dtype}; convert it, "
                         "from values in [0, 1] by rounding 255 * frame")
    if len(size) != 2:
        raise InputError(f"mask must be (height, width), got {size}")
    if pixels.shape == (*size, 3):
        return pixels, True
    if pixels.shape == (3, *size):
        return pixels.transpose(1, 2, 0), False
    raise InputError(
        f"frame must be {(*size, 3)} or {(3, *size)} to go with a mask of {size}, got {pixels.shape}"
    )


def _changed_plan(plan: Plan, mask_means: Literal["hole", "keep"] | None, prior: Prior | str | Path | None,
          changes: Mapping[str, Any]) -> Plan:
    """The plan with other values in some of its fields."""
    check_names(Plan, changes)
    if isinstance(prior, str | Path):
        changes = {**changes, "prior": str(prior)}
    return replace(plan, mask_means=mask_means or plan.mask_means or "hole", **changes)
