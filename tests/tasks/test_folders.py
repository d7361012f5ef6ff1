"""The folder of a task is complete or not there; tries of dead processes are counted and removed."""

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers.tasks import BARRIER, NAMES, Fill, content, nothing_left, tasks_of

from medrestore.errors import InputError
from medrestore.tasks import Outcome, files_beside, folder_of, folders, is_whole, run


def test_a_folder_is_whole_or_made_anew(tmp_path: Path) -> None:
    tasks, ticks = tasks_of(), []
    first = run(tasks, Fill(), tmp_path, progress=lambda label, total: lambda: ticks.append(total))
    assert first == Outcome(tuple(NAMES), (), {}) and ticks == [8] * 8
    assert all(is_whole(tmp_path, task) for task in tasks) and nothing_left(tmp_path)
    assert not list(tmp_path.glob("failed*"))
    record = json.loads((folder_of(tmp_path, tasks[0]) / "task.json").read_text())
    sums = folder_of(tmp_path, tasks[0]) / "inner" / "sum.npy"
    assert record["key"] == "k0" and set(record["files"]) == {"about.json", "inner/sum.npy"}
    assert record["files"]["inner/sum.npy"] == [sums.stat().st_size, hashlib.sha256(sums.read_bytes()).hexdigest()]

    before = content(tmp_path)
    damaged = bytearray(sums.read_bytes())
    damaged[200] ^= 1
    sums.write_bytes(damaged)
    (folder_of(tmp_path, tasks[1]) / "about.json").unlink()
    (folder_of(tmp_path, tasks[2]) / "task.json").write_text('{"key": "k2", "files": [')
    (folder_of(tmp_path, tasks[3]) / "about.json").write_text("short")
    changed = [*tasks[:4], replace(tasks[4], key="another"), *tasks[5:]]
    second = run(changed, Fill(), tmp_path)
    assert second == Outcome(tuple(NAMES[:5]), tuple(NAMES[5:]), {}) and nothing_left(tmp_path)
    after = content(tmp_path)
    record = f"{NAMES[4]}/task.json"
    assert {**after, record: ""} == {**before, record: ""} and after[record] != before[record]


