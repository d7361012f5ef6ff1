"""What is left of a group of tasks when a worker died on it."""

from pathlib import Path

from helpers.tasks import Fill, tasks_of

from medrestore.tasks.folders import DEATHS, TaskRun
from medrestore.tasks.groups import Ends, Submitted, TaskGroup, work_through

NAMES = ["case/a", "case/b", "case/c"]


def test_a_group_goes_on_where_a_worker_died(tmp_path: Path) -> None:
    ends: dict[str, str | None] = {}
    run, tasks = TaskRun.start(tmp_path), tuple(tasks_of(NAMES))
    state = Ends(run, ends.__setitem__)
    state.finished(NAMES[0], None)
    run.begin(tasks[1])
    (again,) = state.after_death(Submitted(tasks))
    assert again == Submitted(tasks[1:], deaths=1, stuck=0)
    for stuck in range(1, DEATHS):
        (again,) = state.after_death(again)
        assert again.stuck == stuck
    assert state.after_death(again) == []
    assert ends == {NAMES[0]: None} | {name: f"{name}: set aside, workers died before they could begin it" for name in NAMES[1:]}
    assert state.after_death(again) == []  # nothing is left of it


def test_the_tasks_of_a_group_are_reported_in_their_order(tmp_path: Path) -> None:
    run, said = TaskRun.start(tmp_path), []
    group = TaskGroup(tuple(tasks_of(NAMES, t1="wrong")), Fill(), run, ("cpu",), 1)
    why = f"{NAMES[1]}: ZeroDivisionError: by zero, of course"
    assert work_through(group, 5, said.append) == [(NAMES[0], None), (NAMES[1], why), (NAMES[2], None)]
    assert said == [("task", NAMES[0], None), ("task", NAMES[1], why), ("task", NAMES[2], None)]
