"""Images by priors of codes, and by priors that are given the coarse image."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ..codecs import Codec, Padded
from ..errors import InputError
from ..methods import Method
from ..methods.ddrm_srldm import DDRMSRLDM
from ..noise import Noise
from ..operators import Operator
from ..priors import Prior, latent
from ..priors import opened as with_conditions
from ..priors.latent import LatentPrior, SuperResolutionPrior
from ..priors.store import describe
from ..problem import Problem
from ..sampling import in_batches, sample
from .degradation import Degradation
from .operators import Size
from .plan import GeneratePlan, Plan
from .steps import Bicubic, Gaussian, Jpeg, Kernel, Motion, Pool, Saturate

PURE = 40.0  # noise level to begin at where codes, or images given the coarse one, are sampled from noise
SHOWING = (Pool, Bicubic, Gaussian, Motion, Kernel, Jpeg, Saturate)  # what leaves an image to be seen


def settled_by_prior(plan: Plan, prior: Prior) -> Plan:
    """The plan with the method and the first noise level that suit a prior, where it leaves them open."""
    return replace(plan, **open_fields(plan, prior))


def open_fields(plan: Plan, prior: Prior) -> dict[str, Any]:
    """The method and the first noise level that suit a prior, by field, where a plan leaves them open."""
    if not isinstance(prior, LatentPrior | SuperResolutionPrior):
        return {}
    method = plan.method
    if method is None:
        method = "conditional" if isinstance(prior, SuperResolutionPrior) else "resample" if plan.degradation.linear else "dps"
    return {"method": method, "sigma_max": PURE if plan.sigma_max is None else plan.sigma_max}


def opened_for_images(plan: Plan | GeneratePlan, device: str, *, compiled: bool = False) -> Prior:
    """The prior that a plan names, told what the plan says of the image; of codes, or given the coarse image, where it is so.

    Raises:
        InputError: as `priors.opened`, or a class for a prior that knows none.
    """
    if not latent.is_latent(describe(plan.prior)):
        return with_conditions(plan.prior, plan, device=device, bf16=plan.bf16, compiled=compiled)
    return latent.load(plan.prior, plan, device=device, bf16=plan.bf16, compiled=compiled)


def check_image_prior(method: Method, prior: Prior, plan: Plan | GeneratePlan) -> None:
    """Refuses a prior that the method cannot use, and windows that the prior cannot.

    Raises:
        InputError: what would do.
    """
    if method.given and not isinstance(prior, SuperResolutionPrior):
        raise InputError(f"{type(method).__name__} samples a prior that is given the coarse image, and this is none; take "
                         "another `method`, or a prior that was trained with low_resolution")
    if isinstance(method, DDRMSRLDM) and isinstance(prior, SuperResolutionPrior) and prior.space is None:
        raise InputError(f"{type(method).__name__} refines codes, and this is a prior of pixels; take another `method`, or a "
                         "prior of codes")
    if plan.window is not None and isinstance(prior, LatentPrior | SuperResolutionPrior):
        raise InputError("a prior of codes, or one that is given the coarse image, sees the whole image at once; "
                         "leave `window` out")


def as_seen(problem: Problem[Operator], prior: Prior, method: Method) -> Problem[Operator]:
    """A problem of images as a method meets it: after the decoder, where it works on codes."""
    space = prior.space if isinstance(prior, LatentPrior | SuperResolutionPrior) else None
    return problem if space is None or method.given else problem.encoded(space)


def coarse_image(y: Tensor, size: Size, degradation: Degradation, factor: int) -> Tensor:
    """The coarse image that a prior is given: the data where they are as coarse, else means of their pixels.

    Args:
        y: (1, channel, h, w), in the units of the file.
        size: (height, width) of the restored image.
        factor: of the prior's coarse images.

    Raises:
        InputError: data that show no image, or are coarser.
    """
    if not all(isinstance(step, SHOWING) for step in degradation.steps):
        raise InputError(f"{degradation.name} leaves no image from which a coarse one could be made, and the prior is given one; "
                         "take a prior of images alone")
    ratio = size[-1] // y.shape[-1]
    if (y.shape[-2] * ratio, y.shape[-1] * ratio) != tuple(size) or factor % ratio:
        raise InputError(f"the prior enlarges by {factor}, and the data of {y.shape[-2]} x {y.shape[-1]} pixels are of an image "
                         f"of {size[0]} x {size[1]}; take a prior of images alone, or data that are 1 / {factor} as large or "
                         "finer")
    by = factor // ratio
    if any(side % by for side in y.shape[-2:]):
        y = functional.pad(y, (0, -y.shape[-1] % by, 0, -y.shape[-2] % by), mode="replicate")
    return functional.avg_pool2d(y, by) if by > 1 else y


def images_of_codes(
    problem: Problem[Operator] | None, prior: LatentPrior | SuperResolutionPrior, method: Method, levels: Sequence[float], *,
    small: Tensor | None, size: Size, seeds: Sequence[int], device: torch.device | str, batch_size: int,
    constraints: Sequence[Problem[Operator]] = (),
) -> Tensor:
    """Images (sample, channel, height, width) in the coordinates of the prior's images.

    Args:
        problem: of the images, in these coordinates; None: samples of the prior alone.
        small: the coarse image in these coordinates, for a prior that is given one.
        constraints: of the images; of the pixels alone, codes cannot meet them.
    """
    field = Padded(_least_field(prior, size), size)
    one: Prior = prior
    if isinstance(prior, SuperResolutionPrior):
        if small is not None and small.shape[1] != 2:  # complex ones stay as they are
            small = small.clamp(-1, 1)  # what noise has carried out is cut off, as in training
        one = prior.alone if small is None else prior.given(_padded(small, field, prior.factor))
    by_condition = method.given and not isinstance(method, DDRMSRLDM)
    inner = None if problem is None or by_condition else problem.encoded(field)
    space: Codec | None = one.space if isinstance(one, LatentPrior) else None
    inside = field.size
    if isinstance(method, DDRMSRLDM) and isinstance(one, LatentPrior):
        one, space = method.denoiser(one), None
    elif isinstance(one, LatentPrior):
        inside = (field.size[0] // one.space.factor, field.size[1] // one.space.factor)
        inner = None if inner is None else inner.encoded(one.space)
    given = [] if space is not None else [constraint.encoded(field) for constraint in constraints]
    told = problem if by_condition else inner  # at whose data such a method does not look

    def draw(some: Sequence[int]) -> Tensor:
        made = sample(told, one, method, levels, noise=Noise(some, device), size=inside, constraints=given)
        return made if space is None else space.decode(made)

    with torch.no_grad():
        return field.decode(torch.cat(list(in_batches(draw, list(seeds), batch_size))))


def _least_field(prior: LatentPrior | SuperResolutionPrior, size: Size) -> Size:
    """The least (height, width) that the prior takes, the image in whose middle begins at whole pixels of the coarse one."""
    if isinstance(prior, LatentPrior):
        grain = prior.multiple * prior.space.factor
        return -(-size[0] // grain) * grain, -(-size[1] // grain) * grain
    height, width = (_least_multiple(side, prior.grain, 2 * prior.factor) for side in size)
    return height, width


def _least_multiple(side: int, grain: int, twice: int) -> int:
    """The least multiple of `grain` of which `side` leaves a multiple of `twice`, or the least one where none does."""
    first = -(-side // grain) * grain
    fitting = [first + k * grain for k in range(twice) if (first + k * grain - side) % twice == 0]
    return fitting[0] if fitting else first


def _padded(small: Tensor, field: Padded, factor: int) -> Tensor:
    """The coarse image of the field, its last pixels repeated."""
    height, width = (side // factor for side in field.size)
    top, left = ((outer - inner) // 2 // factor for outer, inner in zip(field.size, field.inner, strict=True))
    rows = torch.arange(-top, height - top, device=small.device).clamp(0, small.shape[-2] - 1)
    columns = torch.arange(-left, width - left, device=small.device).clamp(0, small.shape[-1] - 1)
    return small[..., rows, :][..., columns]


