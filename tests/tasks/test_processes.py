"""Calls in worker processes: reported, failed, died, and nothing that others could reach."""

import os
import pickle
import shutil
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest
from helpers.calls import double

from medrestore.errors import InputError
from medrestore.settings import FieldError
from medrestore.tasks import processes
from medrestore.tasks.processes import AllStopped, ProcessDied, over


class Parent:
    """What the caller of `over` is told."""

    def __init__(self) -> None:
        self.said: list[tuple[Any, Any]] = []
        self.ends: dict[Any, Exception | None] = {}
        self.next: dict[Any, list[Any]] = {}

    def heard(self, item: Any, message: Any) -> None:
        self.said.append((item, message))

    def ended(self, item: Any, error: Exception | None) -> list[Any]:
        self.ends[item] = error
        return self.next.pop(item, [])

    def pids(self) -> set[int]:
        return {message[1] for _, message in self.said if message[0] == "pid"}


@pytest.mark.slow
def test_every_item_whatever_happens_to_others() -> None:
    parent = Parent()
    parent.next = {"killed": [7], "wrong": [8]}
    over([1, "field", 2, "killed", "wrong", 3, "left", 4], double, workers=2, heard=parent.heard, ended=parent.ended)
    doubled = {item: message[1] for item, message in parent.said if message[0] == "double"}
    assert doubled == {item: 2 * item for item in (1, 2, 3, 4, 7, 8)}
    assert {item for item, error in parent.ends.items() if error is None} == {1, 2, 3, 4, 7, 8}
    field, wrong = parent.ends["field"], parent.ends["wrong"]
    assert isinstance(field, FieldError) and (field.source, field.field, str(field)) == ("Plan", "steps", "Plan: steps is wrong")
    assert str(wrong) == "ZeroDivisionError: by zero, of course"
    assert str(parent.ends["killed"]) == "its process died by SIGKILL" and isinstance(parent.ends["killed"], ProcessDied)
    assert str(parent.ends["left"]) == "its process ended with code 3"
    assert 2 < len(parent.pids()) <= 4 and os.getpid() not in parent.pids()
    assert not any(alive(pid) for pid in parent.pids())


@pytest.mark.slow
def test_processes_end_with_an_error_of_the_caller() -> None:
    pids = []

    def heard(item: Any, message: Any) -> None:
        pids.append(message[1])
        raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        over(["sleeps"], double, workers=1, heard=heard, ended=Parent().ended)
    assert pids and not alive(pids[0]) and time.monotonic() - began < 60


def test_processes_end_once_they_are_asked_to() -> None:
    parent, began = Parent(), time.monotonic()
    with pytest.raises(AllStopped):
        over(["sleeps"], double, workers=1, heard=parent.heard, ended=parent.ended, stopped=lambda: bool(parent.said))
    assert parent.ends == {} and not any(map(alive, parent.pids())) and time.monotonic() - began < 60


def test_a_process_that_cannot_be_started_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_serve", os._exit)  # takes two arguments and fails
    with pytest.raises(InputError, match=r"a worker process could not be started \(.*\); try fewer workers, or none"):
        over([1], double, workers=1, heard=Parent().heard, ended=Parent().ended)


def test_errors_of_fields_pass_between_processes() -> None:
    error = pickle.loads(pickle.dumps(FieldError("Plan", "steps", "is wrong")))
    assert isinstance(error, FieldError) and (error.source, error.field, error.what) == ("Plan", "steps", "is wrong")


RUN = """
import sys, time
from pathlib import Path
sys.path[:0] = {path!r}
if __name__ == "__main__":
    from helpers.tasks import Fill, tasks_of
    from medrestore.tasks.run import run
    run(tasks_of(pids=Path({pids!r})), Fill(600), Path({out!r}), workers=2)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="sockets are listed by Linux")
def test_nobody_else_can_reach_a_run(tmp_path: Path) -> None:
    """No process of a run listens on any port or socket, so that no other user of the machine can send it work."""
    pids = tmp_path / "pids"
    pids.mkdir()
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(RUN.format(path=sys.path, pids=str(pids), out=str(tmp_path / "out"))))
    process = subprocess.Popen([sys.executable, script])
    try:
        while process.poll() is None and len(list(pids.iterdir())) < 2:
            time.sleep(0.1)
        family = descendants(process.pid)
        assert len(family) >= 3 and {int(path.name) for path in pids.iterdir()} <= family
        sockets = {inode for pid in family for inode in sockets_of(pid)}
        assert not sockets & listening(), "a process of the run listens"
        if os.geteuid() == 0 and shutil.which("setpriv"):
            assert not reached_by_another_user(family)
    finally:
        process.kill()
        process.wait()
    until = time.monotonic() + 30
    while any(alive(pid) for pid in family) and time.monotonic() < until:
        time.sleep(0.1)
    assert not any(alive(pid) for pid in family)  # nobody works on for a run that was killed


def alive(pid: int) -> bool:
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def descendants(pid: int) -> set[int]:
    found = {pid}
    for children in Path("/proc").glob(f"{pid}/task/*/children"):
        for child in children.read_text().split():
            found |= descendants(int(child))
    return found


def sockets_of(pid: int) -> set[str]:
    links = (os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir() if path.is_symlink())
    return {link[len("socket:[") : -1] for link in links if link.startswith("socket:[")}


def listening() -> set[str]:
    """Inodes of sockets that take connections: of TCP, and of Unix domains with a name."""
    found = set()
    for name in ("tcp", "tcp6"):
        rows = [line.split() for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
        found |= {row[9] for row in rows if row[3] == "0A"}
    rows = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
    return found | {row[6] for row in rows if row[3] == "00010000"}


CONNECT = """
import os, socket, sys
reached = []
for port in map(int, sys.argv[1].split(",")):
    with socket.socket() as one:
        one.settimeout(1)
        if one.connect_ex(("127.0.0.1", port)) == 0:
            reached.append(port)
for pid in sys.argv[2].split(","):
    try:
        reached += [f"/proc/{{pid}}/fd/{{name}}" for name in os.listdir(f"/proc/{{pid}}/fd")]
    except PermissionError:
        pass
print(reached)
"""


def reached_by_another_user(family: set[int]) -> list[str]:
    """What the user nobody gets hold of: ports of this machine that only these processes listen on, and their pipes."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inodes = {inode for pid in family for inode in sockets_of(pid)}
    ports = [str(int(row[1].split(":")[1], 16)) for row in rows if row[9] in inodes] or ["9"]
    done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/env", "python3", "-c",
                           CONNECT.replace("{{", "{").replace("}}", "}"), ",".join(ports), ",".join(map(str, family))],
                          capture_output=True, text=True, cwd="/", check=True)
    return [] if done.stdout.strip() == "[]" else [done.stdout]
