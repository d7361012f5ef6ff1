"""Clean images degraded: what experiments begin with."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import InputError
from ..noise import Noise, white_like
from .operators import DegradationFiles, Size, grain, operator_of
from .plan import DegradePlan
from .restore import SLICE_SEEDS


def cropped(size: Size, plan: DegradePlan) -> Size:
    """The part of an image, from its first corner, that is degraded.

    Raises:
        InputError: a factor does not divide the sides, and `crop` is False.
    """
    by = grain(plan.degradation.steps)
    if any(side % by for side in size) and plan.crop:
        if any(side < by for side in size):
            raise InputError(
                f"an image of {size[0]} x {size[1]} pixels has none left at a factor of {by}; take a smaller factor"
            )
        return size[0] // by * by, size[1] // by * by
    return size


def degraded(
    x: Tensor, plan: DegradePlan, *, files: DegradationFiles | None = None, numbers: Sequence[int] | None = None
) -> Tensor:
    """What is left of images: A(x) and white noise, (slice, ...) in the units of the images.

    Args:
        x: (slice, channel, height, width), float32 or complex64, one channel or three.
        files: the masks and kernels; None reads them.
        numbers: of the slices, which decide their random numbers; None counts from 0.

    Raises:
        InputError: nothing is to be done, or what is does not fit the images.
    """
    if not (plan.degradation.given or plan.noise_std > 0):
        raise InputError("nothing is to be done to the image; give a `task`, or a `noise_std`")
    if plan.degradation.blind:
        raise InputError("an unknown blur is nothing that can be done to an image; give the `task` deblur and its `blur_std`")
    if plan.degradation.task == "denoise" and plan.noise_std == 0:
        raise InputError("denoise needs noise; give its `noise_std`, in the units of the image")
    if plan.degradation.task == "colorize" and x.shape[1] == 1:
        raise InputError(
            "the image is grey already, so nothing is left to take away for colorize; give one in colour"
        )
    height, width = cropped((x.shape[-2], x.shape[-1]), plan)
    files = DegradationFiles.read(plan.degradation) if files is None else files
    left = []
    for number, image in zip(
        range(len(x)) if numbers is None else numbers, x[..., :height, :width].split(1), strict=True
    ):
        operator = operator_of(plan.degradation, (height, width), x.shape[1], files, number)
        y = operator(image)
        noise = white_like(y, Noise([plan.seed + SLICE_SEEDS * number]))
        left.append(y + plan.noise_std * (noise if operator.sampled is None else (operator.sampled != 0) * noise))
    return torch.cat(left)
