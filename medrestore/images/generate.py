"""Images of any size from a prior alone."""

from collections.abc import Callable

import torch
from torch import Tensor

from ..codecs import CalibratedComplex, ComplexChannels, Interval, Padded
from ..errors import InputError
from ..noise import Noise
from ..priors import Prior
from ..priors.latent import LatentPrior, SuperResolutionPrior, channels_of
from ..restoration import padded_size
from ..sampling import in_batches, sample
from ..tiling import generate as generate_windows
from .codes import check_image_prior, images_of_codes
from .plan import GeneratePlan, window_of


def generated(
    prior: Prior,
    plan: GeneratePlan,
    *,
    device: torch.device | str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """(sample, channel, height, width): in [0, 1] for a prior of pictures, complex with a magnitude of about 1 else.

    Args:
        device: of the prior.
        progress: called with how many windows are drawn and how many there will be.

    Raises:
        InputError: a prior that is not of images, or windows or noise levels that do not suit it.
    """
    match prior.recipe, channels_of(prior):
        case Interval(), 1 | 3:
            codec: Interval | ComplexChannels = Interval(0.0, 1.0)
        case CalibratedComplex(), 2:
            codec = ComplexChannels(1.0)
        case _:
            raise InputError(
                f"a prior of {channels_of(prior)} channels without a known recipe makes no images; give another `prior`"
            )
    plan.check_levels(prior)
    check_image_prior(plan.sampler, prior, plan)
    size = (plan.height, plan.width)
    seeds, levels = range(plan.seed, plan.seed + plan.samples), plan.levels(prior)
    if isinstance(prior, LatentPrior | SuperResolutionPrior):
        return codec.decode(images_of_codes(None, prior, plan.sampler, levels, small=None, size=size, seeds=seeds, device=device,
                                            batch_size=plan.batch_size)).cpu()
    window = window_of(plan, prior, size)
    if window is None:
        field = Padded(padded_size(prior, size), size)
        drawn = in_batches(
            lambda some: sample(
                None, prior, plan.sampler, levels, noise=Noise(some, device), size=field.size
            ),
            list(seeds),
            plan.batch_size,
        )
        return codec.decode(field.decode(torch.cat(list(drawn)))).cpu()
    shift = None if plan.shift is None else (plan.shift, plan.shift)
    try:
        z = generate_windows(
            prior,
            plan.sampler,
            levels,
            size=size,
            window=window,
            shift=shift,
            noise=Noise(seeds, device),
            seam=plan.seam,
            batch=plan.batch_size,
            progress=progress,
        )
    except (TypeError, ValueError) as error:
        raise InputError(f"`window` and `shift`: {error}") from error
    return codec.decode(z).cpu()
