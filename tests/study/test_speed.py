"""The time of methods, from the times of their tasks."""

import csv
from pathlib import Path

import pytest
from helpers.studies import TINY, opened, run

from medrestore.study.run import scored_tasks
from medrestore.study.speed import TIMINGS, write_speed


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_seconds_an_image_and_images_a_second(tmp_path: Path) -> None:
    given = {**TINY, "methods": {"ZF": TINY["methods"]["ZF"]}}
    tasks = scored_tasks(opened(given, tmp_path), {})
    (tmp_path / TIMINGS).write_text("task,method_seconds,preparation_seconds\n"
                                    f"{tasks[0].name},0.500,9.0\n{tasks[1].name},1.500,9.0\n{tasks[1].name},2.500,9.0\nother,8,8\n")
    write_speed(tmp_path, tmp_path, tasks)
    (row,) = rows(tmp_path / "speed.csv")
    assert (row["setting"], row["method"], row["images"]) == ("uniform1d 2x", "ZF", "2.0")
    assert float(row["seconds_an_image"]) == pytest.approx(1.5) and float(row["images_a_second"]) == pytest.approx(1 / 1.5)
    assert "| uniform1d 2x | ZF | 2 | 1.5 | 0.667 |" in (tmp_path / "speed.md").read_text()


def test_a_study_has_them(tmp_path: Path) -> None:
    given = {**TINY, "data": {**TINY["data"], "count": 1}, "methods": {"ZF": TINY["methods"]["ZF"]}}
    assert run(given, tmp_path / "out").failed == {}
    (row,) = rows(tmp_path / "out" / "speed.csv")
    assert row["images"] == "1.0" and float(row["seconds_an_image"]) >= 0
