"""Calibration of samples against Gaussian cases with known answers, and what it must notice."""

import re
from math import erf, exp, inf, isnan, pi, sqrt
from pathlib import Path

import numpy as np
import pytest
import torch

from medrestore.errors import InputError
from medrestore.evaluation.uncertainty import calibration, conformal_factor, needed_factor, pool, residual_chi_squared

DOCS = Path(__file__).parents[2] / "docs"


def gaussian(count=8, *, shape=(200, 200), spread=1.0, bias=0.0, seed=0, dtype=torch.float64):
    """Samples of N(mean, (spread s)^2) and a truth from N(mean + bias s, s^2), whose mean and s vary over the pixels."""
    generator = torch.Generator().manual_seed(seed)
    mean = 5 * torch.randn(shape, dtype=dtype, generator=generator)
    std = 0.2 + 2 * torch.rand(shape, dtype=torch.float64, generator=generator)
    samples = mean + spread * std * torch.randn((count, *shape), dtype=dtype, generator=generator)
    return samples, mean + bias * std + std * torch.randn(shape, dtype=dtype, generator=generator), std


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
@pytest.mark.parametrize("count", [2, 3, 8])
def test_a_perfect_sampler_is_found_perfect(count, dtype):
    samples, truth, _ = gaussian(count, dtype=dtype)
    found = calibration(samples, truth)
    assert (found.samples, found.numbers) == (count, truth.numel() * (2 if dtype.is_complex else 1))
    assert found.rank_histogram == pytest.approx([1 / (count + 1)] * (count + 1), abs=0.01)
    assert sum(found.rank_histogram) == pytest.approx(1)
    assert found.coverage == pytest.approx({level: level for level in (0.5, 0.8, 0.9, 0.95)}, abs=0.01)
    assert found.rank_coverage == pytest.approx({level: level for level in found.rank_coverage}, abs=0.02)
    assert found.spread_skill == pytest.approx(1, abs=0.02) and found.coverage_gap < 0.02


def test_rank_coverage_has_the_levels_that_so_many_samples_have():
    assert list(calibration(*gaussian(4)[:2]).rank_coverage) == pytest.approx([3 / 5, 1 / 5])
    assert list(calibration(*gaussian(3)[:2]).rank_coverage) == pytest.approx([2 / 4])


