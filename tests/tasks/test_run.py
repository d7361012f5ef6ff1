"""Runs of a list of tasks: resumed, in shards, failures reported and tried again."""

import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers.tasks import NAMES, Fill, content, lines, nothing_left, tasks_of

from medrestore.errors import InputError
from medrestore.tasks import Task, failures, folder_of, run


def test_what_fails_is_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    said: list[str] = []
    tasks = tasks_of(t1="full", t2="unreadable", t4="wrong", t5="swept", t6="claims")
    found = run(tasks, Fill(), tmp_path, say=said.append)
    assert found.done == (NAMES[0], NAMES[3], NAMES[7])
    full, short = (folder_of(tmp_path, task) for task in tasks[1:3])
    assert found.failed[NAMES[1]] == (
        f"{full} cannot be written (no space left on device); make room and run again with `retry_failed`")
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
    assert any("failed.jsonl cannot be written (Is a directory)" in line for line in said)
    assert not list(tmp_path.glob(".failed*"))


def test_an_interrupted_run_keeps_what_is_whole(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(tasks_of(t3="interrupted"), Fill(), tmp_path)
    assert nothing_left(tmp_path)
    found = run(tasks_of(), Fill(), tmp_path)
    assert (found.skipped, found.done) == (tuple(NAMES[:3]), tuple(NAMES[3:]))


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
    (["a"], {"workers": -1}, "workers=-1"),
    (["a"], {"workers": 1, "scheduler_file": Path(__file__)}, "cannot both"),
    (["a"], {"scheduler_file": Path("nowhere.json")}, "nowhere.json does not exist"),
    (["a"], {"shard": (3, 2)}, "shard=3/2"),
    (["a"], {"shard": (0, 2)}, "shard=0/2"),
    (["a"], {"threads": 0}, "0 threads"),
    (["a"], {"devices": ()}, "no device"),
])
def test_what_does_not_fit_is_refused_first(names: list[str], options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        run(tasks_of(names), Fill(), tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_one_process_needs_no_dask(tmp_path: Path) -> None:
    code = f"""
        import sys
        from pathlib import Path
        from medrestore.tasks.run import Task, run
        found = run([Task("a", "k", "g", 1)], lambda task, folder, device: None, Path({str(tmp_path)!r}))
        assert found.done == ("a",) and not {{"dask", "distributed"}} & set(sys.modules), sys.modules.keys()
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, timeout=60)
