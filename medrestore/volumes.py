"""Volumes whose slices are restored together, so that they agree with each other."""

from collections.abc import Iterator, Sequence

import torch

from .codecs import Codec
from .consistency import relative_misfit
from .errors import InputError
from .levels import check_levels
from .methods.across_slices import AcrossSlices
from .noise import Noise
from .operators import Operator
from .priors import InBatches, Prior
from .problem import Problem
from .restoration import Restoration, codec_for, encode, joint
from .sampling import OnStep, sample


def restore_volume(problems: Sequence[Problem[Operator]], prior: Prior, method: AcrossSlices, *, levels: Sequence[float],
                   codec: Codec | None = None, samples: int = 1, seed: int = 0, same_noise: bool = True, batch_size: int = 8,
                   on_step: OnStep | None = None, first: int = 0) -> list[Restoration]:
    """Restores the slices of a volume together: all are in memory, as images, maps and measurements; see `AcrossSlices`.

    Args:
        problems: one measurement a slice, in order, all of one shape.
        codec: for all slices alike; by default that of the middle slice, so that all have one scale.
        samples, seed: sample k of the volume uses seed + k.
        same_noise: whether all slices have the same noise, which keeps what the prior makes of it from changing between them;
            else slice i of sample k has seed + k + 100000 i.
        batch_size: slices that the prior is applied to at once.
        on_step: called with the number of the step and the volume after it.
        first: number of the first slice, where the slices are a slab of a volume.

    Returns:
        The restoration of each slice, with its samples.

    Raises:
        InputError: fewer than two slices, or slices of different shapes.
        TypeError: the operators do not know enough for the method.
    """
    if len(problems) < 2:
        raise InputError("a volume needs at least two slices to agree with each other; restore one with `restore`")
    shapes = {tuple(problem.y.shape) for problem in problems}
    if len(shapes) > 1:
        raise InputError(f"the slices of a volume must have one shape, and these have {len(shapes)}; restore them one by one")
    check_levels(levels)
    codec = codec_for(prior, problems[len(problems) // 2]) if codec is None else codec
    encoded = [encode(problem, prior, method, codec, None, (), None) for problem in problems]
    one = encoded[0]
    if len({each.prior.channels for each in encoded}) > 1:
        raise InputError("the slices of a volume must have as many sets of coil maps each; set `map_sets`")
    volume = joint([each.problem for each in encoded])
    constraints = [joint(alike) for alike in zip(*(each.constraints for each in encoded), strict=True)]
    drawn = []
    for k in range(samples):
        noise = Noise(list(seeds_of(range(first, first + len(problems)), seed + k, same_noise)), one.problem.y.device)
        drawn.append(sample(volume, InBatches(one.prior, batch_size), method, levels, noise=noise, size=one.field.size,
                            constraints=constraints, on_step=on_step))
    results = []
    for i, problem in enumerate(problems):
        x = torch.cat([codec.decode(one.field.decode(volume_[i : i + 1])) for volume_ in drawn])
        seeds = tuple(list(seeds_of(range(first, first + len(problems)), seed + k, same_noise))[i] for k in range(samples))
        results.append(Restoration(x, relative_misfit(problem, x), method, tuple(levels), seeds))
    return results


def seeds_of(slices: Sequence[int], seed: int, same: bool) -> Iterator[int]:
    """Of each slice, by its number."""
    return (seed if same else seed + 100_000 * i for i in slices)
