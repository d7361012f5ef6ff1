"""The log of a run as CSV and JSON lines, rewritten each time, so that it has no rows of steps undone."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..files import write_file
from .checkpoint import ADVICE


def write_log(folder: Path, name: str, rows: Sequence[Mapping[str, float]]) -> None:
    """`name.csv` and `name.jsonl` in `folder`, a line for each row.

    Raises:
        InputError: the disk is full or cannot be written to.
    """
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, list(dict.fromkeys(key for row in rows for key in row)))
    writer.writeheader()
    # six digits, and all of a count: runs of millions of images tell their checkpoints apart
    writer.writerows({key: f"{value:.0f}" if float(value).is_integer() else f"{value:.6g}" for key, value in row.items()}
                     for row in rows)
    lines = "".join(json.dumps(dict(row)) + "\n" for row in rows)
    for suffix, text in (("csv", table.getvalue()), ("jsonl", lines)):
        write_file(folder / f"{name}.{suffix}", text, advice=ADVICE)
