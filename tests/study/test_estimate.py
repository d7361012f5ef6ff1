"""What a study would take."""

from pathlib import Path

import pytest
from helpers.studies import NATURAL, SCENES, TINY, changed, opened

from medrestore.study.estimate import _duration, estimate


def test_tasks_calls_and_times_are_estimated_and_nothing_is_written(tmp_path: Path, tiny_prior: Path) -> None:
    given = changed(methods={"DDS": {"method": "dds", "prior": str(tiny_prior), "steps": 3, "samples": 2}})
    lines = list(estimate(opened(given, tmp_path / "out"), "cpu", workers=2))
    assert lines[0] == "6 tasks to tune on 2 cases, 6 to test on 2"  # a tuned method is tested once
    assert lines[1].startswith("preparing a slice takes ") and lines[2].startswith(f"a network call of {tiny_prior} takes ")
    assert "with 2 workers for 12 network calls" in lines[3]
    assert not (tmp_path / "out" / "tasks").exists()


def test_pictures_and_scenes_need_no_preparation(tmp_path: Path) -> None:
    for number, given in enumerate((NATURAL, SCENES)):
        lines = list(estimate(opened(given, tmp_path / str(number)), "cpu"))
        assert len(lines) == 2 and "with 1 worker for 0 network calls" in lines[1]


def test_without_a_test_task_there_is_nothing_to_time(tmp_path: Path) -> None:
    lines = list(estimate(opened({**TINY, "seeds": [0]}, tmp_path / "out"), "cpu"))
    assert lines[0].startswith("6 tasks to tune")


@pytest.mark.parametrize(("seconds", "text"), [(5, "5 s"), (89, "89 s"), (600, "10 min"), (7200, "2.0 h")])
def test_times_in_words(seconds: float, text: str) -> None:
    assert _duration(seconds) == text
