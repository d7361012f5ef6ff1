"""The engine: whole folders or none, the same bytes whoever makes them, and failures that are named and stay alone."""

import hashlib
import json
import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from medrestore.errors import InputError
from medrestore.tasks import cluster as pool_dask
from medrestore.tasks import folders as pool_files
from medrestore.tasks.cluster import index_of
from medrestore.tasks.run import Outcome, Task, failures, folder_of, is_whole, run

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
    pool_files.discard(folder.parent)
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


def test_what_fails_is_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    said: list[str] = []
    tasks = tasks_of(t1="full", t2="unreadable", t4="wrong", t5="swept", t6="claims")
    found = run(tasks, Fill(), tmp_path, say=said.append)
    assert found.done == (NAMES[0], NAMES[3], NAMES[7])
    full, short = (folder_of(tmp_path, task) for task in tasks[1:3])
    assert found.failed[NAMES[1]] == (
        f"{full} cannot be written: no space left on device; make room and run again with --retry-failed")
    assert found.failed[NAMES[2]] == f"{short}/scan.h5 is cut short; copy it again"
    assert found.failed[NAMES[4]] == f"{NAMES[4]}: ZeroDivisionError: by zero, of course"
    assert "removed while it was written" in found.failed[NAMES[5]] and "task.json" in found.failed[NAMES[6]]
    assert nothing_left(tmp_path) and not folder_of(tmp_path, tasks[5]).exists()
    assert lines(tmp_path / "failed.jsonl") == [
        {"name": name, "key": f"k{NAMES.index(name)}", "why": why} for name, why in found.failed.items()]
    assert failures(tmp_path) == found.failed and len(said) == 5 and all(NAMES[2] in line for line in said[1:2])


def test_a_known_failure_is_tried_again_when_asked_or_with_another_key(tmp_path: Path) -> None:
    first = run(tasks_of(t1="wrong", t2="wrong", t3="wrong"), Fill(), tmp_path)
    healed = tasks_of()
    healed[1] = replace(healed[1], key="another")
    second = run(healed, Fill(), tmp_path)
    assert second.done == (NAMES[1],)
    assert second.failed == {name: first.failed[name] for name in NAMES[2:4]} == failures(tmp_path)
    third = run(tasks_of(t2="wrong")[:4], Fill(), tmp_path, retry_failed=True)
    assert third.done == (NAMES[1], NAMES[3]) and list(third.failed) == [NAMES[2]]
    assert run(healed, Fill(), tmp_path, retry_failed=True).failed == {} and not (tmp_path / "failed.jsonl").exists()


def test_a_list_of_failures_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "failed.jsonl" / "in the way").mkdir(parents=True)
    said: list[str] = []
    found = run(tasks_of(t0="wrong"), Fill(), tmp_path, say=said.append)
    assert len(found.done) == 7 and len(found.failed) == 1
    assert any("failed.jsonl cannot be written" in line for line in said)
    assert not list(tmp_path.glob(".failed*"))


