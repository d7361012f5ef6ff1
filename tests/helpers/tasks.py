"""Tasks that fill a folder, and tasks that do something else first."""

import hashlib
import json
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from medrestore.errors import InputError
from medrestore.files import remove_folder
from medrestore.tasks import Task

BARRIER = threading.Barrier(2)
NAMES = [f"case-{number // 2}/{('a', 'b')[number % 2]}" for number in range(8)]


@dataclass(frozen=True)
class Fill:
    """Files that depend on what the task holds; some of the tasks do something else first."""

    seconds: float = 0.0

    def __call__(self, task: Task, folder: Path, device: str) -> None:
        kind = task.what.get("kind", "good")
        pids = task.what.get("pids")
        mark = Path(pids) / f"{os.getpid()}" if pids else None
        if mark is not None:
            mark.touch()
        time.sleep(self.seconds)
        (folder / "inner").mkdir()
        noise = torch.randn(5000, generator=torch.Generator().manual_seed(task.what["seed"]))
        np.save(folder / "inner" / "sum.npy", torch.cumsum(noise, 0).numpy())
        (folder / "about.json").write_text(json.dumps({"seed": task.what["seed"], "threads": torch.get_num_threads()}))
        if mark is not None:
            mark.unlink(missing_ok=True)
        if kind in DEEDS:
            DEEDS[kind](folder)


def full_disk(folder: Path) -> None:
    with open("/dev/full", "wb", buffering=0) as file:
        file.write(b"0")


def unreadable(folder: Path) -> None:
    raise InputError(f"{folder / 'scan.h5'} is cut short; copy it again")


def wrong(folder: Path) -> None:
    raise ZeroDivisionError("by zero,\nof course")


def deadly(folder: Path) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def interrupted(folder: Path) -> None:
    raise KeyboardInterrupt


def swept(folder: Path) -> None:
    """Somebody takes this process for dead, and the work goes on in a folder that it makes itself."""
    remove_folder(folder.parent)
    folder.mkdir(parents=True)
    (folder / "late.txt").write_text("late")


def together(folder: Path) -> None:
    BARRIER.wait(timeout=20)


def claims(folder: Path) -> None:
    (folder / "task.json").write_text("{}")


DEEDS: dict[str, Callable[[Path], None]] = {
    "full": full_disk, "unreadable": unreadable, "wrong": wrong, "deadly": deadly, "interrupted": interrupted, "swept": swept,
    "together": together, "claims": claims,
}


def tasks_of(names: list[str] = NAMES, *, key: str = "k", pids: Path | None = None, **kinds: str) -> list[Task]:
    """One group for each first part of the names; `kinds` by number: t3="wrong"."""
    more = {"pids": str(pids)} if pids is not None else {}
    return [
        Task(name, f"{key}{number}", name.split("/")[0], {"seed": number, "kind": kinds.get(f"t{number}", "good"), **more})
        for number, name in enumerate(names)
    ]


def content(out: Path) -> dict[str, str]:
    """Every file of the tasks and its digest."""
    root = out / "tasks"
    files = [path for path in root.rglob("*") if path.is_file()]
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def nothing_left(out: Path) -> bool:
    return not [path for path in (*out.glob(".parts/*"), *out.rglob("*.part"))]
