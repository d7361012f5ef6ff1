"""Whether the spread of samples means anything: calibration against the truth, and the factor that repairs
its scale.

Of complex images the real and the imaginary part are separate numbers everywhere. All figures are shares or
means over pixels, and neighbouring pixels are not independent: over one image they scatter far more than
their number suggests, so pool images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, inf, isfinite, nan, sqrt

import torch
from torch import Tensor

from ..errors import InputError

LEVELS = (0.5, 0.8, 0.9, 0.95)


@dataclass(frozen=True)
class Calibration:
    """Statistics of K samples against the truth; each states its value for a perfect sampler.

    Attributes:
        samples, numbers: K, and how many numbers (pixels, twice that for complex ones) were looked at.
        rank_histogram: K + 1 shares of the truth's rank among the samples; all equal. U-shaped: too narrow;
            arched: too wide;
            sloped: biased.
        crps: continuous ranked probability score in units of the image, the fair one of finite ensembles
            (Ferro, QJRMS 2014); lower is better, its mean over many images is lowest for the posterior.
        squared_error: of the samples' mean, per number.
        variance: unbiased, of the samples, mean over the numbers.
        correlation: Pearson's, between |error of the mean| and std over the numbers; NaN where one of them
            does not vary. It says whether the std map points at the errors, whatever its scale; below 1 even
            for a perfect sampler.
        coverage: by nominal level, the share of the truth inside mean ± t std (1 + 1/K)^1/2, t being
            Student's with K - 1 degrees of freedom: nominal for Gaussian samples. Plain mean ± 1.96 std would
            be too narrow for few samples.
    """

    samples: int
    numbers: int
    rank_histogram: tuple[float, ...]
    crps: float
    squared_error: float
    variance: float
    correlation: float
    coverage: Mapping[float, float]

    @property
    def rank_coverage(self) -> dict[float, float]:
        """Share of the truth between the j-th lowest and the j-th highest sample, by its nominal level (K + 1
        - 2j) / (K + 1).

        Nominal for samples of any distribution, at these levels alone.
        """
        count = self.samples + 1
        return {(count - 2 * j) / count: sum(self.rank_histogram[j : count - j]) for j in range(1, (count - 1) // 2 + 1)}

    @property
    def coverage_gap(self) -> float:
        """Mean |observed - nominal| over `rank_coverage`; 0."""
        return sum(abs(seen - nominal) for nominal, seen in self.rank_coverage.items()) / len(self.rank_coverage)

    @property
    def spread_skill(self) -> float:
        """std of the samples over the error of their mean, (1 + 1/K)^1/2 std / rmse; 1, and below 1 when too
        sure of themselves.

        The factor is what the finite K adds to the error of the mean: Fortin et al., J. Hydrometeorology
        2014.
        """
        if self.squared_error == 0:
            return nan if self.variance == 0 else inf
        return sqrt((1 + 1 / self.samples) * self.variance / self.squared_error)

    def row(self) -> dict[str, float]:
        """The figures as columns of a table of scores, coverage by name as `coverage_90`."""
        return {
            "crps": self.crps, "spread_skill": self.spread_skill, "error_std_correlation": self.correlation,
            "coverage_gap": self.coverage_gap,
            **{f"coverage_{100 * level:g}": seen for level, seen in self.coverage.items()},
        }


def calibration(samples: Tensor, truth: Tensor, *, inside: Tensor | None = None,
                levels: Sequence[float] = LEVELS) -> Calibration:
    """The calibration of samples (K, height, width) for one truth (height, width), real or both complex.

    Args:
        samples: at least 2, in the units of `truth`; any shape after the first axis that `truth` has too.
        truth: what they are samples of. A reference with noise of its own counts that noise as error of the
            samples.
        inside: boolean, (height, width): the pixels that count, such as the object without the air around it,
            where std and error are both nearly nothing and flatter the correlation.
        levels: nominal ones of `coverage`.

    Raises:
        InputError: fewer than two samples, shapes that differ, a mix of real and complex, values that are not
            finite, or an empty `inside`.
    """
    from scipy import stats

    if not all(0 < level < 1 for level in levels):
        raise InputError(f"levels of coverage lie between 0 and 1, not {tuple(levels)}.")
    x, y = _compared_numbers(samples, truth, inside)
    count = len(x)
    mean, std = x.mean(0), x.std(0)
    error = (y - mean).abs()
    widened = std * sqrt(1 + 1 / count)
    covered = {level: float((error <= float(stats.t.ppf((1 + level) / 2, count - 1)) * widened).double().mean())
               for level in levels}
    return Calibration(
        samples=count, numbers=y.numel(), rank_histogram=_ranks(x, y), crps=float(_crps(x, y).mean()),
        squared_error=float(error.square().mean()), variance=float(std.square().mean()),
        correlation=_correlation(error, std),
        coverage=covered,
    )


def pool(parts: Sequence[Calibration]) -> Calibration:
    """The calibration over several images of one K: every number counts the same, of the correlations the
    weighted mean is taken.

    Raises:
        InputError: nothing to pool, or different numbers of samples or levels.
    """
    if len({(part.samples, tuple(part.coverage)) for part in parts}) != 1:
        raise InputError("only calibrations of one number of samples and one set of levels can be pooled; give at least one.")
    total = sum(part.numbers for part in parts)

    def mean(values: Sequence[float], weights: Sequence[int]) -> float:
        return sum(value * weight for value, weight in zip(values, weights, strict=True)) / sum(weights) if weights else nan

    numbers, known = [part.numbers for part in parts], [part for part in parts if isfinite(part.correlation)]
    return Calibration(
        samples=parts[0].samples, numbers=total,
        rank_histogram=tuple(mean(shares, numbers) for shares in zip(*(part.rank_histogram for part in parts), strict=True)),
        **{name: mean([getattr(part, name) for part in parts], numbers) for name in ("crps", "squared_error", "variance")},
        correlation=mean([part.correlation for part in known], [part.numbers for part in known]),
        coverage={level: mean([part.coverage[level] for part in parts], numbers) for level in parts[0].coverage},
    )


def residual_chi_squared(measured: Tensor, y: Tensor, noise_std: float, *,
                         sampled: Tensor | None = None) -> float:
    """|A x - y|^2 / (sigma^2 m): 1 for the truth and, on average, for samples of the posterior. Needs no
    truth.

    Below 1 the samples have fitted the noise, above they contradict the data. The mean of samples has less
    than a sample.

    Args:
        measured: A x of one sample, or (sample, ...) of many.
        y: the data.
        noise_std: std of every real number of the noise, so that complex values count twice in m.
        sampled: boolean, where there are data; all of `y` without.

    Raises:
        InputError: a noise level that is not positive, shapes that do not fit, or no data.
    """
    if not (isfinite(noise_std) and noise_std > 0):
        raise InputError(f"the noise std must be positive, got {noise_std}; without noise there is no chi-squared.")
    if measured.shape[measured.ndim - y.ndim :] != y.shape:
        raise InputError(f"A x has the shape {tuple(measured.shape)} but the data {tuple(y.shape)}; give both of one problem.")
    residual = _real_numbers(measured - y)
    if sampled is not None:
        residual = residual[sampled.bool()[..., None].expand(y.shape + residual.shape[-1:]).expand(residual.shape)]
    if residual.numel() == 0:
        raise InputError("there are no data to be consistent with; check the mask.")
    return float(residual.square().mean()) / noise_std**2


def needed_factor(samples: Tensor, truth: Tensor, *, share: float = 0.9,
                  inside: Tensor | None = None) -> float:
    """The least factor for which mean ± factor std holds the truth in that share of one image's numbers; may
    be infinite.

    Arguments and errors as in `calibration`.
    """
    if not 0 < share <= 1:
        raise InputError(f"share must be above 0 and at most 1, got {share}.")
    x, y = _compared_numbers(samples, truth, inside)
    error, std = (y - x.mean(0)).abs(), x.std(0)
    # where nothing is wrong no width is needed, not even of a std of 0
    ratio = torch.where(error == 0, 0.0, error / std)
    return float(ratio.kthvalue(_least_count(share, ratio.numel()))[0])


def conformal_factor(needed: Sequence[float], *, confidence: float = 0.9) -> float:
    """The factor to scale std maps by, from the factors that calibration images needed: split-conformal (Vovk
    et al., 2005).

    For a new image that is exchangeable with the calibration ones (same scanner, anatomy, sampling, method
    and prior; other patients), mean ± factor std holds the truth in the wanted share of its numbers with
    probability of at least `confidence`. Images are what is exchangeable, pixels of one image are not: hence
    one factor an image, and, when patients have several images, better one image a patient.

    Args:
        needed: `needed_factor` of each calibration image; none of them may have served to train or tune
            anything.
        confidence: over images; n of them can give n / (n + 1) at most.

    Raises:
        InputError: too few images, or a factor that is negative or not a number.
    """
    if not 0 < confidence < 1:
        raise InputError(f"confidence must lie between 0 and 1, got {confidence}.")
    count, rank = len(needed), _least_count(confidence, len(needed) + 1)
    if any(not value >= 0 for value in needed):
        raise InputError("a needed factor is negative or not a number; leave out what cannot be scored.")
    if rank > count:
        least = ceil(round(confidence / (1 - confidence), 9))
        raise InputError(f"{count} calibration images cannot give a confidence of {confidence:g}; give {least} or more.")
    return sorted(needed)[rank - 1]


def _least_count(share: float, count: int) -> int:
    """The least whole number of `count` that is at least that share, rounding errors of the product aside."""
    return max(1, ceil(round(share * count, 9)))


def _compared_numbers(samples: Tensor, truth: Tensor, inside: Tensor | None) -> tuple[Tensor, Tensor]:
    """(K, number) and (number,) in double precision."""
    if len(samples) < 2 or samples.shape[1:] != truth.shape:
        raise InputError(f"calibration needs at least 2 samples of the shape of the truth, not {tuple(samples.shape)} "
                         f"for {tuple(truth.shape)}.")
    if samples.is_complex() != truth.is_complex():
        raise InputError("of samples and truth one is complex and one is real; give both as magnitudes or both as complex.")
    if inside is not None and (inside.shape != truth.shape or inside.dtype != torch.bool):
        raise InputError(f"inside must be boolean of the shape {tuple(truth.shape)}, not {inside.dtype} {tuple(inside.shape)}.")
    x, y = _real_numbers(samples), _real_numbers(truth)
    x, y = (x.flatten(1), y.flatten()) if inside is None else (x[:, inside].flatten(1), y[inside].flatten())
    if y.numel() == 0 or not (x.isfinite().all() and y.isfinite().all()):
        raise InputError("samples and truth must be finite and have pixels inside; nothing can be said of them.")
    return x, y


def _real_numbers(values: Tensor) -> Tensor:
    """Real numbers in double precision, parts last: (..., 1), or (..., 2) of complex ones."""
    values = values.detach().cpu()
    return torch.view_as_real(values.to(torch.complex128).resolve_conj()) if values.is_complex() else values.double()[..., None]


def _ranks(x: Tensor, y: Tensor) -> tuple[float, ...]:
    """Shares of y's rank; where samples equal y, each rank that it could have gets its part."""
    below, equal = (x < y).sum(0), (x == y).sum(0)
    part = 1 / (1 + equal.double())
    steps = torch.zeros(len(x) + 2, dtype=torch.float64)
    steps = steps.index_add(0, below, part).index_add(0, below + equal + 1, -part)
    return tuple((steps.cumsum(0)[:-1] / y.numel()).tolist())


def _crps(x: Tensor, y: Tensor) -> Tensor:
    """mean |x_k - y| - mean over pairs k < l of |x_k - x_l| / 2, the latter from sorted samples."""
    count = len(x)
    weights = 2 * torch.arange(count, dtype=x.dtype)[:, None] - (count - 1)
    between = (weights * x.sort(0)[0]).sum(0) / (count * (count - 1))
    return (x - y).abs().mean(0) - between


def _correlation(a: Tensor, b: Tensor) -> float:
    a, b = a - a.mean(), b - b.mean()
    scale = float(a.norm() * b.norm())
    return float(a @ b) / scale if scale > 0 else nan