def test_an_interrupted_run_keeps_what_is_whole(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(tasks_of(t3="interrupted"), Fill(), tmp_path)
    assert nothing_left(tmp_path)
    found = run(tasks_of(), Fill(), tmp_path)
    assert (found.skipped, found.done) == (tuple(NAMES[:3]), tuple(NAMES[3:]))


def test_threads_are_set_around_the_work(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    run(tasks_of(NAMES[:1]), Fill(), tmp_path, threads=3)
    assert torch.get_num_threads() == before
    assert json.loads((tmp_path / "tasks" / NAMES[0] / "about.json").read_text())["threads"] == 3


def test_shards_divide_the_groups(tmp_path: Path) -> None:
    tasks, made = tasks_of(t0="wrong", t3="wrong"), []
    run(tasks, Fill(), tmp_path / "one")
    for index in (3, 1, 2):
        found = run(tasks, Fill(), tmp_path / "many", shard=(index, 3))
        made.append({*found.done, *found.failed})
    assert sorted(name for names in made for name in names) == sorted(NAMES)
    assert sorted(len({name.split("/")[0] for name in names}) for names in made) == [1, 1, 2]
    assert content(tmp_path / "many") == content(tmp_path / "one")
    files = {path.name: [row["name"] for row in lines(path)] for path in (tmp_path / "many").glob("failed*")}
    assert files == {"failed-1-of-3.jsonl": [NAMES[0]], "failed-2-of-3.jsonl": [NAMES[3]]}
    whole = run(tasks, Fill(), tmp_path / "many")
    assert list(whole.failed) == [NAMES[0], NAMES[3]] and whole.done == ()
    assert [path.name for path in (tmp_path / "many").glob("failed*")] == ["failed.jsonl"]


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


def test_parts_of_dead_runs_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    host, now = pool_files._host(), time.time()
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


@pytest.mark.parametrize("name", ["", "/a", "a/", "a//b", "../a", "a/../b", ".a", "a/.b", "a b", "a\\b", "ä", "a\n"])
def test_names_that_lead_elsewhere_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="relative folder"):
        run([Task(name, "k", "g", {"seed": 0})], Fill(), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_failures_of_another_list_of_tasks_stay_known(tmp_path: Path) -> None:
    """A study tunes and tests in one folder: neither forgets what failed in the other, also in a shard."""
    first, second = (tasks_of([f"{phase}/{letter}" for letter in "abcd"], t1="wrong", t2="wrong") for phase in ("tune", "test"))
    for shard in ((1, 1), (1, 2)):
        out = tmp_path / str(shard[1])
        for tasks in (first, second):
            tasks[:] = [replace(task, group=task.name) for task in tasks]
            run(tasks, Fill(), out, shard=shard)
        known = failures(out)
        assert {name.split("/")[0] for name in known} == {"tune", "test"}
        for tasks in (first, second):
            assert run(tasks, Fill(), out, shard=shard).failed.keys() == {n for n in known if n.startswith(tasks[0].name[:4])}
            assert failures(out, tasks).keys() == {name for name in known if name.startswith(tasks[0].name[:4])}
        assert failures(out) == known and failures(out, [replace(task, key="new") for task in first]) == {}
        run(first[:1], Fill(), out, shard=shard)  # a list without the tasks that failed forgets them, and its own alone
        assert {name.split("/")[0] for name in failures(out)} == {"test"}


@pytest.mark.parametrize(("names", "options", "message"), [
    (["a", "a"], {}, "two tasks are called a"),
    (["a/b", "a"], {}, "inside the folder of the task a"),
    (["a"], {"workers": -1}, "--workers -1"),
    (["a"], {"workers": 1, "scheduler_file": Path(__file__)}, "cannot both"),
    (["a"], {"scheduler_file": Path("nowhere.json")}, "nowhere.json does not exist"),
    (["a"], {"shard": (3, 2)}, "--shard 3/2"),
    (["a"], {"shard": (0, 2)}, "--shard 0/2"),
    (["a"], {"threads": 0}, "0 threads"),
    (["a"], {"devices": ()}, "no device"),
])
def test_what_does_not_fit_is_refused_first(names: list[str], options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        run(tasks_of(names), Fill(), tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_an_output_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file/out cannot be written"):
        run(tasks_of(), Fill(), tmp_path / "file" / "out")


@pytest.mark.parametrize(("name", "index"), [(3, 3), ("7", 7), ("job-12-5", 5), ("tcp://10.0.0.1:40331", 0), ("gpu", 0)])
def test_a_worker_knows_its_number(name: object, index: int) -> None:
    assert index_of(name) == index


def test_one_process_needs_no_dask(tmp_path: Path) -> None:
    code = f"""
        import sys
        from pathlib import Path
        from medrestore.tasks.run import Task, run
        found = run([Task("a", "k", "g", 1)], lambda task, folder, device: None, Path({str(tmp_path)!r}))
        assert found.done == ("a",) and not {{"dask", "distributed"}} & set(sys.modules), sys.modules.keys()
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, timeout=60)


class Killer(threading.Thread):
    """Kills workers that have a task in hand, at times drawn from a seed."""

    def __init__(self, pids: Path, kills: int) -> None:
        super().__init__(daemon=True)
        self.pids, self.left, self.over = pids, kills, threading.Event()
        self.draw = np.random.default_rng(5)

    def run(self) -> None:
        while self.left > 0 and not self.over.wait(self.draw.uniform(0.2, 0.6)):
            busy = sorted(self.pids.iterdir())
            if busy:
                pick = busy[self.draw.integers(len(busy))]
                with suppress(FileNotFoundError, ProcessLookupError):  # it has just come to its end
                    pick.unlink()
                    os.kill(int(pick.name), signal.SIGKILL)
                    self.left -= 1


@pytest.mark.slow
def test_workers_that_are_killed_change_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """24 tasks, 3 workers, two kills; one task kills every worker that takes it, one fails, one finds the disk full."""
    names = [f"scene-{number // 3}/{number % 3}" for number in range(24)]
    pids, said = tmp_path / "pids", []
    pids.mkdir()
    tasks = tasks_of(names, pids=pids, t4="deadly", t8="unreadable", t9="full")
    good = [task for number, task in enumerate(tasks) if number not in (4, 8, 9)]
    run(good, Fill(), tmp_path / "one")
    environment = dict(os.environ)
    killer = Killer(pids, kills=2)
    killer.start()
    ticks: list[int] = []
    found = run(tasks, Fill(0.15), tmp_path / "many", workers=3, say=said.append,
                progress=lambda label, total: lambda: ticks.append(total))
    killer.over.set()
    killer.join()
    assert killer.left == 0 and ticks == [24] * 24
    assert set(found.failed) == {names[4], names[8], names[9]} and len(found.done) == 21
    assert "set aside, 3 workers died on it" in found.failed[names[4]]
    assert "cut short" in found.failed[names[8]] and "no space left" in found.failed[names[9]]
    assert content(tmp_path / "many") == content(tmp_path / "one")
    assert nothing_left(tmp_path / "many") and failures(tmp_path / "many") == found.failed
    assert any("a worker died on it; try 2 of 3" in line for line in said)
    assert dict(os.environ) == environment
    output = capfd.readouterr()
    assert output.out == output.err == ""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_workers_end_with_the_command(tmp_path: Path) -> None:
    """Ctrl-C reaches the workers too: they end at once, without a word, and the next run goes on."""
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(f"""
        import signal, sys
        from pathlib import Path
        sys.path.insert(0, {str(Path(__file__).parents[2])!r})
        if __name__ == "__main__":
            signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for what it starts in the background
            from tests.tasks.test_run import Fill, tasks_of
            from medrestore.tasks.run import run
            try:
                run(tasks_of(pids=Path({str(tmp_path / "pids")!r})), Fill(0.6), Path({str(tmp_path / "out")!r}), workers=2)
            except KeyboardInterrupt:
                sys.exit(130)
    """))
    pids = tmp_path / "pids"
    pids.mkdir()
    process = subprocess.Popen([sys.executable, script], start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    while process.poll() is None and (not list((tmp_path / "out").glob("tasks/*/*/task.json")) or not list(pids.iterdir())):
        time.sleep(0.05)
    began = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    assert (process.returncode, output) == (130, b"") and time.monotonic() - began < 10
    until = time.monotonic() + 10  # multiprocessing's own helper ends a moment after its parent
    with pytest.raises(ProcessLookupError):
        while time.monotonic() < until:
            os.killpg(process.pid, 0)
            time.sleep(0.05)
    assert nothing_left(tmp_path / "out")
    found = run(tasks_of(), Fill(), tmp_path / "out")
    assert found.skipped and len(found.skipped) + len(found.done) == 8 and not found.failed


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Any]:
    """A scheduler and a worker with a number, as on a cluster, in threads of this process."""
    from distributed import Client, LocalCluster

    with LocalCluster(n_workers=1, threads_per_worker=2, processes=False, protocol="tcp://", dashboard_address=None,
                      scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"}, silence_logs=logging.CRITICAL,
                      local_directory=str(tmp_path)) as cluster:
        with Client(cluster, set_as_default=False) as client:
            client.write_scheduler_file(str(tmp_path / "scheduler.json"))
        yield cluster


def test_a_cluster_makes_the_same_files(tmp_path: Path, cluster: Any) -> None:
    tasks = tasks_of(t2="wrong")
    found = run(tasks, Fill(), tmp_path / "many", scheduler_file=tmp_path / "scheduler.json")
    assert len(found.done) == 7 and found.failed == {NAMES[2]: f"{NAMES[2]}: ZeroDivisionError: by zero, of course"}
    run(tasks, Fill(), tmp_path / "one")
    assert content(tmp_path / "many") == content(tmp_path / "one")


def test_a_cluster_that_goes_away_is_named(tmp_path: Path, cluster: Any) -> None:
    def close() -> None:
        while not list((tmp_path / "many").glob("tasks/*/*/task.json")):
            time.sleep(0.02)
        cluster.close()

    closer = threading.Thread(target=close)
    closer.start()
    with pytest.raises(InputError, match="scheduler is gone"):
        run(tasks_of(), Fill(0.2), tmp_path / "many", scheduler_file=tmp_path / "scheduler.json")
    closer.join()
    assert nothing_left(tmp_path / "many")
    found = run(tasks_of(), Fill(), tmp_path / "many")
    assert found.skipped and len(found.skipped) + len(found.done) == 8


def test_a_scheduler_that_does_not_answer_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_dask, "CONNECT", 0.5)
    for text in ('{"address": "tcp://127.0.0.1:9"}', '{"address": 9}', "{}", "no json"):
        (tmp_path / "scheduler.json").write_text(text)
        with pytest.raises(InputError, match=r"scheduler\.json does not answer"):
            run(tasks_of(), Fill(), tmp_path / "out", scheduler_file=tmp_path / "scheduler.json")
    assert nothing_left(tmp_path / "out")


def test_a_group_that_no_worker_can_begin_is_set_aside(tmp_path: Path, cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A future whose workers die before any task of it has begun comes back as KilledWorker, over and over."""
    def never(parcel: bytes, topic: str) -> None:
        raise ZeroDivisionError  # for the other one can only be made by a scheduler

    monkeypatch.setattr("distributed.KilledWorker", ZeroDivisionError)
    monkeypatch.setattr(pool_dask, "run_group", never)
    found = run(tasks_of(NAMES[:2]), Fill(), tmp_path / "out", scheduler_file=tmp_path / "scheduler.json")
    assert found.done == () and all("died before they could begin it" in why for why in found.failed.values())
    assert list(found.failed) == NAMES[:2]
