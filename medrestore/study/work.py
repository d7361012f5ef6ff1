"""One task of a study: a method on a case in a condition, to rows of scores and, for some cases, an image."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..evaluation.protocols import METRICS
from ..tasks.run import Task
from .cases import Clock, Item, Row

ROWS, IMAGE, REFERENCE, FEATURES = "rows.json", "image.npy", "reference.npy", "features.npy"


@dataclass(frozen=True)
class StudyWork:
    """What the engine of tasks calls for each of them.

    Args:
        timings: CSV to which task, seconds of the method and seconds of preparation are appended; they are no
            part of the output.
    """

    timings: Path

    def __call__(self, task: Task, folder: Path, device: str) -> None:
        item: Item[Any, Any] = task.what
        clock = Clock()
        solved = item.case.solve(item, device, clock)
        (folder / ROWS).write_text(json.dumps(solved.rows, indent=1) + "\n", encoding="utf-8")
        if item.content.with_image:
            np.save(folder / IMAGE, solved.image.numpy().astype(np.float32))
            np.save(folder / REFERENCE, solved.reference.numpy().astype(np.float32))
        if solved.features is not None:
            np.save(folder / FEATURES, solved.features.astype(np.float32))
        # one line, so that those of several processes do not mix
        with self.timings.open("a", encoding="utf-8") as file:
            file.write(f"{task.name},{clock.method:.3f},{clock.preparation:.3f}\n")


def image_of(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """The image of a task and its reference, as its `Content.with_image` asked for."""
    return np.load(folder / IMAGE, allow_pickle=False), np.load(folder / REFERENCE, allow_pickle=False)


def features_of(folder: Path) -> np.ndarray | None:
    """(2, feature) of the picture of a task and its truth; None where they were not asked for."""
    path = folder / FEATURES
    return np.load(path, allow_pickle=False) if path.exists() else None


def rows_of(folder: Path) -> list[Row]:
    """The rows of a task."""
    rows: list[Row] = json.loads((folder / ROWS).read_text(encoding="utf-8"))
    return rows


def primary(protocol: str) -> tuple[str, bool]:
    """The metric that tuning looks at, and whether more of it is better."""
    first = METRICS[protocol][0]
    return first.name, first.higher_is_better
