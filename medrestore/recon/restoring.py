"""Prepared slices in, images out: by a diffusion method with joint calls of the prior, or by a classical one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..codecs import Codec
from ..consistency import relative_misfit
from ..errors import InputError
from ..methods import DDS, HQS, AcrossSlices, Method
from ..priors import InBatches, Prior, ThreePlanes
from ..restoration import Restoration, restore_all
from ..volumes import restore_volume
from .data_step import stopped_early
from .plan import SLICE_SEEDS, Plan
from .prepared import Prepared, reconstructed
from .reference import told

WORST_MISFIT = 3.0  # times that of an empty image


@dataclass(frozen=True)
class Slice:
    """One reconstructed slice, all images as shown: cropped, in units of the coils' root-sum-of-squares.

    Attributes:
        image: (h, w) complex, the mean of the samples.
        samples: (sample, h, w) complex.
        std: (h, w) spread of the samples.
        reference: (h, w) or None.
        restoration: seeds, levels and misfit.
        prepared: what was restored.
    """

    image: Tensor
    samples: Tensor
    std: Tensor
    reference: Tensor | None
    restoration: Restoration
    prepared: Prepared

    @property
    def zero_filled(self) -> Tensor:
        """(h, w) complex, a baseline beside it."""
        return self.prepared.shown(self.prepared.zero_filled[0]).cpu()

    @property
    def cg_sense(self) -> Tensor:
        """(h, w) complex, a baseline beside it."""
        return self.prepared.shown(self.prepared.cg_sense[0]).cpu()


def restore_slice(prepared: Prepared, prior: Prior, plan: Plan, *, slice_index: int = 0,
                  on_step: Callable[[int, Tensor], None] | None = None) -> Slice:
    """Restores one prepared slice; see `restore_slices`."""
    (restored,) = restore_slices([prepared], prior, plan, numbers=[slice_index], on_step=on_step)
    return restored


def restore_slices(prepared: Sequence[Prepared], prior: Prior, plan: Plan, *, numbers: Sequence[int] | None = None,
                   batch_size: int | None = None, on_step: Callable[[int, Tensor], None] | None = None,
                   codec: Codec | None = None) -> list[Slice]:
    """Restores prepared slices, by a diffusion method with joint calls of the prior.

    Args:
        numbers: of the slices, which set the seeds of each apart; by default from 0.
        batch_size: samples, of whichever slices, drawn together at most; by default that of the plan.
        on_step: called with the number of the step and x (sample, channel, height, width) after it, for each batch.
        codec: of all slices alike, where they are a volume; by default each has its own scale.
    """
    numbers = range(len(prepared)) if numbers is None else numbers
    if len(prepared) > 1 and any(one.beside is not None for one in prepared):  # each has a prior of its own
        apart = zip(prepared, numbers, strict=True)
        return [done for one, number in apart for done in restore_slices(
            [one], prior, plan, numbers=[number], batch_size=batch_size, on_step=on_step, codec=codec)]
    prior = told(prior, prepared[0])
    if plan.is_classical:
        return [_classical_slice(*one, plan, on_step) for one in zip(prepared, numbers, strict=True)]
    method = stopped_early(plan.sampler, exact=all(one.problem.exact is True for one in prepared))
    batch_size = plan.batch_size if batch_size is None else batch_size
    if plan.across_slices is not None and len(prepared) > 1:
        results = _restored_together(prepared, prior, method, plan, batch_size, on_step, codec, numbers[0])
    else:
        results = restore_all(
            [one.posed for one in prepared], prior, method, codec=codec, levels=plan.levels(prior), samples=plan.samples,
            seeds=[plan.seed + SLICE_SEEDS * index for index in numbers], batch_size=batch_size, on_step=on_step,
            starts=None if plan.start_sigma is None else [one.cg_sense if one.start is None else one.start for one in prepared],
            start_sigma=plan.start_sigma,
        )
    results = [replace(result, misfit=relative_misfit(one.problem, result.samples))  # of what was measured alone
               for one, result in zip(prepared, results, strict=True)]
    for index, one, result in zip(numbers, prepared, results, strict=True):
        _check_explained(one, result, index)
    return [_as_shown(*one) for one in zip(prepared, results, strict=True)]


def _restored_together(prepared: Sequence[Prepared], prior: Prior, method: Method, plan: Plan, batch_size: int,
                       on_step: Callable[[int, Tensor], None] | None, codec: Codec | None, first: int) -> list[Restoration]:
    """The slices of a volume from `first` on, which agree with each other."""
    assert isinstance(method, HQS | DDS) and plan.across_slices is not None  # as `Plan` saw
    across = AcrossSlices(method, weight=plan.across_slices, differences=plan.differences)
    return restore_volume(
        [one.posed for one in prepared], ThreePlanes(InBatches(prior, batch_size)) if plan.three_planes else prior, across,
        levels=plan.levels(prior), codec=codec, samples=plan.samples,
        seed=plan.seed, same_noise=plan.same_noise, batch_size=len(prepared) if plan.three_planes else batch_size,
        on_step=on_step, first=first,
    )


def _classical_slice(prepared: Prepared, number: int, plan: Plan, on_step: Callable[[int, Tensor], None] | None) -> Slice:
    """A slice by a method without a prior: one sample, with the seed that one of a diffusion method would have."""
    image = reconstructed(plan.baseline, prepared)
    if on_step is not None:
        on_step(0, image)
    seeds = (plan.seed + SLICE_SEEDS * number,)
    return _as_shown(prepared, Restoration(image, relative_misfit(prepared.problem, image), plan.baseline, (), seeds))


def _check_explained(prepared: Prepared, result: Restoration, index: int) -> None:
    """Refuses an image that explains the data far worse than none would: what a prior of another scale makes of them."""
    empty = max(1.0, float(relative_misfit(prepared.problem, torch.zeros_like(result.samples[:1])).max()))
    worst = float(result.misfit.max())
    if not worst <= WORST_MISFIT * empty:
        raise InputError(f"slice {index}: the image has a data misfit of {worst:.3g}, where an empty one has {empty:.3g}, so "
                         "nothing is written; the prior is of other images or another scale, or a hyper-parameter of the method "
                         "is far off: take another `prior`, or leave `options` at their defaults")


def _as_shown(prepared: Prepared, result: Restoration) -> Slice:
    """A restoration, cropped and in the units of the scanner's image."""

    def shown(image: Tensor) -> Tensor:
        return prepared.shown(image).cpu()

    return Slice(image=shown(result.mean), samples=shown(result.samples), std=shown(result.std),
                 reference=prepared.reference, restoration=result, prepared=prepared)
