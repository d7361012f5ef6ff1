"""Tuning: it sees the validation cases alone and takes the best."""

import json
from pathlib import Path

import pytest
from helpers.studies import TINY, changed, opened, run

from medrestore.baselines import CGSense
from medrestore.study.run import Running, run_study, scored_tasks, tuning_tasks
from medrestore.study.tuning import TunedChoice, choice_lines, printed
from medrestore.study.work import rows_of


def test_tuning_sees_validation_alone_and_takes_the_best(tmp_path: Path) -> None:
    study = opened(TINY, tmp_path / "out")
    tuning = tuning_tasks(study)
    assert {task.what.case.name for task in tuning} == {"phantom10", "phantom11"}
    assert not {task.what.case.identity for task in tuning} & {case.identity for case in study.data}
    run_study(study, Running())
    told = json.loads((study.out / "tuned.json").read_text())["CG"]["uniform1d 2x"]
    means: dict[float, list[float]] = {}
    for task in tuning:
        (row,) = rows_of(study.out / "tasks" / task.name)
        means.setdefault(task.what.solver.baseline.lam, []).append(row["psnr"])
    best = max(means, key=lambda lam: sum(means[lam]))
    assert told["chosen"] == {"lam": best} and told["warning"] is None and told["cases"] == 2
    assert [one["psnr"] for one in told["tried"]] == pytest.approx([sum(values) / 2 for values in means.values()])
    tested = scored_tasks(study, {"CG": {"uniform1d 2x": told}})
    assert [task.what.solver.baseline for task in tested if task.what.label == "CG"] == [CGSense(lam=best)] * 2


def test_a_best_value_at_an_end_is_reported(tmp_path: Path) -> None:
    said: list[str] = []
    run(changed(methods={"CG": {"baseline": "CGSense", "tune": {"lam": [1e-2, 1.0]}}}), tmp_path / "out", say=said.append)
    assert any("lam = 0.01 lies at an end of the values tried" in line for line in said)


def test_a_choice_is_summarised_in_a_line() -> None:
    choice = TunedChoice(chosen={"lam": 0.1, "steps": None}, metric="psnr", cases=2, tried=[], warning="x")
    nothing = TunedChoice(chosen=None, metric="psnr", cases=2, tried=[], warning=None)
    assert list(choice_lines({"CG": {"4x": choice, "8x": nothing}})) == [
        "tuned CG, 4x: lam=0.1 steps=None; warning: x", "tuned CG, 8x: nothing could be chosen"]
    assert printed({}) == ""
