"""How long the methods of a study took: no part of its results, which are the same on every machine."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..evaluation import tables
from ..files import write_file
from ..tasks.run import Task
from .cases import Item, Row

TIMINGS, SPEED = "timings.csv", "speed.csv"


def write_speed(out: Path, folder: Path, tasks: Sequence[Task]) -> None:
    """`speed.csv` and `speed.md`: for each setting and method the seconds an image, and the images a second.

    Of the tasks whose time is in `timings.csv`, which is that of the machine and of what else it did; the preparation that
    methods share is left out.

    Args:
        out: folder of the study.
        folder: where the files are written.
        tasks: those that are tested, each with its item.
    """
    with (out / TIMINGS).open(newline="", encoding="utf-8") as file:
        seconds = {row["task"]: float(row["method_seconds"]) for row in csv.DictReader(file)}
    spent: dict[tuple[str, str], tuple[float, int]] = {}
    for task in tasks:
        item: Item[Any, Any] = task.what
        if task.name in seconds:
            place = item.content.condition.name, item.label
            before, images = spent.get(place, (0.0, 0))
            spent[place] = before + seconds[task.name], images + item.case.images
    rows: list[Row] = [
        {"setting": setting, "method": method, "images": images, "seconds_an_image": took / images,
         "images_a_second": images / took if took > 0 else None}
        for (setting, method), (took, images) in spent.items()
    ]
    if rows:
        tables.write_rows(folder / SPEED, rows)
        lines = [[row["setting"], row["method"], str(row["images"]), f"{row['seconds_an_image']:.3g}",
                  "-" if row["images_a_second"] is None else f"{row['images_a_second']:.3g}"] for row in rows]
        write_file(folder / "speed.md", tables.markdown(["setting", "method", "images", "seconds an image",
                                                             "images a second"], lines))
