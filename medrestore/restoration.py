"""The loop: written once, walked by every method."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor

from .codecs import CalibratedComplex, Codec, ComplexChannels, Interval, Padded
from .consistency import project, relative_misfit
from .levels import below, karras
from .methods import Method
from .mri import calibration_scale
from .noise import Noise
from .operators import Mask, Operator
from .priors import Prior
from .problem import Problem

Item = TypeVar("Item")


@torch.no_grad()
def sample(
    problem: Problem | None, prior: Prior, method: Method, levels: Sequence[float], *, noise: Noise, size: tuple[int, int],
    constraints: Sequence[Problem] = (), start: Tensor | float = 0.0, on_step: Callable[[int, Tensor], None] | None = None,
) -> Tensor:
    """Walks the levels once and returns one image per noise stream, in the prior's coordinates.

    Args:
        problem: as the prior sees it (`Problem.encoded`), or None for methods that take none.
        levels: noise levels, each the std in every real number; a rise is time travel. The last is 0.
        noise: one stream per sample.
        size: (height, width) of the image.
        constraints: noise-free problems that every clean estimate is made to meet, in order.
        start: (1 or sample, channels, height, width) to which the first level's noise is added.
        on_step: called with the number of the step and x after it.

    Returns:
        (sample, channels, height, width) float32.
    """
    check(problem, method, prior, size)
    shape = (len(noise.seeds), prior.channels, *size)

    def constrain(x0: Tensor) -> Tensor:
        for constraint in constraints:
            x0 = project(constraint, x0)
        return x0

    def fresh() -> Tensor:
        return noise(shape)

    with noise.device:  # what operators make on the way belongs where the samples are
        x = start + levels[0] * fresh()
        for i, (sigma, sigma_next) in enumerate(pairwise(levels)):
            if sigma_next > sigma:  # time travel: forget a little
                x = x + (sigma_next**2 - sigma**2) ** 0.5 * fresh()
            else:
                x = method.step(x, sigma, sigma_next, problem=problem, denoise=prior, constrain=constrain, noise=fresh)
            if on_step is not None:
                on_step(i, x)
    return x


def check(problem: Problem | None, method: Method, prior: Prior, size: tuple[int, int]) -> None:
    """Refuses, before any work, a method that asks more of the operator than it knows, and a size the prior has not.

    Raises:
        TypeError: the method's needs are not met.
        ValueError: the size does not suit the prior.
    """
    if method.needs is not None and not isinstance(problem and problem.operator, method.needs):
        given = "no problem was given" if problem is None else f"{_kind(problem.operator)} is not one"
        raise TypeError(
            f"{type(method).__name__} needs a {method.needs.__name__}, and {given}. "
            "DDS, DiffPIR and HQS work with any linear operator, DPS with any differentiable one; "
            "Sense becomes spectral through Sense.spectral() when its mask undersamples one axis."
        )
    if prior.size is not None and size != prior.size:
        raise ValueError(f"the prior knows images of {prior.size} pixels only, and the problem has {size}")
    if any(side % prior.multiple for side in size):
        raise ValueError(f"the prior needs sides that are multiples of {prior.multiple}, and the problem has {size}; "
                         "`codecs.Padded` embeds it in a larger field")


def _kind(operator: Operator) -> str:
    outer = getattr(operator, "outer", getattr(operator, "operator", None))
    return type(operator).__name__ if outer is None else _kind(outer)


@dataclass(frozen=True)
class Restoration:
    """Samples of p(x | y), in the units of the image, and all that is needed to draw them again.

    Attributes:
        samples: (sample, channel, height, width).
        misfit: (sample,) |A x - y| / (sigma sqrt(m)), about 1 when y is explained to its noise; relative to |y| for
            noise-free data.
        method, levels, seeds: how they were drawn.
    """

    samples: Tensor
    misfit: Tensor
    method: Method
    levels: tuple[float, ...]
    seeds: tuple[int, ...]

    @property
    def mean(self) -> Tensor:
        """(channel, height, width): the estimate with the least mean squared error."""
        return self.samples.mean(0)

    @property
    def std(self) -> Tensor:
        """(channel, height, width): spread of the samples. Method-dependent: not a calibrated uncertainty."""
        return self.samples.std(0, correction=min(1, len(self.samples) - 1))


def codec_for(prior: Prior, problem: Problem) -> Codec:
    """The codec that the prior's recipe gives for this problem; the scale comes from the calibration data alone.

    Raises:
        TypeError: the prior has no recipe, or one that the operator cannot serve.
    """
    operator = problem.operator
    sense = getattr(operator, "sense", operator)
    match prior.recipe:
        case Interval() as interval:
            return interval
        case CalibratedComplex(quantile) if hasattr(sense, "mask"):
            return ComplexChannels(calibration_scale(problem.y, sense.mask, getattr(sense, "maps", None), quantile=quantile))
    raise TypeError(f"the prior's recipe, {prior.recipe}, gives no codec for {_kind(operator)}; pass one with codec=")


def image_size(problem: Problem) -> tuple[int, int]:
    """(height, width) of the image that a problem with a linear operator asks for."""
    height, width = problem.back_projected.shape[-2:]
    return height, width


def padded_size(prior: Prior, size: tuple[int, int]) -> tuple[int, int]:
    """The least (height, width) at which the prior can see an image of `size`."""
    if prior.size is not None:
        return prior.size
    height, width = (-(-side // prior.multiple) * prior.multiple for side in size)
    return height, width


def restore(
    problem: Problem, prior: Prior, method: Method, *, codec: Codec | None = None, levels: Sequence[float] | None = None,
    steps: int = 25, samples: int = 1, seed: int = 0, batch_size: int = 8, start: Tensor | None = None,
    start_sigma: float | None = None, constraints: Sequence[Problem] = (), on_step: Callable[[int, Tensor], None] | None = None,
) -> Restoration:
    """Restores one image: sees the problem through the codec, samples, and decodes.

    Where the operator has a support the image is kept at zero outside it: nothing is measured there and nothing is
    there, so this is part of the operator.

    Args:
        problem: one measurement (batch of 1) of a linear operator, in physical units.
        codec: from images to the prior's coordinates; by default what the prior's recipe makes of the data.
        levels: the noise ladder; by default `steps` levels of `karras` over the prior's range.
        samples, seed: sample k uses seed + k, whatever the batch.
        batch_size: samples drawn together at most; halved when memory runs out.
        start, start_sigma: a first reconstruction (1, channel, height, width) in physical units, and the noise level
            from which to walk down (Chung, Sim & Ye, CVPR 2022); both or neither.
        constraints: noise-free problems in physical units that every clean estimate is made to meet.
        on_step: called with the number of the step and x after it.
    """
    if (start is None) != (start_sigma is None):
        raise ValueError("a walk that begins part-way needs both start (an image) and start_sigma (its noise level)")
    codec = codec_for(prior, problem) if codec is None else codec
    if levels is None:
        low, high = max(prior.sigma_range[0], 0.005), min(prior.sigma_range[1], 40.0)
        levels = karras(steps, high, low)
    first: Tensor | float = 0.0
    size = image_size(problem)
    field = Padded(padded_size(prior, size), size)
    if start is not None and start_sigma is not None:
        levels, first = below(levels, start_sigma), field.encode(codec.encode(start))
    seen = problem.encoded(codec).encoded(field)
    given = [constraint.encoded(codec).encoded(field) for constraint in constraints]
    if seen.operator.support is not None:
        outside = 1 - seen.operator.support
        nothing = field.encode(codec.encode(torch.zeros_like(problem.back_projected)))
        given.append(Problem(Mask(outside), outside * nothing))
    z = torch.cat(list(in_batches(
        lambda seeds: sample(seen, prior, method, levels, noise=Noise(seeds, problem.y.device), size=field.size,
                             constraints=given, start=first, on_step=on_step),
        range(seed, seed + samples), batch_size,
    )))
    x = codec.decode(field.decode(z))
    return Restoration(x, relative_misfit(problem, x), method, tuple(levels), tuple(range(seed, seed + samples)))


def in_batches(draw: Callable[[Sequence[Item]], Tensor], items: Sequence[Item], batch_size: int) -> Iterator[Tensor]:
    """`draw` of all items in turn, at most `batch_size` at once, half as many whenever memory runs out."""
    done = 0
    while done < len(items):
        try:
            drawn = draw(items[done : done + batch_size])
        except torch.OutOfMemoryError:
            if batch_size == 1:
                raise
            batch_size //= 2
        else:
            done += len(drawn)
            yield drawn