def test_crps_is_the_gaussian_formula_for_any_number_of_samples():
    """Of N(0, 1) at y: y (2 Phi(y) - 1) + 2 phi(y) - 1 / sqrt(pi); Gneiting & Raftery, JASA 2007."""
    generator = torch.Generator().manual_seed(0)
    for y in (0.0, 1.5):
        known = y * erf(y / sqrt(2)) + 2 * exp(-y * y / 2) / sqrt(2 * pi) - 1 / sqrt(pi)
        for count in (2, 5, 40):
            samples = torch.randn(count, 400_000 // count, dtype=torch.float64, generator=generator)
            assert calibration(samples, torch.full(samples.shape[1:], y)).crps == pytest.approx(known, abs=0.01)


def test_crps_is_the_double_sum():
    samples, truth, _ = gaussian(5, shape=(6, 4))
    pairs = (samples[:, None] - samples[None]).abs().sum((0, 1)) / (2 * 5 * 4)
    assert calibration(samples, truth).crps == pytest.approx(float(((samples - truth).abs().mean(0) - pairs).mean()))


def test_crps_is_lowest_for_the_posterior():
    crps = {spread: calibration(*gaussian(8, spread=spread)[:2]).crps for spread in (0.3, 1.0, 3.0)}
    assert crps[1.0] < min(crps[0.3], crps[3.0])


def test_what_is_wrong_shows():
    narrow, wide = (calibration(*gaussian(8, spread=spread)[:2]) for spread in (0.5, 2.0))
    assert narrow.rank_histogram[0] > 0.2 < narrow.rank_histogram[-1] and wide.rank_histogram[0] < 0.05
    assert narrow.coverage[0.9] < 0.7 and wide.coverage[0.9] > 0.98
    assert narrow.spread_skill < 0.55 and wide.spread_skill > 1.3
    assert min(narrow.coverage_gap, wide.coverage_gap) > 0.1
    biased = calibration(*gaussian(8, bias=1.0)[:2]).rank_histogram
    assert biased[-1] > 3 * biased[0]


def test_a_deterministic_method_has_no_coverage():
    _, truth, _ = gaussian()
    found = calibration(torch.zeros(4, *truth.shape), truth)
    assert found.coverage[0.95] == 0 and found.spread_skill == 0 and isnan(found.correlation)
    assert found.rank_histogram[0] + found.rank_histogram[-1] == pytest.approx(1)
    assert found.crps == pytest.approx(float(truth.abs().mean()))
    perfect = calibration(truth.expand(4, *truth.shape), truth)
    assert perfect.rank_histogram == pytest.approx([0.2] * 5)  # ties are shared out
    assert perfect.crps == 0 and isnan(perfect.spread_skill)


def test_correlation_says_whether_the_map_points_at_the_errors():
    samples, truth, _ = gaussian(64)
    found = calibration(samples, truth)
    error = (truth - samples.mean(0)).abs().flatten()
    assert found.correlation == pytest.approx(np.corrcoef(error, samples.std(0).flatten())[0, 1])
    assert 0.4 < found.correlation < 0.7  # |error| of known std still scatters
    order = torch.randperm(error.numel(), generator=torch.Generator().manual_seed(1))
    elsewhere = (samples - samples.mean(0)).flatten(1)[:, order]  # of mean 0, with the stds of other pixels
    assert abs(calibration(elsewhere, error).correlation) < 0.02


def test_inside_alone_counts():
    samples, truth, _ = gaussian(4, shape=(20, 20))
    inside = torch.zeros(20, 20, dtype=torch.bool)
    inside[:7] = True
    spoilt = truth.clone()
    spoilt[7:] = 1e6
    assert calibration(samples, spoilt, inside=inside) == calibration(samples[:, :7], truth[:7])


def test_images_are_pooled_by_their_numbers():
    samples, truth, _ = gaussian(4, shape=(30, 20))
    parts = [calibration(samples[:, :10], truth[:10]), calibration(samples[:, 10:], truth[10:])]
    whole, pooled = calibration(samples, truth), pool(parts)
    for name in ("samples", "numbers", "rank_histogram", "crps", "squared_error", "variance", "spread_skill", "coverage"):
        assert getattr(pooled, name) == pytest.approx(getattr(whole, name)), name
    assert pooled.correlation == pytest.approx((parts[0].correlation + 2 * parts[1].correlation) / 3)
    with pytest.raises(InputError, match="at least one"):
        pool([])


def test_a_row_for_tables():
    row = calibration(*gaussian()[:2], levels=(0.9,)).row()
    assert set(row) == {"crps", "spread_skill", "error_std_correlation", "coverage_gap", "coverage_90"}


def test_residual_of_the_noise_itself_is_one():
    generator = torch.Generator().manual_seed(0)
    clean = torch.randn(3, 100, 80, dtype=torch.complex128, generator=generator)
    noise = torch.complex(*(0.3 * torch.randn(2, 3, 100, 80, dtype=torch.float64, generator=generator)))
    lines = torch.arange(80) % 4 == 0
    assert residual_chi_squared(clean, clean + noise, 0.3) == pytest.approx(1, abs=0.02)
    data = (clean + noise) * lines
    assert residual_chi_squared(clean * lines, data, 0.3, sampled=lines) == pytest.approx(1, abs=0.04)
    assert residual_chi_squared(torch.stack([clean * lines] * 2), data, 0.3, sampled=lines) == pytest.approx(1, abs=0.04)
    assert residual_chi_squared(data, data, 0.3) == 0
    assert residual_chi_squared(clean.real, (clean + noise).real, 0.3) == pytest.approx(1, abs=0.03)
    with pytest.raises(InputError, match="no data"):
        residual_chi_squared(clean, data, 0.3, sampled=torch.zeros(80))
    with pytest.raises(InputError, match="must be positive"):
        residual_chi_squared(clean, data, 0.0)
    with pytest.raises(InputError, match="both of one problem"):
        residual_chi_squared(clean[..., :70], data, 0.3)


def test_needed_factor_is_the_gaussian_quantile():
    """With many samples, the two-sided quantile; scaled down where the samples are too wide."""
    samples, truth, _ = gaussian(400, shape=(100, 100))
    assert needed_factor(samples, truth) == pytest.approx(1.645, abs=0.04)
    assert needed_factor(samples, truth, share=0.5) == pytest.approx(0.674, abs=0.02)
    samples, truth, _ = gaussian(400, shape=(100, 100), spread=2.0)
    assert needed_factor(samples, truth) == pytest.approx(1.645 / 2, abs=0.02)


def test_needed_factor_holds_just_the_share():
    samples, truth, _ = gaussian(4, shape=(10, 10))
    factor = needed_factor(samples, truth, share=0.9)
    error, std = (truth - samples.mean(0)).abs(), samples.std(0)
    assert (error <= factor * std).sum() == 90
    assert needed_factor(torch.zeros(2, 3, 3), torch.zeros(3, 3)) == 0
    assert needed_factor(torch.zeros(2, 3, 3), torch.ones(3, 3)) == inf


def test_conformal_factor_is_the_corrected_quantile():
    needed = list(range(1, 20))  # 19 images: the ceil(20 x 0.9) = 18th
    assert conformal_factor(needed) == 18
    assert conformal_factor(needed[::-1], confidence=0.95) == 19
    assert conformal_factor(range(1, 10)) == 9
    for count, confidence, least in ((8, 0.9, 9), (18, 0.95, 19), (0, 0.5, 1)):
        with pytest.raises(InputError, match=f"{count} calibration images .* give {least} or more"):
            conformal_factor([1.0] * count, confidence=confidence)
    with pytest.raises(InputError, match="negative"):
        conformal_factor([1.0] * 20 + [float("nan")])
    with pytest.raises(InputError, match="confidence"):
        conformal_factor([1.0] * 20, confidence=1.0)


def test_scaled_intervals_hold_on_new_images():
    """A sampler that is too sure, by a factor that differs from image to image: 9 of 10 new images are held to 0.9."""
    random = np.random.default_rng(0)

    def needed(seed):
        samples, truth, _ = gaussian(6, shape=(12, 12), spread=float(random.uniform(0.2, 0.6)), seed=seed)
        return needed_factor(samples, truth, share=0.9)

    factors = np.array([needed(seed) for seed in range(1500)]).reshape(50, 30)
    held = [later <= conformal_factor(list(calibrating)) for *calibrating, later in factors]
    rest = [float(np.mean(factors.ravel() <= conformal_factor(list(row)))) for row in factors]
    assert np.mean(held) >= 0.8
    assert 0.88 <= np.mean(rest) <= 0.95  # on average over calibration sets: 28 / 31 = 0.903


@pytest.mark.parametrize(("samples", "truth", "options", "sentence"), [
    (torch.zeros(1, 4, 4), torch.zeros(4, 4), {}, "at least 2 samples"),
    (torch.zeros(3, 4, 4), torch.zeros(4, 5), {}, "of the shape of the truth"),
    (torch.zeros(3, 4, 4), torch.zeros(4, 4, dtype=torch.complex64), {}, "one is complex"),
    (torch.zeros(3, 4, 4), torch.full((4, 4), inf), {}, "must be finite"),
    (torch.zeros(3, 4, 4), torch.zeros(4, 4), {"inside": torch.zeros(4, 4, dtype=torch.bool)}, "pixels inside"),
    (torch.zeros(3, 4, 4), torch.zeros(4, 4), {"inside": torch.zeros(4, 4)}, "must be boolean"),
    (torch.zeros(3, 4, 4), torch.zeros(4, 4), {"levels": (90,)}, "between 0 and 1"),
])
def test_refusals(samples, truth, options, sentence):
    with pytest.raises(InputError, match=sentence):
        calibration(samples, truth, **options)


def test_the_table_of_spreads_is_that_of_the_posteriors():
    """Both pages are written by one command; a row's ranges are the least and the largest of the other page's columns."""
    posteriors = (DOCS / "posteriors.md").read_text(encoding="utf-8")
    table = re.search(r"<!-- spread:begin -->\n(.*?)\n<!-- spread:end -->", (DOCS / "uncertainty.md").read_text(encoding="utf-8"),
                      re.DOTALL)[1]
    expected = []
    for title, about in (("## Noisy data", "noisy"), ("## Exact data", "exact")):
        section = posteriors[posteriors.index(title) :]
        section = section[section.index("### Spread") :].split("\n\n")[1]
        for line in section.splitlines()[2:]:
            name, *cells = (cell.strip() for cell in line.strip("|").split("|"))
            spans = []
            for part in (0, 1):
                values = [float(cell.split(" / ")[part]) for cell in cells if " / " in cell and cell.split(" / ")[part] != "–"]
                spans.append(f"{min(values):.2f} to {max(values):.2f}")
            expected.append(f"| {name} | {about} | {' | '.join(spans)} |")
    assert table.splitlines()[2:] == expected
