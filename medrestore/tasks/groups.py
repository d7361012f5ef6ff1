"""Groups of tasks that workers take as one: what is left of a group when a worker died on it.

The task on which a worker died is known by the folder that the worker had begun for it, so that after three deaths that
one task is not tried again and the rest of its group goes on.
"""

from collections.abc import Callable
from dataclasses import dataclass

from .folders import DEATHS, Task, TaskRun, Work, make


@dataclass(frozen=True)
class TaskGroup:
    """The tasks of a group, and what a worker needs for them."""

    tasks: tuple[Task, ...]
    work: Work
    run: TaskRun
    devices: tuple[str, ...]
    threads: int


@dataclass
class Submitted:
    """A submitted group: its tasks that have not ended, its deaths, and how often it came back with no change."""

    tasks: tuple[Task, ...]
    deaths: int = 0
    stuck: int = 0


class Ends:
    """Which tasks have ended, and what to do with groups that did not.

    Args:
        run: of all of them.
        finished: called at least once for each task with its name and why it failed, if it did.
    """

    def __init__(self, run: TaskRun, finished: Callable[[str, str | None], None]) -> None:
        self.run, self._finished, self._names = run, finished, set[str]()

    def finished(self, name: str, why: str | None) -> None:
        """A task has ended."""
        self._names.add(name)
        self._finished(name, why)

    def left(self, group: Submitted) -> tuple[Task, ...]:
        """The tasks of a group that have not ended."""
        return tuple(task for task in group.tasks if task.name not in self._names)

    def failed(self, group: Submitted, why: str) -> None:
        """What is left of a group cannot be done."""
        for task in self.left(group):
            self.finished(task.name, f"{task.name}: {why}")

    def after_death(self, group: Submitted) -> list[Submitted]:
        """What is to be submitted again after a worker has died on a group."""
        left = self.left(group)
        deaths = sum(self.run.deaths(task) for task in left)
        news = deaths != group.deaths or len(left) < len(group.tasks)
        stuck = 0 if news else group.stuck + 1
        if stuck >= DEATHS:
            self.failed(group, "set aside, workers died before they could begin it")
            return []
        return [Submitted(left, deaths, stuck)] if left else []


def work_through(group: TaskGroup, worker: int, report: Callable[[tuple[str | None, ...]], None]) -> list[tuple[str, str | None]]:
    """On a worker: the tasks of a group in their order.

    Args:
        worker: its number, by which it takes its device.
        report: called with ("line", text) and, as each task ends, ("task", name, why it failed or None).

    Returns:
        The names of the tasks, and why each failed if it did.
    """
    device, ends = group.devices[worker % len(group.devices)], []
    for task in group.tasks:
        why = make(task, group.work, group.run, device=device, threads=group.threads, say=lambda line: report(("line", line)))
        report(("task", task.name, why))
        ends.append((task.name, why))
    return ends
