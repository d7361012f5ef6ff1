"""Restorations in physical units: problems encoded for the prior, sampled, and decoded."""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .codecs import CalibratedComplex, Codec, ComplexChannels, Interval, Padded
from .consistency import relative_misfit
from .errors import InputError
from .levels import below, check_levels, karras
from .methods import Method
from .mri import calibration_scale, gridded_centre
from .noise import Noise
from .operators import Encoding, LinearOperator, Mask, NonCartesian, Operator, SmoothPhase
from .operators.representation import ShortRepr
from .priors import BySets, Prior
from .problem import Problem, check_data, check_fits, stack, straightened
from .sampling import OnStep, check_needs, in_batches, sample

if TYPE_CHECKING:
    from .baselines import Baseline


@dataclass(frozen=True)
class Restoration(ShortRepr):
    """Samples of p(x | y), in the units of the image, and all that is needed to draw them again.

    Attributes:
        samples: (sample, channel, height, width).
        misfit: (sample,) |A x - y| / (sigma sqrt(m)), about 1 when y is explained to its noise; relative to |y| for
            noise-free data.
        method, levels, seeds: how they were drawn; a method without a prior has no levels.
    """

    samples: Tensor
    misfit: Tensor
    method: "Method | Baseline"
    levels: tuple[float, ...]
    seeds: tuple[int, ...]

    @property
    def mean(self) -> Tensor:
        """(channel, height, width): the estimate with the least mean squared error."""
        return self.samples.mean(0)

    @property
    def best(self) -> Tensor:
        """(channel, height, width): the sample of least misfit, for methods that look for one image from several starts."""
        return self.samples[int(self.misfit.argmin())]

    @property
    def std(self) -> Tensor:
        """(channel, height, width): spread of the samples. Method-dependent: not a calibrated uncertainty."""
        return self.samples.std(0, correction=min(1, len(self.samples) - 1))


def codec_for(prior: Prior, problem: Problem[Operator]) -> Codec:
    """The codec that the prior's recipe gives for this problem; the scale comes from the calibration data alone.

    Raises:
        TypeError: the prior has no recipe, or one that the operator cannot serve.
    """
    operator = problem.operator
    if isinstance(operator, SmoothPhase):
        return codec_for(prior, Problem(operator.encoding, operator.of_encoding(problem.y), problem.sigma))
    match prior.recipe:
        case Interval() as interval:
            return interval
        case CalibratedComplex(quantile) if isinstance(operator, Encoding):
            sampled = (operator.mask > 0).to(operator.mask.dtype)
            y = problem.y / torch.where(operator.mask > 0, operator.mask, 1.0)  # without the weights of the samples
            return ComplexChannels(calibration_scale(y, sampled, operator.maps, quantile=quantile))
        case CalibratedComplex(quantile) if isinstance(operator, NonCartesian):
            y = problem.y / torch.where(operator.mask > 0, operator.mask, 1.0)
            centre, inner = gridded_centre(y, operator.trajectory, operator.shape, operator.mask)
            return ComplexChannels(calibration_scale(centre, inner, operator.maps, quantile=quantile))
    raise TypeError(f"the prior's recipe, {prior.recipe}, gives no codec for {operator.kind}; pass one with codec=")


def image_size(problem: Problem[Operator]) -> tuple[int, int]:
    """(height, width) of the image of a problem with a linear operator."""
    height, width = problem.back_projected.shape[-2:]
    return height, width


