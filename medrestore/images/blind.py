"""Blurs whose kernel is not known: found from the middle slice, before all slices are restored with it."""

from dataclasses import replace

import torch
from torch import Tensor

from ..errors import InputError
from ..inversion import DiffusionEM
from ..inversion.em import find_image_and_kernel
from ..levels import karras
from ..noise import Noise
from ..operators import Identity
from ..priors import Prior
from ..priors.latent import LatentPrior, SuperResolutionPrior
from ..problem import Problem
from .operators import FOUND, Size
from .plan import Plan
from .restore import Measured, Setting
from .steps import Unknown

WIDEST = 256  # sides of the middle part of an image from which a kernel is found, pixels
FIRST, LAST = 5.0, 0.01  # noise levels of the search, in the prior's units


def kernel_calls(plan: Plan) -> int:
    """How many images the network is given to find the kernel; 0 where there is none to be found."""
    return 2 * DiffusionEM.default_steps if _kernel_size(plan) else 0


def kernel_of(setting: Setting) -> Tensor | None:
    """The kernel (side, side) that was found; None where none was looked for."""
    return setting.files.kernels.get(FOUND)


def with_kernel(setting: Setting, measured: Measured, plan: Plan, prior: Prior, *, device: torch.device | str = "cpu") -> Setting:
    """The setting with the kernel of its images, where it is not known; as it is elsewhere.

    Args:
        device: of the prior.

    Raises:
        InputError: the kernel may be as large as the image, or the image smaller than the prior's.
    """
    side = _kernel_size(plan)
    if side is None:
        return setting
    if isinstance(prior, LatentPrior | SuperResolutionPrior):
        raise InputError("a kernel is found with a prior of images, and this is one of codes; give another `prior`")
    middle = len(measured.y) // 2
    y = measured.y[middle : middle + 1]
    y = y if y.shape[1] == setting.coordinates.channels else y.mean(1, keepdim=True)
    top, left, height, width = _middle_part(setting.size, prior)
    if side > min(height, width):
        raise InputError(f"{measured.name}: a kernel of {side} pixels is too large for {height} x {width} pixels; give a smaller "
                         "`kernel_size`")
    coords = setting.coordinates
    y = y[..., top : top + height, left : left + width].to(device)
    sigma = float(torch.as_tensor(Problem(Identity(), y, setting.sigma).encoded(coords.codec).sigma))
    low, high = max(prior.sigma_range[0], LAST), min(prior.sigma_range[1], FIRST)
    method = DiffusionEM(side, edges="tapered")
    _, kernels = find_image_and_kernel(coords.codec.encode(y), prior, method, sigma, karras(method.default_steps, high, low),
                                       Noise([plan.seed], device), constraints=coords.constraints((height, width), device))
    known = {**setting.files.kernels, FOUND: kernels[0].cpu()}
    return replace(setting, files=replace(setting.files, kernels=known))


def _kernel_size(plan: Plan) -> int | None:
    return next((step.size for step in plan.degradation.steps if isinstance(step, Unknown)), None)


def _middle_part(size: Size, prior: Prior) -> tuple[int, int, int, int]:
    """Top, left, height and width of what the prior sees of an image."""
    height, width = (min(side, WIDEST) // prior.multiple * prior.multiple for side in size)
    sides = prior.size or (height, width)
    if any(side < 1 or side > whole for side, whole in zip(sides, size, strict=True)):
        raise InputError(f"an image of {size[0]} x {size[1]} pixels is smaller than the prior's, {prior.size or prior.multiple}; "
                         "give another `prior`")
    return (size[0] - sides[0]) // 2, (size[1] - sides[1]) // 2, *sides