def test_threads_are_set_around_the_work(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    run(tasks_of(NAMES[:1]), Fill(), tmp_path, threads=3)
    assert torch.get_num_threads() == before
    assert json.loads((tmp_path / "tasks" / NAMES[0] / "about.json").read_text())["threads"] == 3


def test_two_runs_at_once_end_with_whole_folders(tmp_path: Path) -> None:
    """Both make every task, and come to the renaming at the same time."""
    tasks = tasks_of(**{f"t{number}": "together" for number in range(8)})
    BARRIER.reset()
    found: list[Outcome] = []
    others = [threading.Thread(target=lambda: found.append(run(tasks, Fill(), tmp_path))) for _ in range(2)]
    for other in others:
        other.start()
    for other in others:
        other.join()
    assert [one.done for one in found] == [tuple(NAMES)] * 2
    assert all(is_whole(tmp_path, task) for task in tasks) and nothing_left(tmp_path)


def test_a_lock_tells_at_once_that_a_run_is_dead(tmp_path: Path) -> None:
    """A second run removes what a killed one has left, and nothing of one that lives."""
    dead, alive = folders.TaskRun.start(tmp_path), folders.TaskRun.start(tmp_path)
    for one in (dead, alive):
        (one.begin(tasks_of()[0]) / folders.FILES / "half.npy").write_bytes(b"half")
    (dead.folder / folders.LOCK).touch()
    with alive.alive():
        folders.TaskRun.start(tmp_path)
        assert not dead.folder.exists() and alive.folder.exists()
    alive.end()
    assert not alive.folder.exists()


def test_parts_of_dead_runs_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    host, now = folders._host(), time.time()
    ages = {
        f"{host}-{gone.pid}-0000000a": 3600.0, f"{host}-{gone.pid}-0000000b": 5.0, f"{host}-{os.getpid()}-0000000c": 3600.0,
        "elsewhere-1-0000000d": 3600.0, "elsewhere-1-0000000e": 8 * 86400.0, "not ours": 8 * 86400.0,
        f"{host}-{gone.pid}-0000000f.1234.gone": 3600.0,
    }
    for name, age in ages.items():
        folder = tmp_path / ".parts" / name / "try-0"
        folder.mkdir(parents=True)
        (folder / "half.npy").write_bytes(b"half")
        for path in (folder / "half.npy", folder, folder.parent):
            os.utime(path, (now - age, now - age))
    run(tasks_of(), Fill(), tmp_path)
    assert sorted(path.name[-1] for path in (tmp_path / ".parts").iterdir()) == ["b", "c", "d", "s"]


def test_a_killed_run_leaves_nothing_to_the_next_one(tmp_path: Path) -> None:
    """The next run need not wait until the parts are old: a lock tells that nobody works in them."""
    code = ("import os, sys; sys.path.insert(0, sys.argv[2]); from pathlib import Path; "
            "from medrestore.tasks.folders import Run, Task; this = Run.start(Path(sys.argv[1]))\n"
            "with this.alive():\n"
            "    (this.begin(Task('a', 'k', '', None)) / 'files' / 'half').touch(); os.kill(os.getpid(), 9)")
    for _ in range(2):
        killed = subprocess.run([sys.executable, "-c", code, str(tmp_path), str(Path.cwd())], timeout=120, check=False)
        assert killed.returncode == -9 and list((tmp_path / ".parts").rglob("begun"))
    living = folders.TaskRun.start(tmp_path)
    assert [path.name for path in (tmp_path / ".parts").iterdir()] == [living.name]
    with living.alive():
        run(tasks_of(), Fill(), tmp_path)
        assert living.folder.is_dir()  # of a run that lives
    living.end()
    assert not list((tmp_path / ".parts").iterdir())


def test_an_output_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file/out cannot be written"):
        run(tasks_of(), Fill(), tmp_path / "file" / "out")


def test_deaths_are_counted_and_their_files_removed(tmp_path: Path) -> None:
    this, (task, other) = folders.TaskRun.start(tmp_path), tasks_of(NAMES[:2])
    for count in range(3):
        assert this.deaths(task) == count and this.deaths(other) == 0
        place = this.begin(task)  # and its process dies
        (place / "files" / "half.npy").write_bytes(b"half")
        assert [path.name for path in this.folder.rglob("half.npy")] == ["half.npy"]
    assert len({path.name for path in this.folder.iterdir() if path.suffix == folders.DEAD}) == 2
    why = folders.make(task, Fill(), this, device="cpu", threads=1, say=lambda line: None)
    assert why is not None and "set aside, 3 workers died on it" in why and "pass `retry_failed`" in why
    assert folders.make(other, Fill(), this, device="cpu", threads=1, say=lambda line: None) is None
    this.end()
    assert nothing_left(tmp_path) and is_whole(tmp_path, other)


def test_a_process_taken_for_dead_fails_and_the_next_try_has_its_own_folder(tmp_path: Path) -> None:
    this, (task,) = folders.TaskRun.start(tmp_path), tasks_of(NAMES[:1])
    first = this.begin(task)
    second = this.begin(task)
    assert not first.exists() and second.exists()
    with pytest.raises(FileNotFoundError):
        (first / "files" / "late.txt").write_text("late")
    this.end()


def test_what_a_user_has_below_the_output_stays(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "photo.png").write_text("precious")
    (tmp_path / ".parts").mkdir()
    (tmp_path / ".parts" / "mine").symlink_to("../mine")
    (tmp_path / "failed.jsonl.part").symlink_to("mine")
    run(tasks_of(t1="wrong"), Fill(), tmp_path)
    assert (tmp_path / "mine" / "photo.png").read_text() == "precious"
    assert (tmp_path / ".parts" / "mine").is_symlink() and (tmp_path / "failed.jsonl.part").is_symlink()


def test_files_beside_tasks_go_to_their_places_at_the_end(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("old")
    with files_beside(tmp_path) as folder:
        (folder / "a.csv").write_text("new")
        (folder / "b.csv").write_text("new")
        assert (tmp_path / "a.csv").read_text() == "old" and folder.is_relative_to(tmp_path / ".parts")
    assert [(tmp_path / f"{name}.csv").read_text() for name in "ab"] == ["new", "new"]
    with pytest.raises(ZeroDivisionError), files_beside(tmp_path) as folder:
        (folder / "a.csv").write_text("half")
        raise ZeroDivisionError
    assert (tmp_path / "a.csv").read_text() == "new" and not list((tmp_path / ".parts").iterdir())


def test_files_that_a_killed_run_was_writing_are_removed_by_the_next(tmp_path: Path) -> None:
    code = ("import os, signal; from pathlib import Path; from medrestore.tasks import files_beside\n"
            f"with files_beside(Path({str(tmp_path)!r})) as folder:\n"
            "    (folder / 'a.csv').write_text('half'); os.kill(os.getpid(), signal.SIGKILL)")
    subprocess.run([sys.executable, "-c", code], check=False)
    assert [path.name for path in tmp_path.rglob("*.csv")] == ["a.csv"] and not (tmp_path / "a.csv").exists()
    with files_beside(tmp_path):
        pass
    assert not list(tmp_path.rglob("*.csv"))


def test_a_lock_that_cannot_be_written_is_said_of_the_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*given: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folders, "exclusive", full)
    with pytest.raises(InputError, match=r"^.* cannot be written \(no space left on device\); make room"), files_beside(tmp_path):
        pass
