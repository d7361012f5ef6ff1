"""Jobs one after the other, cancelled and removed; nothing is left behind."""

import os
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from helpers.served import front_of, jobs_in, waited

from medrestore.errors import InputError
from medrestore.serve import jobs as module
from medrestore.serve.jobs import PREFIX, Jobs
from medrestore.serve.views import View
from medrestore.serve.work import Work
from medrestore.settings import FieldError
from medrestore.tasks import ProcessDied
from medrestore.tasks.processes import AllStopped

VIEW = View("restored", 0, 4, 4, 1, False, 0.0, 1.0)


def quickly(items: list[Work], call: Any, *, workers: int, heard: Callable[..., None], ended: Callable[..., Any],
            stopped: Callable[[], bool]) -> None:
    """In the place of `over`: what each plan asks for."""
    (work,) = items
    for message in (("line", f"{work.folder}/scan.h5: give `noise_std`"), ("bar", 0, "fit", 9),
                    ("bar", 1, "scan.h5", 3), ("step", 1), ("step", 0), ("views", [VIEW])):
        heard(work, message)
    while work.plan == "sleeps":
        if stopped():
            raise AllStopped
        time.sleep(0.01)
    if isinstance(work.plan, Exception):
        ended(work, work.plan)
    elif work.plan == "no process":
        raise InputError("a worker process could not be started")
    else:
        (work.folder / "result").mkdir()
        (work.folder / "result" / "a.png").write_bytes(b"a")
        ended(work, None)


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Jobs]:
    monkeypatch.setattr(module, "over", quickly)
    front, _ = front_of()
    with jobs_in(tmp_path, front, keep=3) as jobs:
        yield jobs


def test_a_job_from_its_beginning_to_its_end(jobs: Jobs) -> None:
    entry = jobs.create("recon")
    assert entry.plain()["state"] == "new" and stat.S_IMODE(jobs.folder.stat().st_mode) == 0o700
    jobs.start(entry, "plan")
    done = waited(entry).plain()
    assert done["state"] == "done" and done["error"] is None and done["results"] == [{"name": "a.png", "bytes": 1}]
    assert done["lines"] == ["scan.h5: give --noise-std"]  # as the command line says it, without the folder
    assert done["progress"]["total"] == 3 and done["progress"]["done"] == 1 and done["views"] == [asdict(VIEW)]
    with pytest.raises(InputError, match="this job was started already"):
        jobs.start(entry, "plan")


@pytest.mark.parametrize(("error", "said"), [
    (InputError("/secret/folder/scan.h5: the k-space is zero"), "scan.h5: the k-space is zero"),
    (FieldError("Plan", "steps", "must be at least 2, got 1"), "--steps must be at least 2, got 1"),
    (ProcessDied("its process died by SIGKILL"), "its process died by SIGKILL on this file; see whether memory is short"),
    (RuntimeError("ValueError: x"), "ValueError: x; this is a mistake of the program, not of your file"),
    ("no process", "a worker process could not be started"),
])
def test_failures_are_one_sentence(jobs: Jobs, error: Any, said: str) -> None:
    entry = jobs.create("recon")
    jobs.start(entry, error)
    assert waited(entry).state == "failed" and entry.error == said
    waited(entry, lambda one: not one.folder.exists())
    after = jobs.create("recon")
    jobs.start(after, "plan")
    assert waited(after).state == "done"


def test_one_at_a_time_and_any_can_be_cancelled(jobs: Jobs) -> None:
    first, second = jobs.create("recon"), jobs.create("restore")
    for entry in (first, second):
        jobs.start(entry, "sleeps")
    waited(first, lambda one: one.state == "running")
    assert second.state == "waiting"
    jobs.cancel(second)
    assert second.state == "cancelled"
    jobs.cancel(first)
    assert waited(first).state == "cancelled" and first.error is None
    waited(first, lambda one: not one.folder.exists())


def test_the_oldest_makes_room(jobs: Jobs) -> None:
    entries = [jobs.create("recon") for _ in range(3)]
    for entry in entries:
        jobs.start(entry, "plan")
        waited(entry)
    jobs.create("recon")
    assert jobs.get(entries[0].id) is None and not entries[0].folder.exists() and entries[1].folder.exists()


def test_no_room_while_all_are_at_work(jobs: Jobs) -> None:
    for _ in range(3):
        jobs.start(jobs.create("recon"), "sleeps")
    with pytest.raises(InputError, match="3 jobs are waiting; cancel one of them"):
        jobs.create("recon")


def test_a_removed_job_leaves_nothing(jobs: Jobs) -> None:
    entry = jobs.create("recon")
    jobs.start(entry, "sleeps")
    waited(entry, lambda one: one.state == "running")
    jobs.remove(entry)
    waited(entry)
    waited(entry, lambda one: not one.folder.exists())
    assert jobs.get(entry.id) is None
    unused = jobs.create("recon")
    jobs.remove(unused)
    assert not unused.folder.exists()


def test_an_unknown_kind(jobs: Jobs) -> None:
    with pytest.raises(InputError, match="there is no job 'train'; there are: recon, restore, inpaint"):
        jobs.create("train")


def test_the_end_stops_the_work_and_removes_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "over", quickly)
    jobs = Jobs(front_of()[0], folder=tmp_path)
    entry = jobs.create("recon")
    jobs.start(entry, "sleeps")
    waited(entry, lambda one: one.state == "running")
    jobs.close()
    assert entry.state == "cancelled" and list(tmp_path.iterdir()) == []


def test_what_a_killed_server_has_left_is_removed(tmp_path: Path) -> None:
    dead, alive, other = (tmp_path / f"{PREFIX}{number}-x" for number in (2**22 + 5, os.getpid(), "text"))
    for folder in (dead, alive, other):
        folder.mkdir()
    with jobs_in(tmp_path, front_of()[0]):
        assert not dead.exists() and alive.exists() and other.exists()