def padded_size(prior: Prior, size: tuple[int, int]) -> tuple[int, int]:
    """The least (height, width) at which the prior can be applied to an image of `size`."""
    if prior.size is not None:
        return prior.size
    height, width = (-(-side // prior.multiple) * prior.multiple for side in size)
    return height, width


def restore(
    problem: Problem[Operator], prior: Prior, method: Method, *, codec: Codec | None = None,
    levels: Sequence[float] | None = None, steps: int | None = None, samples: int = 1, seed: int = 0, batch_size: int = 8,
    size: tuple[int, int] | None = None, start: Tensor | None = None, start_sigma: float | None = None,
    constraints: Sequence[Problem[Operator]] = (), on_step: OnStep | None = None,
) -> Restoration:
    """Restores one image: encodes the problem, samples, and decodes.

    Where the operator has a support the image stays zero outside it: nothing is measured there and the image is zero
    there, so this is part of the operator.

    Args:
        problem: one measurement (batch of 1), in physical units; `restore_all` takes several.
        codec: from images to the prior's coordinates; by default the one that the prior's recipe gives for the data.
        levels: the noise levels; by default `steps` levels of `karras` over the prior's range.
        steps: by default as many as the method says: 25, and 5 for SHRED.
        samples, seed: sample k uses seed + k, whatever the batch.
        batch_size: samples drawn together at most; halved when memory runs out.
        size: (height, width) of the image, for operators that are not linear; others know it.
        start, start_sigma: a first reconstruction (1, channel, height, width) in physical units, and the noise level
            at which to begin (Chung, Sim & Ye, CVPR 2022); both or neither.
        constraints: noise-free problems in physical units that every clean estimate must meet.
        on_step: called with the number of the step and x after it.

    Raises:
        InputError: the method takes no data, or y is a batch of several measurements, not finite, or not what A makes
            of an image of the prior.
        TypeError: the operator does not know enough for the method, or the prior's recipe gives no codec for it.
    """
    if (start is None) != (start_sigma is None):
        raise ValueError("a restoration that begins part-way needs both start (an image) and start_sigma (its noise level)")
    (restored,) = restore_all(
        [problem], prior, method, codec=codec, levels=levels, steps=steps, samples=samples, seeds=[seed],
        batch_size=batch_size, size=size, starts=None if start is None else [start], start_sigma=start_sigma,
        constraints=[constraints], on_step=on_step,
    )
    return restored


def restore_all(
    problems: Sequence[Problem[Operator]], prior: Prior, method: Method, *, codec: Codec | None = None,
    levels: Sequence[float] | None = None, steps: int | None = None, samples: int = 1, seeds: Sequence[int] | None = None,
    batch_size: int = 8, size: tuple[int, int] | None = None, starts: Sequence[Tensor] | None = None,
    start_sigma: float | None = None, constraints: Sequence[Sequence[Problem[Operator]]] | None = None,
    on_step: OnStep | None = None,
) -> list[Restoration]:
    """Restores several images as `restore` does each, with joint calls of the prior.

    Samples of problems whose images and measurements have the same shape share a batch; each has its own noise stream, so
    the results are those of `restore` to rounding.

    Args:
        problems: one measurement each.
        codec: for all of them; by default the one that the prior's recipe gives for each.
        seeds: of each problem: sample k of problem i uses seeds[i] + k; by default 0, samples, 2 samples, ...
        batch_size: samples, of whichever problems, drawn together at most; halved when memory runs out.
        starts: a first reconstruction of each problem; with start_sigma.
        constraints: for each problem as many.
        on_step: called with the number of the step and x (sample, channel, height, width) after it, for each batch.

    Other arguments and what is refused: as for `restore`.
    """
    _check_kinds(prior, method)
    steps = method.default_steps if steps is None else steps
    _check_counts(samples=samples, batch_size=batch_size, steps=steps)
    _check_takes_data(method)
    if (starts is None) != (start_sigma is None):
        raise ValueError("restorations that begin part-way need both starts (images) and start_sigma (their noise level)")
    if levels is None:
        levels = karras(steps, min(prior.sigma_range[1], 40.0), max(prior.sigma_range[0], 0.005))
    check_levels(levels)
    levels = levels if start_sigma is None else below(levels, start_sigma)
    seeds = range(0, samples * len(problems), samples) if seeds is None else seeds
    _check_lengths(len(problems), seeds=seeds, starts=starts, constraints=constraints)
    encoded = [
        encode(problem, prior, method, codec, size, () if constraints is None else constraints[i],
                 None if starts is None else starts[i])
        for i, problem in enumerate(problems)
    ]

    def draw(jobs: Sequence[tuple[int, int]]) -> Tensor:
        some = [encoded[i] for i, _ in jobs]
        start = some[0].start
        return sample(
            joint([one.problem for one in some]), some[0].prior, method, levels,
            noise=Noise([seeds[i] + k for i, k in jobs], some[0].problem.y.device), size=some[0].field.size,
            constraints=[joint(alike) for alike in zip(*(one.constraints for one in some), strict=True)],
            start=torch.cat([one.start for one in some if one.start is not None]) if start is not None else 0.0,
            on_step=on_step,
        )

    restored: dict[int, Restoration] = {}
    for group in _sharing_a_batch(encoded):
        jobs = [(i, k) for i in group for k in range(samples)]
        codes = torch.cat(list(in_batches(draw, jobs, batch_size))).split(samples)
        for i, z in zip(group, codes, strict=True):
            x = encoded[i].codec.decode(encoded[i].field.decode(z))
            restored[i] = Restoration(x, relative_misfit(problems[i], x), method, tuple(levels),
                                      tuple(range(seeds[i], seeds[i] + samples)))
    return [restored[i] for i in range(len(problems))]


@dataclass(frozen=True)
class Encoded:
    """A problem in the prior's coordinates, and the way back.

    Attributes:
        problem, constraints, start: encoded.
        prior: of its image: of each set of coil maps, where there are several.
        codec, field: from images to the prior's coordinates, and to its size.
    """

    prior: Prior
    problem: Problem[Operator]
    constraints: tuple[Problem[Operator], ...]
    start: Tensor | None
    codec: Codec
    field: Padded


def encode(problem: Problem[Operator], prior: Prior, method: Method, codec: Codec | None, size: tuple[int, int] | None,
             constraints: Sequence[Problem[Operator]], start: Tensor | None) -> Encoded:
    """The problem in the prior's coordinates, once it is known to be one that prior and method can restore."""
    problem = problem.unrounded
    check_needs(problem, method)
    check_data(problem)
    size = _known_size(problem, prior, size, start)
    sets = problem.operator.sets if isinstance(problem.operator, Encoding | NonCartesian) else 1
    prior = prior if sets == 1 else BySets(prior, sets)
    codec = codec_for(prior, problem) if codec is None else codec
    field = Padded(padded_size(prior, size), size)
    check_fits(problem, codec, field, prior.channels)
    encoded = problem.encoded(codec).encoded(field)
    given = [constraint.encoded(codec).encoded(field) for constraint in constraints]
    if encoded.operator.support is not None:
        outside = 1 - encoded.operator.support
        empty = codec.decode(field.decode(torch.zeros(1, prior.channels, *field.size, device=problem.y.device)))
        given.append(Problem(Mask(outside), outside * field.encode(codec.encode(torch.zeros_like(empty)))))
    given += straightened(codec, field.size, problem.y.device)
    first = None if start is None else field.encode(codec.encode(start))
    return Encoded(prior, encoded, tuple(given), first, codec, field)


def _known_size(problem: Problem[Operator], prior: Prior, size: tuple[int, int] | None, start: Tensor | None) -> tuple[int, int]:
    """(height, width) of a problem's image."""
    if isinstance(problem.operator, LinearOperator):
        return image_size(problem)
    known = size or (prior.size if start is None else (start.shape[-2], start.shape[-1]))
    if known is None:
        raise InputError(f"{problem.operator.kind} is not linear, so the size of its image is not known; "
                         "give size=(height, width)")
    return known


def _check_kinds(prior: object, method: object) -> None:
    """Refuses names where objects are needed, and other things that are easily passed in their place."""
    if not isinstance(method, Method):
        raise InputError(f"the method must be an object such as DDS(), got {method!r}; names are for commands and plans")
    if isinstance(prior, str | PathLike):
        raise InputError(f"the prior must be loaded first, by medrestore.priors.load({str(prior)!r})")


def _check_takes_data(method: Method) -> None:
    if method.needs is None:
        raise InputError(f"{type(method).__name__} samples the prior alone and would ignore the measurement; call `sample` "
                         "with problem None to draw from the prior, or restore with DDS, HQS or DPS")


def _check_counts(**counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise InputError(f"{name} is {count} and must be at least 1")


def _check_lengths(problems: int, **given: Sequence[object] | None) -> None:
    for name, values in given.items():
        if values is not None and len(values) != problems:
            raise InputError(f"there are {problems} problems and {len(values)} {name}; give one for each problem")


def joint(problems: Sequence[Problem[Operator]]) -> Problem[Operator]:
    """Problems of one batch as one; a single problem serves all of its samples as it is."""
    first = problems[0]
    return first if all(problem is first for problem in problems) else stack(problems)


def _sharing_a_batch(encoded: Sequence[Encoded]) -> list[list[int]]:
    """The numbers of the problems, those that can share a batch together."""
    groups: dict[tuple[object, ...], list[int]] = {}
    for i, one in enumerate(encoded):
        measured = tuple((each.y.shape[1:], each.y.dtype, each.y.device) for each in (one.problem, *one.constraints))
        groups.setdefault((one.field.size, one.prior.channels, *measured), []).append(i)
    return list(groups.values())
