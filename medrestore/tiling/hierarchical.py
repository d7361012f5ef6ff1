"""A coarse picture first, which then guides the windows of the fine one."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor

from ..methods import Method
from ..noise import Noise
from ..operators import AveragePool, Crop, LocalOperator, Operator
from ..operators.local import as_local, no_coarser_form
from ..priors import Prior
from ..problem import Problem
from .mask_shift import Seam, checked, common_grain, common_halo, determined, mask_shift
from .windows import Layout, Size, holes


def coarsen(problem: Problem[Operator], factor: int) -> Problem[LocalOperator]:
    """The problem of the picture's means over factor x factor pixels.

    A coarse pixel is known when all the pixels in its mean are; an operator that already averages over larger patches
    keeps its data; other data are averaged, and their noise falls by that factor.

    Raises:
        TypeError: the operator is not local, or its measurement does not follow from means.
        ValueError: sides that the factor does not divide.
    """
    local = problem.operator
    if not isinstance(local, LocalOperator):
        raise no_coarser_form(local)
    operator, rest = local.coarsen(factor)
    height, width = problem.y.shape[-2:]
    y = AveragePool(rest, (height, width))(problem.y)
    return Problem(operator, y if operator.sampled is None else operator.sampled * y, problem.sigma / rest)


@torch.no_grad()
def hierarchical(
    problem: Problem[Operator], prior: Prior, method: Method, levels: Sequence[float], *, size: Size, window: Size,
    noise: Noise, shift: Size | None = None, factor: int | Literal["auto"] = "auto", guide_until: float = 0.5,
    constraints: Sequence[Problem[Operator]] = (), layout: Layout = "auto", seam: Seam = "continued",
    batch: int = 8, progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Restores a coarse picture, then the fine one with the coarse one's means: Wang et al., CVPRW 2023, sec. 3.3.

    Three constraints at each step, in the paper's order: the coarse picture's means, the data, the seam; the later win.

    The paper leaves open how a problem is made coarser, which is `coarsen`, and until which noise level the means are met.
    Measured with an exact Gaussian prior of pixel std 1, holes four windows wide, squared distance from the exact posterior
    in its stds, eight widest directions (1 is exact): mask-shift 1.93; one halving 2.02 with the means met at all levels,
    1.85 down to 1; halving until the hole fits 1.90 at all levels, 1.65 down to 0.5, 1.37 to 1, 1.35 to 2, 1.63 to 4
    (docs/tiling.md). The default is one pixel std, which pictures in [-1, 1] have at about 0.5.

    Args:
        factor: side of the patches whose means are the coarse picture; the paper's is 2. "auto" halves (or divides by what
            the operator's patches allow) again and again until every hole fits into a window, and guides each picture by
            the one before; where all fit, it is `mask_shift`.
        guide_until: noise level, in the prior's units, below which the means may drift; 0 meets them to the end.
        progress: starts again with each picture.

    Other arguments, the result and the errors: as for `mask_shift`.
    """
    if factor == "auto":
        step = coarser_by(problem, prior.channels, size, window)
        restore: Callable[..., Tensor] = partial(hierarchical, factor="auto", guide_until=guide_until)
    else:
        step, restore = factor, mask_shift
    common: dict[str, Any] = dict(window=window, noise=noise, shift=shift, layout=layout, seam=seam, batch=batch,
                                  progress=progress)
    if step == 1:  # no guide
        return mask_shift(problem, prior, method, levels, size=size, constraints=constraints, **common)
    if not 1 < step <= min(size):
        raise ValueError(f"a picture of {size} pixels has no means over {step} x {step}; take 1 (no guide) to its shorter side")
    given = (problem, *constraints)
    checked(problem, prior, method, window, shift, math.lcm(step, common_grain(given)), common_halo(given))
    height, width = (side // step * step for side in size)
    below, *others = (coarsen(one.restrict((slice(0, height), slice(0, width))), step) for one in (problem, *constraints))
    coarse = restore(below, prior, method, levels, size=(height // step, width // step), constraints=others, **common)
    means = AveragePool(step, (height, width)) @ Crop(size, (height, width), (0, 0))
    return mask_shift(problem, prior, method, levels, size=size, constraints=constraints, guide=Problem(means, coarse),
                      guide_until=guide_until, **common)


def coarser_by(problem: Problem[Operator], channels: int, size: Size, window: Size) -> int:
    """The factor by which "auto" makes a picture coarser: 1 when every hole fits into a window with a ring around it.

    Also 1 when the coarser picture would know no pixel where this one does: a guide without data misleads; and for operators
    without a coarser form, such as blurs, whose data reach into every window.
    """
    unknown = determined(Problem(problem.operator, problem.y), channels, size, window) == 0  # a noisy pixel is no hole
    if all(side.stop - side.start <= w for box in holes(unknown, window) for side, w in zip(box, window, strict=True)):
        return 1
    grain = common_grain([problem])
    factor = next((divisor for divisor in range(2, grain + 1) if grain % divisor == 0), 2)
    height, width = (side // factor * factor for side in size)
    whole = AveragePool(factor, (height, width))(unknown[:height, :width].float()) == 0
    if not (bool(whole.any()) or bool(unknown.all())):
        return 1
    try:
        as_local(problem.operator).restrict((slice(0, height), slice(0, width))).coarsen(factor)
    except TypeError:
        return 1
    return factor
