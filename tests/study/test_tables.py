"""Tables, curves and pictures of a study's rows."""

from pathlib import Path
from typing import Any

import pytest
from helpers.studies import NATURAL, PHANTOMS, changed, opened

from medrestore.study.config import read
from medrestore.study.run import Running, run_study, scored_tasks
from medrestore.study.tables import _caption, _method_pairs, _over_acceleration, _over_calls, _stored_pictures, write_outputs


def row(case: str, method: str, psnr: float, *, setting: str = "uniform1d 2x", calls: float = 0.0) -> dict[str, Any]:
    return {"case": case, "patient": case, "slice": None, "setting": setting, "method": method, "seed": 0, "calls": calls,
            "protocol": "fastmri-slice", "psnr": psnr, "ssim": 0.9, "nmse": 0.1}


def test_methods_are_paired_against_the_one_asked_for_without_their_samples() -> None:
    from medrestore.evaluation.protocols import METRICS

    rows = [row(f"p{number}", method, 30.0 + number + gain) for number in range(6)
            for method, gain in (("ZF", 0.0), ("CG", 1.0), ("CG, one sample", 5.0))]
    pairs = _method_pairs(read(changed(against="ZF"), "x"), rows, METRICS["fastmri"][:1])
    assert [(pair.method, pair.against) for pair in pairs] == [("CG", "ZF")]
    assert pairs[0].difference == pytest.approx(1.0) and pairs[0].patients == 6
    assert _method_pairs(read(changed(against="ZF"), "x"), rows[1::3], METRICS["fastmri"][:1]) == []  # nothing to pair with


def test_curves_are_drawn_where_there_are_several_points() -> None:
    from medrestore.evaluation.protocols import METRICS
    from medrestore.evaluation.statistics import cells

    settings = [{"kind": "uniform1d", "accel": accel} for accel in (2, 4)] + [{"kind": "gaussian2d", "accel": 8}]
    methods = {f"DDS {steps}": {"method": "dds", "steps": steps} for steps in (5, 10)}
    config = read(changed(settings=settings, methods=methods), "x")
    rows = [row(case, f"DDS {steps}", 30.0 + steps - accel, setting=f"uniform1d {accel}x", calls=steps)
            for case in ("a", "b") for steps in (5, 10) for accel in (2, 4)]
    metric, by_name = METRICS["fastmri"][0], {"psnr": cells(rows, "psnr")}
    (acceleration,) = _over_acceleration(config, metric, by_name)
    assert acceleration.title == "PSNR over acceleration, uniform1d" and set(acceleration.lines) == set(methods)
    assert [point.x for point in acceleration.lines["DDS 5"]] == [2, 4]
    calls = list(_over_calls(config, metric, by_name, {"calls": cells(rows, "calls")}))
    assert [[point.x for point in curve.lines["dds"]] for curve in calls] == [[5, 10], [5, 10]]


def test_captions_are_the_means_of_the_first_two_metrics() -> None:
    rows = [row("a", "ZF", 30.0), row("a", "ZF", 31.0), row("a", "CG", 99.0)]
    assert _caption(read(changed(), "x"), rows, "ZF") == "PSNR 30.50, SSIM 0.9000"


def test_pictures_of_scenes_have_no_setting_and_a_report_shows_two_cases_of_each(tmp_path: Path) -> None:
    given = {"protocol": "dreaming-corrected", "pictures": 3, "methods": {"none": {"fill": "none"}},
             "data": {"kind": "scenes", "scenes": [3, 6], "size": [40, 64], "frames": [300]}}
    study = opened(given, tmp_path / "out")
    run_study(study, Running())
    pictures = list(_stored_pictures(study.config, study.out, scored_tasks(study, {})))
    assert [picture.title for picture in pictures] == ["scene-0-3", "scene-0-4"]
    assert all(picture.reference.shape == (40, 64, 3) and set(picture.images) == {"none"} for picture in pictures)


def test_without_rows_only_the_provenance_is_written(tmp_path: Path) -> None:
    study = opened(changed(data={**PHANTOMS, "count": 1}), tmp_path / "out")
    assert not write_outputs(study.config, tmp_path, tmp_path, [], {}, {}, {"a": 1})
    assert (tmp_path / "provenance.json").exists() and not (tmp_path / "tables.md").exists()
    assert opened(NATURAL, tmp_path / "other").config.against is None
