"""Patients as the unit, intervals that cover, tests against hand-worked numbers."""

from math import inf, isnan, nan

import numpy as np
import pytest
from scipy import stats

from medrestore.errors import InputError
from medrestore.evaluation.statistics import (
    Pair,
    cells,
    holm,
    interval,
    mean_of_known,
    paired,
    paired_differences,
    per_case,
    signed_rank,
)


def rows_of(scores, method="DDS", setting="4x", metric="psnr"):
    """{patient: scores of its slices} as rows."""
    return [{"case": f"{patient}-scan", "patient": patient, "slice": number, "setting": setting, "method": method, metric: score}
            for patient, values in scores.items() for number, score in enumerate(values)]


def test_patients_count_not_slices():
    (cell,) = cells(rows_of({"a": [1.0, 3.0, 5.0, 7.0], "b": [10.0], "c": [4.0, 6.0]}), "psnr")
    assert (cell.setting, cell.method, cell.metric, cell.patients, cell.rows, cell.left_out) == ("4x", "DDS", "psnr", 3, 7, 0)
    assert (cell.mean, cell.median, cell.q1, cell.q3) == pytest.approx((19 / 3, 5, 4.5, 7.5))
    assert cell.sd == pytest.approx(np.std([4, 10, 5], ddof=1))
    assert 4 <= cell.low < cell.mean < cell.high <= 10


def test_cells_come_in_order_and_may_be_grouped_otherwise():
    rows = [*rows_of({"a": [1.0], "b": [2.0]}, "B"), *rows_of({"a": [1.0]}, "A", "8x"), *rows_of({"a": [1.0]}, "A")]
    assert [(cell.setting, cell.method) for cell in cells(rows, "psnr")] == [("4x", "B"), ("8x", "A"), ("4x", "A")]
    first, *_ = cells(rows, "psnr", by=("method", "setting"))
    assert (first.setting, first.method) == ("B", "4x")


def test_what_is_not_finite_is_left_out_and_counted():
    (cell,) = cells(rows_of({"a": [1.0, inf], "b": [None, 3.0], "c": [nan]}), "psnr")
    assert (cell.mean, cell.patients, cell.rows, cell.left_out) == (2, 2, 2, 3)
    (cell,) = cells(rows_of({"a": [inf]}), "psnr")
    assert cell.patients == 0 and isnan(cell.mean)
    (cell,) = cells(rows_of({"a": [5.0]}), "psnr")
    assert cell.mean == 5 and isnan(cell.sd) and isnan(cell.low)


def test_cells_refuse():
    rows = rows_of({"a": [1.0]})
    with pytest.raises(InputError, match="no row has the metric 'ssim'"):
        cells(rows, "ssim")
    with pytest.raises(InputError, match="has no 'patient'"):
        cells([{**rows[0], "patient": None}], "psnr")
    with pytest.raises(InputError, match="several protocols"):
        cells([{**rows[0], "protocol": "fastmri"}, {**rows[0], "protocol": "fastmri-slice"}], "psnr")


def test_interval_is_seeded_and_ours_is_scipys():
    values = np.random.default_rng(0).exponential(size=15)
    assert interval(values, seed=1) == interval(values, seed=1) != interval(values, seed=2)
    theirs = stats.bootstrap((values,), np.mean, method="BCa", n_resamples=50_000, rng=np.random.default_rng(3))
    theirs = theirs.confidence_interval
    assert interval(values, resamples=50_000) == pytest.approx((theirs.low, theirs.high), abs=0.02)
    assert interval([2.0, 2.0, 2.0]) == (2, 2)
    assert np.isnan(interval([2.0])).all()


@pytest.mark.parametrize(("draw", "truth"), [("normal", 0.0), ("exponential", 1.0)])
def test_interval_covers_the_mean(draw, truth):
    """300 studies of 25 patients: 95 % less what a bootstrap of so few lacks, give or take three standard errors."""
    random = np.random.default_rng(0)
    inside = 0
    for number in range(300):
        low, high = interval(getattr(random, draw)(size=25), resamples=1000, seed=number)
        inside += low <= truth <= high
    assert 0.89 <= inside / 300 <= 0.985


def test_a_single_outlier_has_an_interval():
    values = np.zeros(100)
    values[3] = 1.0
    low, high = interval(values)
    assert 0 <= low <= 0.01 < 0.04 < high


def test_large_groups_are_drawn_in_blocks():
    values = np.arange(5000.0)
    low, high = interval(values, resamples=2000)
    error = values.std() / 5000**0.5
    assert (low, high) == pytest.approx((values.mean() - 1.96 * error, values.mean() + 1.96 * error), abs=error / 4)


def test_holm_by_hand():
    """0.01 x 4; 0.02 x 3; 0.03 x 2 = 0.06, not below the one before; 0.04 x 1, likewise."""
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_signed_rank():
    assert signed_rank([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]) == pytest.approx(2 / 2**6)  # all one sign: 2 of 64 sign patterns
    assert signed_rank([-1.0, 2.0, 3.0]) == pytest.approx(4 / 8)  # rank sums of 1 or less: {}, {1}, on both sides
    assert signed_rank([0.0, 0.0]) == signed_rank([]) == 1
    assert signed_rank([0.0, 1.0, 2.0]) == signed_rank([1.0, 2.0]) == 0.5
    random = np.random.default_rng(0)
    false = sum(signed_rank(random.standard_normal(12)) < 0.05 for _ in range(400))
    assert false / 400 < 0.08


