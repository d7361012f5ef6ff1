"""The log of a run as CSV and lines of JSON."""

import json
from pathlib import Path

from medrestore.training.log import write_log


def test_counts_have_all_digits_and_scores_six(tmp_path: Path) -> None:
    write_log(tmp_path, "log", [{"images": 1234567.0, "loss": 0.123456789}])
    assert (tmp_path / "log.csv").read_text().splitlines()[1] == "1234567,0.123457"


def test_columns_are_those_of_all_rows_and_the_file_is_replaced(tmp_path: Path) -> None:
    write_log(tmp_path, "log", [{"a": 1.0}, {"a": 2.0}, {"a": 3.0}])
    rows = [{"a": 1.0}, {"a": 2.5, "b": 3.0}]
    write_log(tmp_path, "log", rows)
    assert (tmp_path / "log.csv").read_text().splitlines() == ["a,b", "1,", "2.5,3"]
    assert [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()] == rows
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log.csv", "log.jsonl"]
