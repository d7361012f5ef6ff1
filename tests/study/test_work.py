"""The files of a task."""

import json
from pathlib import Path

import numpy as np
from helpers.studies import changed, opened

from medrestore.evaluation.protocols import METRICS
from medrestore.study.run import scored_tasks
from medrestore.study.work import StudyWork, image_of, primary, rows_of


def test_a_task_leaves_rows_an_image_where_asked_and_its_times(tmp_path: Path) -> None:
    tasks = [task for task in scored_tasks(opened(changed(), tmp_path / "out"), {}) if task.what.label == "ZF"]
    work = StudyWork(tmp_path / "timings.csv")
    for number, task in enumerate(tasks):
        (tmp_path / str(number)).mkdir()
        work(task, tmp_path / str(number), "cpu")
    (row,) = rows_of(tmp_path / "0")
    assert row["case"] == "phantom0" and row["method"] == "ZF" and row["psnr"] > 5
    assert json.loads((tmp_path / "0" / "rows.json").read_text()) == [row]
    image, reference = image_of(tmp_path / "0")
    assert image.shape == reference.shape == (40, 40) and image.dtype == np.float32
    assert [path.name for path in (tmp_path / "1").iterdir()] == ["rows.json"]  # of the second case no image is stored
    lines = (tmp_path / "timings.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == [task.name for task in tasks]


def test_tuning_looks_at_the_first_metric_of_the_protocol() -> None:
    assert primary("fastmri") == ("psnr", True) and primary("complex") == ("nrmse", False)
    assert all(primary(protocol)[0] == metrics[0].name for protocol, metrics in METRICS.items())
