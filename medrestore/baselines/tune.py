"""The choice of a baseline's regularisation weight on validation cases."""

from collections.abc import Callable, Iterable, Sequence
from math import isnan
from statistics import fmean

from torch import Tensor

from ..errors import InputError
from ..operators import LinearOperator
from ..problem import Problem
from .base import Baseline
from .pictures import PictureBaseline

Case = tuple[Tensor, Tensor, Tensor, Tensor] | tuple[Problem[LinearOperator], Tensor]


def tune(
    baseline_type: Callable[[float], Baseline | PictureBaseline],
    weights: Sequence[float],
    cases: Iterable[Case],
    score: Callable[[Tensor, Tensor], float],
) -> tuple[float, dict[float, tuple[float, ...]]]:
    """The weight with the highest mean score over validation cases, and every score that led to it.

    Choose on validation cases only, never on those that the comparison is reported on. A best weight at either end of
    `weights` means that the range should be widened.

    Args:
        baseline_type: makes the baseline from a weight: a class such as `CGSense`, or a `functools.partial` of one.
        weights: the weights to try.
        cases: (kspace, maps, mask, reference) each, the first three as for `Baseline.reconstruct`; of pictures (problem,
            reference), as for `PictureBaseline.restore`.
        score: (reconstruction (1, channel, height, width), reference) to a number; higher is better.

    Returns:
        The best weight, the first of equals, and a table from each weight to its scores in the order of the cases.

    Raises:
        InputError: there is nothing to choose from, or a score is not a number.
    """
    baselines = {weight: baseline_type(weight) for weight in weights}
    table: dict[float, list[float]] = {weight: [] for weight in baselines}
    for case in cases:
        for weight, baseline in baselines.items():
            value = float(score(_restored_case(baseline, case), case[-1]))
            if isnan(value):
                raise InputError(
                    f"The score of weight {weight} on case {len(table[weight])} is not a number; leave the case out."
                )
            table[weight].append(value)
    if not all(table.values()) or not table:
        raise InputError("Tuning needs at least one weight and one validation case.")
    return max(table, key=lambda weight: fmean(table[weight])), {weight: tuple(values) for weight, values in table.items()}


def _restored_case(baseline: Baseline | PictureBaseline, case: Case) -> Tensor:
    """What a baseline makes of a case.

    Raises:
        InputError: a case of another kind of data than the baseline is for.
    """
    if len(case) == 4 and isinstance(baseline, Baseline):
        return baseline.reconstruct(*case[:3])
    if len(case) == 2 and isinstance(baseline, PictureBaseline):
        return baseline.restore(case[0])
    raise InputError(f"{type(baseline).__name__} has no use for a case of {len(case)} parts; scans are (kspace, maps, mask, "
                     "reference) and pictures (problem, reference)")
