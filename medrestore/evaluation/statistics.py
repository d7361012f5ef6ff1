"""Means, intervals and tests over patients: slices of one patient are not independent, so they are averaged
first.

Every number here is over patient means: n is the number of patients. Values that are missing or not finite (a
perfect slice has an infinite PSNR) are left out and counted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from math import isfinite, nan
from statistics import fmean
from typing import Any

import numpy as np

from ..errors import InputError
from .protocols import metric as metric_by_name

Row = Mapping[str, Any]
CONFIDENCE = 0.95
_BLOCK = 1 << 22  # numbers drawn at a time


@dataclass(frozen=True)
class Cell:
    """One metric of one method in one setting, over patients; NaN where there are too few patients for a
    number.

    Attributes:
        mean, sd, median, q1, q3: of the patients' means; sd with n - 1.
        low, high: 95 % interval of the mean, bootstrap over patients.
        patients, rows: how many went in.
        left_out: rows without a finite value.
    """

    setting: str
    method: str
    metric: str
    mean: float
    sd: float
    median: float
    q1: float
    q3: float
    low: float
    high: float
    patients: int
    rows: int
    left_out: int = 0


@dataclass(frozen=True)
class Pair:
    """The paired difference of two methods in one setting, over the patients that both have.

    Attributes:
        method, against: the difference is `method` minus `against`.
        mean, mean_against: of the two, over the same rows.
        difference, low, high: mean difference and its 95 % interval, bootstrap over patients.
        p: Wilcoxon signed-rank, two-sided; exact for up to 50 patients without ties.
        p_holm: after Holm's correction over all comparisons of this metric.
        wins: patients for whom `method` is better.
        patients, rows: matched ones.
        left_out: matched rows that lack a finite value on a side.
    """

    setting: str
    method: str
    against: str
    metric: str
    mean: float
    mean_against: float
    difference: float
    low: float
    high: float
    p: float
    p_holm: float
    wins: int
    patients: int
    rows: int
    left_out: int = 0

    @property
    def smallest_p(self) -> float:
        """The smallest p that the test can give with so many patients; above 0.05 for fewer than 6."""
        return min(1.0, 2.0 ** (1 - self.patients))


def cells(
    rows: Iterable[Row], metric: str, *, by: tuple[str, str] = ("setting", "method"), resamples: int = 10_000,
    seed: int = 0,
) -> list[Cell]:
    """One cell for each pair of values of `by`, in the order in which they come up; those without any number
    are left out.

    Args:
        rows: scored slices, volumes or scenes, with `patient`, the keys of `by`, and the metric (missing or
            None: no score).
        metric: name of the score.
        by: the keys that become `Cell.setting` and `Cell.method`.
        resamples, seed: of the bootstrap.

    Raises:
        InputError: a row lacks a key, the rows are of several protocols, or none has the metric.
    """
    groups = _grouped(rows, metric, by)
    result = [_cell(setting, method, metric, group, resamples, seed) for (setting, method), group in groups.items()
            if any(row[metric] is not None for row in group)]
    if not result:
        raise InputError(f"no row has the metric {metric!r}; score by a protocol that has it.")
    return result


def _grouped(rows: Iterable[Row], metric: str, by: tuple[str, str]) -> dict[tuple[str, str], list[Row]]:
    """Rows that have the metric, of one protocol, by the values of two keys."""
    rows = [row for row in rows if metric in row]
    if len(protocols := {row.get("protocol") for row in rows}) > 1:
        raise InputError(f"rows of several protocols ({', '.join(sorted(map(str, protocols)))}) cannot be averaged; take one.")
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[str(_get(row, by[0])), str(_get(row, by[1]))].append(row)
    return groups


def _cell(setting: str, method: str, metric: str, rows: Sequence[Row], resamples: int, seed: int) -> Cell:
    patients: dict[Hashable, list[float]] = defaultdict(list)
    for row in rows:
        if row[metric] is not None and isfinite(row[metric]):
            patients[_get(row, "patient")].append(row[metric])
    values = np.array([np.mean(one) for one in patients.values()])
    used = sum(map(len, patients.values()))
    if len(values) == 0:
        return Cell(setting, method, metric, nan, nan, nan, nan, nan, nan, nan, patients=0, rows=0,
                    left_out=len(rows))
    low, high = interval(values, resamples=resamples, seed=seed)
    q1, median, q3 = map(float, np.quantile(values, [0.25, 0.5, 0.75]))
    sd = float(values.std(ddof=1)) if len(values) > 1 else nan
    return Cell(setting, method, metric, float(values.mean()), sd, median, q1, q3, low, high, len(values),
                used, len(rows) - used)


def interval(values: Sequence[float] | np.ndarray, *, resamples: int = 10_000,
             seed: int = 0) -> tuple[float, float]:
    """95 % interval of the mean of independent values by the bootstrap; NaN for fewer than two.

    BCa, bias-corrected and accelerated: Efron, JASA 1987. Scores are skewed (a few hard patients) and the
    plain percentile interval ignores it. With about ten patients any bootstrap interval is somewhat too
    narrow; see docs/metrics.md.
    """
    from scipy import stats

    values = np.asarray(values, np.float64)
    if len(values) < 2:
        return nan, nan
    centred = values - values.mean()
    if not centred.any():
        return float(values[0]), float(values[0])
    means = _resampled_means(values, resamples, np.random.default_rng(seed))
    bias = stats.norm.ppf(np.clip(np.mean(means < values.mean()) + np.mean(means == values.mean()) / 2, 1e-6, 1 - 1e-6))
    # the jackknife's, in closed form for a mean
    acceleration = np.sum(centred**3) / (6 * np.sum(centred**2) ** 1.5)
    z = bias + stats.norm.ppf([(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    # a single outlier among many: no end, not a wrong one
    stretched = z / np.maximum(1 - acceleration * z, 1e-9)
    low, high = np.quantile(means, stats.norm.cdf(bias + stretched))
    return float(low), float(high)


def _resampled_means(values: np.ndarray, resamples: int, generator: np.random.Generator) -> np.ndarray:
    block = max(1, _BLOCK // len(values))
    return np.concatenate([
        values[generator.integers(len(values), size=(min(block, resamples - start), len(values)))].mean(1)
        for start in range(0, resamples, block)
    ])


def paired(
    rows: Iterable[Row], metric: str, against: str, *, by: str = "setting", resamples: int = 10_000,
    seed: int = 0,
) -> list[Pair]:
    """Every other method minus `against`, in each setting, over rows of the same case and slice.

    Args:
        rows: as for `cells`, with `case`, `slice` and `method` too. Several of one case and slice are
            averaged: those of the seeds that both methods have, all where they have none in common.
        metric: name of the score.
        against: label of the method that the others are compared with.
        by: the key that becomes `Pair.setting`.
        resamples, seed: of the bootstrap.

    Raises:
        InputError: a row lacks a key, the rows are of several protocols, or no setting has `against` and
            another method on common cases.
    """
    groups = _grouped(rows, metric, (by, "method"))
    sides = [((setting, method, against), group, groups[setting, against]) for (setting, method), group in groups.items()
             if method != against and (setting, against) in groups]
    pairs = paired_differences(sides, metric, resamples=resamples, seed=seed)
    if not pairs:
        methods = ", ".join(dict.fromkeys(method for _, method in groups)) or "none"
        raise InputError(f"no other method shares a case and a setting with {against!r} in {metric!r}; there are: {methods}.")
    return pairs


def paired_differences(
    sides: Iterable[tuple[tuple[str, str, str], Sequence[Row], Sequence[Row]]], metric: str, *,
    resamples: int = 10_000,
    seed: int = 0,
) -> list[Pair]:
    """First minus second for each ((setting, method, against), rows of the first, rows of the second),
    corrected together.

    Rows are matched by case and slice; sides that share none are left out.
    """
    sign = 1 if metric_by_name(metric).higher_is_better else -1
    compared = []
    for labels, first, second in sides:
        matched, left_out = _match(first, second, metric)
        if matched:
            compared.append((labels, matched, left_out))
    changes = [np.array([np.mean([a - b for a, b in one]) for one in matched.values()]) for _, matched, _ in compared]
    tests = [signed_rank(change) for change in changes]
    pairs = []
    for (labels, matched, left_out), change, p, p_holm in zip(compared, changes, tests, holm(tests), strict=True):
        means = np.mean([np.mean(one, axis=0) for one in matched.values()], axis=0)
        pairs.append(Pair(
            *labels, metric, float(means[0]), float(means[1]), float(change.mean()),
            *interval(change, resamples=resamples, seed=seed), p, p_holm,
            int(np.sum(sign * change > 0)), len(matched), sum(map(len, matched.values())), left_out,
        ))
    return pairs


def _match(first: Sequence[Row], second: Sequence[Row],
           metric: str) -> tuple[dict[Hashable, list[tuple[float, float]]], int]:
    """Scores of the same case and slice by patient, and how many are left out as one is not finite."""
    one, other = (_by_place(rows, metric) for rows in (first, second))
    patients: dict[Hashable, list[tuple[float, float]]] = defaultdict(list)
    left_out = 0
    for key, (patient, ours) in one.items():
        if key not in other:
            continue
        theirs = other[key][1]
        # another seed is another mask: what one of them lacks would tip the difference
        shared = ours.keys() & theirs.keys()
        scores = _mean_of_seeds(ours, shared), _mean_of_seeds(theirs, shared)
        if all(map(isfinite, scores)):
            patients[patient].append(scores)
        else:
            left_out += 1
    return patients, left_out


def _mean_of_seeds(values: Mapping[Hashable, Sequence[float]], seeds: Set[Hashable]) -> float:
    """The mean over these seeds, over all where there are none."""
    return float(np.mean([value for seed in values if seed in seeds or not seeds for value in values[seed]]))


def _by_place(rows: Sequence[Row],
              metric: str) -> dict[tuple[Any, Any], tuple[Hashable, dict[Hashable, list[float]]]]:
    """Patient and scores by seed of each case and slice."""
    places: dict[tuple[Any, Any], tuple[Hashable, dict[Hashable, list[float]]]] = {}
    for row in rows:
        value = row.get(metric)
        _, seeds = places.setdefault((_get(row, "case"), row.get("slice")), (_get(row, "patient"), {}))
        seeds.setdefault(row.get("seed"), []).append(nan if value is None else float(value))
    return places


def signed_rank(differences: Sequence[float] | np.ndarray) -> float:
    """Two-sided p of the Wilcoxon signed-rank test; 1 where nothing differs.

    Exact for up to 50 without ties. Differences of 0 are dropped, as Wilcoxon did.
    """
    from scipy import stats

    differences = np.asarray(differences, np.float64)
    differences = differences[differences != 0]
    return float(stats.wilcoxon(differences).pvalue) if len(differences) else 1.0


def holm(p: Sequence[float]) -> list[float]:
    """p corrected for many comparisons: Holm, Scandinavian Journal of Statistics 1979.

    The smallest times their number, the next times one less, ...; never falling, at most 1.
    """
    corrected, highest = [0.0] * len(p), 0.0
    for rank, index in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        highest = corrected[index] = min(1.0, max(highest, p[index] * (len(p) - rank)))
    return corrected


def per_case(rows: Iterable[Row], metrics: Sequence[str]) -> list[dict[str, Any]]:
    """Rows with the slices of each case averaged: the first row's other values, `slice` None, `slices` how
    many.

    For scores that are no means of slices (PSNR, NMSE) this is not the volume's: score volumes by `fastmri`
    for that.
    """
    groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[tuple(row.get(key) for key in ("case", "setting", "method", "seed", "protocol"))].append(row)
    result = []
    for group in groups.values():
        means = {name: mean_of_known(row.get(name) for row in group) for name in metrics
                 if any(name in row for row in group)}
        result.append({**group[0], "slice": None, "slices": len(group), **means})
    return result


def _get(row: Row, key: str) -> Any:
    if row.get(key) is None:
        raise InputError(f"a row has no {key!r} but {', '.join(row)}; every row of scores needs it.")
    return row[key]


def mean_of_known(values: Iterable[float | None]) -> float | None:
    """The mean of those that are not None; None where all are."""
    given = [value for value in values if value is not None]
    return fmean(given) if given else None
