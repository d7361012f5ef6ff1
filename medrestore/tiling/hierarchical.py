"""A coarse picture first, which then guides the windows of the fine one."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from ..methods import Method
from ..noise import Noise
from ..operators import AveragePool, Crop
from ..priors import Prior
from ..problem import Problem
from .mask_shift import checked, determined, mask_shift
from .windows import Layout, Size, holes


def coarsen(problem: Problem, factor: int) -> Problem:
    """The problem of the picture's means over factor x factor pixels.

    A masked pixel is known when all that it is the mean of are; what averages over larger patches already keeps its data;
    other data are averaged, and their noise falls by how far.

    Raises:
        TypeError: what the operator measures does not follow from means.
        ValueError: sides that the factor does not divide.
    """
    operator, rest = problem.operator.coarsen(factor)
    height, width = problem.y.shape[-2:]
    y = AveragePool(rest, (height, width))(problem.y)
    return Problem(operator, y if operator.sampled is None else operator.sampled * y, problem.sigma / rest)


@torch.no_grad()
def hierarchical(
    problem: Problem, prior: Prior, method: Method, levels: Sequence[float], *, size: Size, window: Size, noise: Noise,
    shift: Size | None = None, factor: int | Literal["auto"] = "auto", guide_until: float = 0.5,
    constraints: Sequence[Problem] = (), layout: Layout = "auto", batch: int = 8,
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Restores a coarse picture, then the fine one with the coarse one's means: Wang et al., CVPRW 2023, sec. 3.3.

    Three constraints at each step, in the paper's order: the coarse picture's means, the data, the seam; the later win.

    What the paper leaves open: how a problem is made coarser is `coarsen`; the means are let go below a noise level. Measured
    with an exact Gaussian prior of pixel std 1, holes four windows wide, squared distance from the exact posterior in its
    stds, eight widest directions (1 is exact): mask-shift 1.93; one halving 2.02 with the means kept, 1.85 let go at 1;
    halving until the hole fits 1.90 kept, 1.65 let go at 0.5, 1.37 at 1, 1.35 at 2, 1.63 at 4 (docs/tiling.md). One pixel
    std it is; pictures in [-1, 1] have about 0.5.

    Args:
        factor: side of the patches whose means are the coarse picture; the paper's is 2. "auto" halves (or divides by what
            the operator's patches allow) again and again until every hole fits into a window, and guides each picture by
            the one before; where all fit, it is `mask_shift`.
        guide_until: noise level, in the prior's units, below which the means may drift; 0 keeps them to the end.
        progress: starts again with each picture.

    Other arguments, what comes back and what is refused: as for `mask_shift`.
    """
    if factor == "auto":
        step = coarser_by(problem, prior.channels, size, window)
        restore = partial(hierarchical, factor="auto", guide_until=guide_until)
    else:
        step, restore = factor, mask_shift
    common = dict(window=window, noise=noise, shift=shift, layout=layout, batch=batch, progress=progress)
    if step == 1:  # no guide
        return mask_shift(problem, prior, method, levels, size=size, constraints=constraints, **common)
    if not 1 < step <= min(size):
        raise ValueError(f"a picture of {size} pixels has no means over {step} x {step}; take 1 (no guide) to its shorter side")
    checked(problem, prior, method, window, shift, math.lcm(step, *(one.operator.grain for one in (problem, *constraints))))
    height, width = (side // step * step for side in size)
    below, *others = (coarsen(one.restrict((slice(0, height), slice(0, width))), step) for one in (problem, *constraints))
    coarse = restore(below, prior, method, levels, size=(height // step, width // step), constraints=others, **common)
    means = AveragePool(step, (height, width)) @ Crop(size, (height, width), (0, 0))
    return mask_shift(problem, prior, method, levels, size=size, constraints=constraints, guide=Problem(means, coarse),
                      guide_until=guide_until, **common)


def coarser_by(problem: Problem, channels: int, size: Size, window: Size) -> int:
    """The factor by which "auto" makes a picture coarser: 1 when every hole fits into a window with a ring around it.

    Also 1 when the coarser picture would know no pixel where this one does: a guide that has seen nothing misleads.
    """
    unknown = determined(replace(problem, sigma=0.0), channels, size, window) == 0  # a noisy pixel is no hole
    if all(side.stop - side.start <= w for box in holes(unknown, window) for side, w in zip(box, window, strict=True)):
        return 1
    grain = problem.operator.grain
    factor = next((divisor for divisor in range(2, grain + 1) if grain % divisor == 0), 2)
    height, width = (side // factor * factor for side in size)
    whole = AveragePool(factor, (height, width))(unknown[:height, :width].float()) == 0
    return factor if bool(whole.any()) or bool(unknown.all()) else 1