def test_pairs_are_matched_by_case_and_slice():
    ours = rows_of({"a": [2.0, 4.0], "b": [7.0], "c": [1.0, inf]}, "DDS")
    theirs = rows_of({"a": [1.0, 2.0, 100.0], "b": [8.0], "c": [0.5, 1.0], "d": [9.0]}, "TV")
    (pair,) = paired([*ours, *theirs], "psnr", "TV")
    assert (pair.setting, pair.method, pair.against) == ("4x", "DDS", "TV")
    assert pair.difference == pytest.approx((1.5 - 1 + 0.5) / 3)
    assert (pair.mean, pair.mean_against) == pytest.approx(((3 + 7 + 1) / 3, (1.5 + 8 + 0.5) / 3))
    assert (pair.wins, pair.patients, pair.rows, pair.left_out) == (2, 3, 4, 1)
    assert pair.p == pair.p_holm and pair.smallest_p == 0.25
    (other,) = paired([*ours, *theirs], "psnr", "DDS")
    assert other.difference == -pair.difference and other.wins == 1


def test_seeds_of_one_slice_are_averaged_and_lower_may_be_better():
    twice = rows_of({"a": [0.1], "b": [0.3]}, "DDS", metric="nmse") + rows_of({"a": [0.3], "b": [0.5]}, "DDS", metric="nmse")
    (pair,) = paired([*twice, *rows_of({"a": [0.25], "b": [0.3]}, "TV", metric="nmse")], "nmse", "TV")
    assert pair.difference == pytest.approx((-0.05 + 0.1) / 2) and pair.wins == 1 and pair.rows == 2


def test_a_seed_that_one_of_two_lacks_is_in_no_difference():
    """Two methods that are equal seed by seed; one of them failed on the harder seed of half of the patients."""
    rows = [{**row, "seed": seed} for seed, method, patients in ((0, "TV", "abcdef"), (1, "TV", "abcdef"), (0, "DDS", "abcdef"),
                                                                 (1, "DDS", "abc"))
            for row in rows_of({patient: [10.0 - 2 * seed] for patient in patients}, method)]
    (pair,) = paired(rows, "psnr", "TV")
    assert (pair.difference, pair.low, pair.high, pair.p, pair.patients) == (0, 0, 0, 1, 6)
    later = [{**row, "seed": row["seed"] + 5} for row in rows if row["method"] == "TV"]  # no seed in common: all of each
    assert paired_differences([(("4x", "later", "TV"), later, rows_of({"a": [8.0]}, "TV"))], "psnr")[0].difference == 1


def test_holm_runs_over_settings_and_methods():
    random = np.random.default_rng(0)
    base = {f"p{i}": [random.normal()] for i in range(8)}
    rows = []
    for setting in ("4x", "8x"):
        rows += rows_of(base, "TV", setting)
        for shift, method in ((0.0, "A"), (1.0, "B")):
            rows += rows_of({p: [v[0] + shift + 0.1 * random.normal()] for p, v in base.items()}, method, setting)
    pairs = paired(rows, "psnr", "TV")
    assert [(pair.setting, pair.method) for pair in pairs] == [("4x", "A"), ("4x", "B"), ("8x", "A"), ("8x", "B")]
    assert [pair.p_holm for pair in pairs] == holm([pair.p for pair in pairs])
    assert pairs[1].p == pytest.approx(2 / 2**8) and pairs[1].p_holm == pytest.approx(8 / 2**8)
    assert pairs[1].low > 0.9 and pairs[1].high < 1.1


def test_pairs_refuse():
    rows = rows_of({"a": [1.0]}, "DDS")
    with pytest.raises(InputError, match="no other method shares a case and a setting with 'TV' in 'psnr'; there are: DDS"):
        paired(rows, "psnr", "TV")
    assert paired_differences([(("4x", "DDS", "TV"), rows, rows_of({"b": [1.0]}))], "psnr") == []
    with pytest.raises(InputError, match="no metric 'mse'"):
        paired_differences([], "mse")


def test_smallest_p():
    few = Pair("4x", "A", "B", "psnr", *[0.0] * 7, wins=0, patients=5, rows=5)
    assert few.smallest_p == 0.0625 == pytest.approx(signed_rank(np.arange(1.0, 6)))


def test_slices_of_a_case_become_one_row():
    rows = [{**row, "ssim": None} for row in rows_of({"a": [1.0, 3.0], "b": [5.0]})]
    first, second = per_case(rows, ("psnr", "ssim", "nmse"))
    assert (first["case"], first["slice"], first["slices"], first["psnr"], first["ssim"]) == ("a-scan", None, 2, 2.0, None)
    assert second["psnr"] == 5 and "nmse" not in second


def test_the_mean_of_what_is_known() -> None:
    assert mean_of_known([1.0, None, 2.0]) == 1.5 and mean_of_known([None]) is None and mean_of_known([]) is None
