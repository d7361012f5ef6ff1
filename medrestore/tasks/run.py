"""Runs a list of tasks in this process, in workers of this machine, on a cluster or as a job array.

A task is a pure function of its input, config and seed that fills one folder. The folder is published when it is
complete, so that a run resumes by skipping complete folders. Failures are recorded, and tried again when asked.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import InputError
from .folders import Task, TaskRun, Work, folder_of, is_whole, make
from .groups import Ends, Submitted, TaskGroup, work_through
from .processes import ProcessDied, over

__all__ = ["Outcome", "Task", "Work", "failures", "folder_of", "is_whole", "run"]

PART = r"[A-Za-z0-9_-][A-Za-z0-9._-]*"
ADVICE = "the next run tries again what failed"
NAME = re.compile(rf"{PART}(/{PART})*")


@dataclass(frozen=True)
class Outcome:
    """The result of the tasks of a shard, by name and in their order.

    Args:
        done: completed by this run.
        skipped: complete already.
        failed: the reason, in one sentence; also failures of earlier runs that were not tried again.
    """

    done: tuple[str, ...]
    skipped: tuple[str, ...]
    failed: dict[str, str]


def run(
    tasks: Iterable[Task],
    work: Work,
    out: Path,
    *,
    workers: int = 0,
    scheduler_file: Path | None = None,
    shard: tuple[int, int] = (1, 1),
    retry_failed: bool = False,
    threads: int = 1,
    devices: Sequence[str] = ("cpu",),
    say: Callable[[str], None] = lambda line: None,
    progress: Callable[[str, int], Callable[[], None]] = lambda label, total: lambda: None,
) -> Outcome:
    """Completes the folder `out`/tasks/<name> of every task; its files do not depend on the process that writes them.

    Several runs may share `out`, at once or one after the other. Complete folders outlive an interrupted run. Recorded
    failures of other lists of tasks, those below other first folders, stay recorded.

    Args:
        tasks: in the order in which they are begun; those of one group stay together.
        work: fills a task's folder; with workers it is pickled. It may fail in any way: the other tasks go on.
        workers: processes on this machine; 0 works in this one. Neither needs dask. A script that asks for workers has its
            main part under `if __name__ == "__main__"`, as for every process started with "spawn".
        scheduler_file: that a dask scheduler has written; its workers see `out` under the same path.
        shard: (i, n): every n-th group, beginning with the i-th, for job arrays.
        retry_failed: try again what failed before with the same key.
        threads: of torch and of numpy's linear algebra in each process.
        devices: a worker takes the one at its index, modulo their number; this process takes the first one.
        say: called with one line for each failure and each task that is tried again.
        progress: `(label, total) -> advance`, for a progress bar over tasks.

    Raises:
        InputError: the arguments do not fit, `out` cannot be written, or the cluster cannot be reached or is lost.
    """
    tasks, out = list(tasks), Path(out).absolute()
    _check_run(tasks, workers, scheduler_file, shard, threads, devices)
    mine = _tasks_of_shard(tasks, shard)
    this = TaskRun.start(out)
    try:
        with this.alive():
            state = _State(this, tasks, mine, shard, retry_failed=retry_failed, say=say)
            state.start(progress)
            groups = _by_group(state.pending)
            if groups and workers == 0 and scheduler_file is None:
                for task in state.pending:
                    state.finished(task.name, make(task, work, this, device=devices[0], threads=threads, say=say))
            elif groups and scheduler_file is None:
                _in_processes(groups, work, this, workers=workers, threads=threads, devices=tuple(devices),
                              ends=Ends(this, state.finished), say=say)
            elif groups and scheduler_file is not None:
                from .cluster import spread

                spread(groups, work, this, scheduler_file=scheduler_file, threads=threads, devices=tuple(devices),
                       finished=state.finished, say=say)
            return state.outcome()
    finally:
        this.end()


def _in_processes(groups: Sequence[tuple[Task, ...]], work: Work, this: TaskRun, *, workers: int, threads: int,
                  devices: tuple[str, ...], ends: Ends, say: Callable[[str], None]) -> None:
    """Every group in some process of this machine."""

    def heard(group: Submitted, event: tuple[Any, ...]) -> None:
        if event[0] == "line":
            say(event[1])
        else:
            ends.finished(*event[1:])

    def ended(group: Submitted, error: Exception | None) -> list[Submitted]:
        if isinstance(error, ProcessDied):
            return ends.after_death(group)
        if error is not None:
            ends.failed(group, str(error))
        return []

    over(map(Submitted, groups), partial(_in_a_worker, work, this, devices, threads), workers=min(workers, len(groups)),
         heard=heard, ended=ended)


def _in_a_worker(work: Work, run: TaskRun, devices: tuple[str, ...], threads: int, group: Submitted, worker: int,
                 report: Callable[[Any], None]) -> None:
    work_through(TaskGroup(group.tasks, work, run, devices, threads), worker, report)


def failures(out: Path, tasks: Iterable[Task] | None = None) -> dict[str, str]:
    """The tasks of all shards that have failed in `out` and are not complete now: name -> one sentence.

    Args:
        tasks: these alone, with their present keys: failures of another config do not count.
    """
    asked = None if tasks is None else {(task.name, task.key) for task in tasks}
    return {task.name: why for task, why in _read_failures(Path(out))
            if (asked is None or (task.name, task.key) in asked) and not is_whole(Path(out), task)}


def _check_run(tasks: Sequence[Task], workers: int, scheduler_file: Path | None, shard: tuple[int, int], threads: int,
               devices: Sequence[str]) -> None:
    if workers < 0:
        raise InputError(f"workers={workers}: 0 works in this process, 1 or more start as many others")
    if workers > 0 and scheduler_file is not None:
        raise InputError("`workers` and `scheduler_file` cannot both be given: a cluster has its own workers")
    if scheduler_file is not None and not Path(scheduler_file).is_file():
        raise InputError(f"{scheduler_file} does not exist; start the dask scheduler that writes it first")
    if not 1 <= shard[0] <= shard[1]:
        raise InputError(f"shard={shard[0]}/{shard[1]}: the first number goes from 1 to the second")
    if threads < 1:
        raise InputError(f"{threads} threads cannot work; give at least 1")
    if not devices:
        raise InputError("no device is given; give at least one, such as cpu")
    seen: set[str] = set()
    for task in tasks:
        if NAME.fullmatch(task.name) is None:
            raise InputError(f"the task name {task.name!r} is no relative folder of letters, digits, dots, - and _")
        if task.name in seen:
            raise InputError(f"two tasks are called {task.name}; each needs a folder of its own")
        seen.add(task.name)
    for name in seen:
        above = [part for part in _above(name) if part in seen]
        if above:
            raise InputError(f"the task {name} would lie inside the folder of the task {above[0]}; give it another name")


def _above(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[:length]) for length in range(1, len(parts))]


def _by_group(tasks: Iterable[Task]) -> list[tuple[Task, ...]]:
    """By group, in the order of first appearance."""
    found: dict[str, list[Task]] = {}
    for task in tasks:
        found.setdefault(task.group, []).append(task)
    return [tuple(group) for group in found.values()]


def _tasks_of_shard(tasks: Sequence[Task], shard: tuple[int, int]) -> list[Task]:
    """The tasks of a shard; it depends on their list alone, because shards begin at different times."""
    index, count = shard
    return [task for group in _by_group(tasks)[index - 1 :: count] for task in group]


class _State:
    """The state of every task of this run, and the file of those that failed.

    Args:
        everything: the tasks of all shards.
        tasks: those of this one.
    """

    def __init__(self, this: TaskRun, everything: Sequence[Task], tasks: Sequence[Task], shard: tuple[int, int], *,
                 retry_failed: bool, say: Callable[[str], None]) -> None:
        out = this.out
        self.run, self.out, self.tasks, self.say = this, out, {task.name: task for task in tasks}, say
        self.alone = shard == (1, 1)
        self.path = out / ("failed.jsonl" if self.alone else f"failed-{shard[0]}-of-{shard[1]}.jsonl")
        self.done: set[str] = set()
        self.skipped = {task.name for task in tasks if is_whole(out, task)}
        recorded = _read_failures(out)
        known = {} if retry_failed else {(task.name, task.key): why for task, why in recorded}
        self.failed = {
            task.name: known[task.name, task.key]
            for task in tasks if task.name not in self.skipped and (task.name, task.key) in known
        }
        firsts = {_first(task.name) for task in everything}
        replaced = recorded if self.alone else _read_failures(out, self.path.name)
        self.others = {task.name: (task, why) for task, why in replaced if _first(task.name) not in firsts}
        self.pending = [task for task in tasks if task.name not in self.skipped and task.name not in self.failed]
        self.advance: Callable[[], None] = lambda: None

    def start(self, progress: Callable[[str, int], Callable[[], None]]) -> None:
        if self.skipped:
            self.say(f"{len(self.skipped)} of {len(self.tasks)} tasks are complete already")
        if self.failed:
            self.say(f"{len(self.failed)} of {len(self.tasks)} tasks have failed before; pass `retry_failed` to try them again")
        self._write()
        if self.pending:
            self.advance = progress("tasks", len(self.pending))

    def finished(self, name: str, why: str | None) -> None:
        """Counts each task once: a worker taken for dead may report a task that another one has repeated."""
        if name in self.done or name in self.failed:
            return
        if why is None:
            self.done.add(name)
        else:
            self.failed[name] = why
            self.say(why if why.startswith(name) else f"{name}: {why}")
            self._write()
        self.advance()

    def outcome(self) -> Outcome:
        if self.alone:  # its file has all tasks; those of shards that ran before would contradict it one day
            for path in self.out.glob("failed-*-of-*.jsonl"):
                path.unlink(missing_ok=True)
        return Outcome(
            tuple(name for name in self.tasks if name in self.done), tuple(name for name in self.tasks if name in self.skipped),
            {name: self.failed[name] for name in self.tasks if name in self.failed})

    def _write(self) -> None:
        """A file of failures that cannot be written is no failure: its tasks are only tried again."""
        failed = [(task, self.failed[name]) for name, task in self.tasks.items() if name in self.failed]
        rows = [{"name": task.name, "key": task.key, "why": why} for task, why in (*self.others.values(), *failed)]
        try:
            if rows:
                with self.run.files() as folder:
                    (folder / self.path.name).write_text("".join(json.dumps(row, sort_keys=True) + "\n" for row in rows), "utf-8")
            else:
                self.path.unlink(missing_ok=True)
        except (InputError, OSError) as error:
            self.say(f"{error}; {ADVICE}")


def _first(name: str) -> str:
    return name.split("/", 1)[0]


def _read_failures(out: Path, files: str = "failed*.jsonl") -> list[tuple[Task, str]]:
    """All entries of all shards' files; other lines are passed over."""
    found = []
    for path in sorted(out.glob(files)):
        with suppress(OSError, UnicodeDecodeError):
            for line in path.read_text(encoding="utf-8").splitlines():
                with suppress(ValueError):
                    row = json.loads(line)
                    if isinstance(row, Mapping) and all(isinstance(row.get(key), str) for key in ("name", "key", "why")):
                        found.append((Task(row["name"], row["key"], "", None), row["why"]))
    return found
