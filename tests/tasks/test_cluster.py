"""Workers of this machine and of a cluster: the same files, deaths survived, losses reported."""

import logging
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.tasks import NAMES, Fill, content, nothing_left, tasks_of

from medrestore.errors import InputError
from medrestore.tasks import cluster as module
from medrestore.tasks import failures, run
from medrestore.tasks.cluster import index_of


@pytest.mark.parametrize(("name", "index"), [(3, 3), ("7", 7), ("job-12-5", 5), ("tcp://10.0.0.1:40331", 0), ("gpu", 0)])
def test_a_worker_knows_its_number(name: object, index: int) -> None:
    assert index_of(name) == index


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
        sys.path.insert(0, {str(Path(__file__).parents[1])!r})
        if __name__ == "__main__":
            signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for what it starts in the background
            from helpers.tasks import Fill, tasks_of
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
    monkeypatch.setattr(module, "CONNECT", 0.5)
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
    monkeypatch.setattr(module, "run_group", never)
    found = run(tasks_of(NAMES[:2]), Fill(), tmp_path / "out", scheduler_file=tmp_path / "scheduler.json")
    assert found.done == () and all("died before they could begin it" in why for why in found.failed.values())
    assert list(found.failed) == NAMES[:2]


def certificates(folder: Path) -> dict[str, Any]:
    """The settings of dask that the documentation gives, with a certificate made for the test."""
    key, certificate = folder / "key.pem", folder / "cert.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=medrestore",
                    "-keyout", key, "-out", certificate], check=True, capture_output=True)
    roles = {role: {"cert": str(certificate), "key": str(key)} for role in ("scheduler", "worker", "client")}
    return {"distributed.comm.require-encryption": True, "distributed.comm.tls.ca-file": str(certificate)} | {
        f"distributed.comm.tls.{role}": pair for role, pair in roles.items()}


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes a certificate")
def test_a_cluster_with_certificates_serves_those_who_have_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import dask.config
    from distributed import Client, LocalCluster

    file, said = tmp_path / "scheduler.json", []
    monkeypatch.setattr(module, "CONNECT", 3.0)
    with dask.config.set(certificates(tmp_path)), LocalCluster(
        n_workers=1, processes=False, protocol="tls://", dashboard_address=None, silence_logs=logging.CRITICAL,
        scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"}, local_directory=str(tmp_path),
    ) as cluster:
        with Client(cluster, set_as_default=False) as client:
            client.write_scheduler_file(str(file))
        assert len(run(tasks_of(), Fill(), tmp_path / "one", scheduler_file=file, say=said.append).done) == 8 and said == []
        nothing = {name: None for name in certificates(tmp_path) if ".tls." in name}
        with dask.config.set({**nothing, "distributed.comm.require-encryption": False}), \
                pytest.raises(InputError, match=r"scheduler\.json does not answer; .* TLS"):
            run(tasks_of(key="other"), Fill(), tmp_path / "two", scheduler_file=file)


def test_a_cluster_without_certificates_is_named(tmp_path: Path, cluster: Any) -> None:
    said: list[str] = []
    run(tasks_of(NAMES[:1]), Fill(), tmp_path / "out", scheduler_file=tmp_path / "scheduler.json", say=said.append)
    assert [line for line in said if "speaks without TLS, so whoever reaches its port can run code as you" in line]
