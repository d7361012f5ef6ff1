"""The choice of a baseline's regularisation weight on validation cases."""

from collections.abc import Callable, Iterable, Sequence
from math import isnan
from statistics import fmean

from torch import Tensor

from ..errors import InputError
from .base import Baseline

Case = tuple[Tensor, Tensor, Tensor, Tensor]


def tune(
    baseline_type: Callable[[float], Baseline],
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
        cases: (kspace, maps, mask, reference) each; the first three as for `Baseline.reconstruct`.
        score: (reconstruction (1, 1, height, width) complex64, reference) to a number; higher is better.

    Returns:
        The best weight, the first of equals, and a table from each weight to its scores in the order of the cases.

    Raises:
        InputError: there is nothing to choose from, or a score is not a number.
    """
    baselines = {weight: baseline_type(weight) for weight in weights}
    table: dict[float, list[float]] = {weight: [] for weight in baselines}
    for kspace, maps, mask, reference in cases:
        for weight, baseline in baselines.items():
            value = float(score(baseline.reconstruct(kspace, maps, mask), reference))
            if isnan(value):
                raise InputError(
                    f"The score of weight {weight} on case {len(table[weight])} is not a number; leave the case out."
                )
            table[weight].append(value)
    if not all(table.values()) or not table:
        raise InputError("Tuning needs at least one weight and one validation case.")
    return max(table, key=lambda weight: fmean(table[weight])), {weight: tuple(values) for weight, values in table.items()}
