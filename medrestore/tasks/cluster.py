"""Groups of tasks spread over the processes of this machine or of a cluster, with `dask.distributed`.

A group is one future. The task on which a worker died is known by the folder that the worker had begun for it, so that
after three deaths that one task is not tried again and the rest of its group goes on.
"""

import json
import logging
import os
import re
import signal
import socket
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..allocator import KEPT, LARGEST
from ..errors import InputError
from .folders import DEATHS, Run, Task, Work, make

if TYPE_CHECKING:
    from distributed import Client, Future

TOPIC = "medrestore"
POLL = 1.0  # seconds between two looks at the number of workers
CONNECT = 30.0  # seconds to reach a scheduler
SETTINGS = {
    "distributed.scheduler.allowed-failures": DEATHS,
    "distributed.scheduler.worker-ttl": None,  # a long call into compiled code is no death
    "distributed.worker.profile.enabled": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.terminate": False,
    "distributed.diagnostics.nvml": False,  # would take memory of every GPU for each process
    "distributed.scheduler.dashboard.status.task-stream-length": 0,
    # dask has workers return freed memory to the system at once; two thirds of a reconstruction went into fetching it again
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": KEPT,
    "distributed.nanny.pre-spawn-environ.MALLOC_MMAP_THRESHOLD_": LARGEST,
    "distributed.nanny.pre-spawn-environ.MALLOC_ARENA_MAX": 1,
}
_TURN = threading.Lock()  # one group at a time in a process, however many threads its worker was started with


@dataclass(frozen=True)
class Group:
    """The tasks of a group, and what a worker needs for them."""

    tasks: tuple[Task, ...]
    work: Work
    run: Run
    devices: tuple[str, ...]
    threads: int


@dataclass
class _Submitted:
    """A submitted group: its tasks that have not ended, its deaths, and how often it came back with no change."""

    tasks: tuple[Task, ...]
    deaths: int = 0
    stuck: int = 0


def spread(
    groups: Sequence[tuple[Task, ...]],
    work: Work,
    run: Run,
    *,
    workers: int,
    scheduler_file: Path | None,
    threads: int,
    devices: tuple[str, ...],
    finished: Callable[[str, str | None], None],
    say: Callable[[str], None],
) -> None:
    """Runs every group on some worker; `finished` is called at least once for each task, in the thread of the caller.

    Raises:
        InputError: the workers cannot be started, or the cluster cannot be reached or is lost.
    """
    with _quiet(), _client(workers, scheduler_file, say) as client:
        _Spread(client, work, run, threads, devices, finished, say, fixed=workers).all(groups)


class _Spread:
    """Submits as many groups as there are workers: one that waits on a worker that dies would count its death."""

    def __init__(self, client: "Client", work: Work, run: Run, threads: int, devices: tuple[str, ...],
                 finished: Callable[[str, str | None], None], say: Callable[[str], None], *, fixed: int) -> None:
        self.client, self.work, self.run, self.threads, self.devices = client, work, run, threads, devices
        self.finished, self.say, self.fixed = finished, say, fixed
        self.topic = f"{TOPIC}-{run.name}"
        self.news: SimpleQueue[Any] = SimpleQueue()  # events of the workers, and futures that came to an end
        self.submitted: dict[str, tuple[Future, _Submitted]] = {}
        self.ended: set[str] = set()
        self.number = 0

    def all(self, groups: Sequence[tuple[Task, ...]]) -> None:
        waiting = deque(_Submitted(group) for group in groups)
        self.client.subscribe_topic(self.topic, lambda event: self.news.put(event[1]))
        try:
            while waiting or self.submitted:
                while waiting and len(self.submitted) < self._places():
                    self._submit(waiting.popleft())
                try:
                    news = self.news.get(timeout=POLL)
                except Empty:
                    self._check_connection()
                    continue
                if isinstance(news, str):
                    waiting.extendleft(self._ended(news))
                else:
                    self._handle(*news)
        except BaseException:
            with suppress(Exception):  # it may be the connection that failed
                self.client.cancel([future for future, _ in self.submitted.values()], force=True)
            raise

    def _places(self) -> int:
        return self.fixed or max(1, len(self._asked(self.client.nthreads)))

    def _asked(self, question: Callable[[], Any]) -> Any:
        try:
            return question()
        except (OSError, TimeoutError) as error:
            raise self._lost() from error

    def _check_connection(self) -> None:
        if self.client.status != "running":
            raise self._lost()

    def _lost(self) -> InputError:
        return InputError("the dask scheduler is gone; start it again and repeat the run: complete tasks stay")

    def _submit(self, group: _Submitted) -> None:
        from distributed.protocol.pickle import dumps

        parcel = Group(group.tasks, self.work, self.run, self.devices, self.threads)
        key = f"{self.topic}-{self.number}"
        self.number += 1
        # bytes: what is in a task is not searched by dask, and what cannot be unpickled fails there as any other error
        future = self._asked(lambda: self.client.submit(run_group, dumps(parcel), self.topic, key=key, pure=False))
        self.submitted[key] = future, group
        future.add_done_callback(lambda _: self.news.put(key))

    def _handle(self, kind: str, *words: Any) -> None:
        if kind == "line":
            self.say(words[0])
        else:
            self._finished(*words)

    def _finished(self, name: str, why: str | None) -> None:
        self.ended.add(name)
        self.finished(name, why)

    def _ended(self, key: str) -> list[_Submitted]:
        """Handles a future that came to an end; the groups to submit again."""
        from distributed import KilledWorker

        future, group = self.submitted.pop(key)
        if future.status == "finished":
            for name, why in self._asked(future.result):
                self._finished(name, why)
            return []
        self._check_connection()
        error = future.exception() if future.status == "error" else None
        if error is None:  # cancelled or forgotten: only a scheduler that started anew does that
            raise self._lost()
        left = tuple(task for task in group.tasks if task.name not in self.ended)
        if not isinstance(error, KilledWorker):
            return self._fail(left, lambda task: f"{task.name}: {type(error).__name__}: {' '.join(str(error).split())}")
        deaths = sum(self.run.deaths(task) for task in left)
        news = deaths != group.deaths or len(left) < len(group.tasks)
        stuck = 0 if news else group.stuck + 1
        if stuck >= DEATHS:
            return self._fail(left, lambda task: f"{task.name}: set aside, workers died before they could begin it")
        return [_Submitted(left, deaths, stuck)]

    def _fail(self, tasks: tuple[Task, ...], why: Callable[[Task], str]) -> list[_Submitted]:
        for task in tasks:
            self._finished(task.name, why(task))
        return []


def run_group(parcel: bytes, topic: str) -> list[tuple[str, str | None]]:
    """On a worker: the tasks of a group in their order, each reported as it ends."""
    from distributed import get_worker
    from distributed.protocol.pickle import loads

    worker, group = get_worker(), loads(parcel)
    device = group.devices[index_of(worker.name) % len(group.devices)]
    found = []
    with _TURN:
        for task in group.tasks:
            why = make(task, group.work, group.run, device=device, threads=group.threads,
                       say=lambda line: worker.log_event(topic, ("line", line)))
            worker.log_event(topic, ("task", task.name, why))
            found.append((task.name, why))
    return found


def index_of(worker_name: object) -> int:
    """The number of a worker: its name or what follows the last dash of it; 0 for one that was started without a number."""
    named = re.fullmatch(r"([A-Za-z0-9_.-]*-)?(\d+)", str(worker_name))
    return 0 if named is None else int(named[2])


@contextmanager
def _client(workers: int, scheduler_file: Path | None, say: Callable[[str], None]) -> Iterator["Client"]:
    import dask.config
    from distributed import Client, LocalCluster

    with ExitStack() as stack:
        if scheduler_file is None:
            stack.enter_context(_environment_restored())
            stack.enter_context(dask.config.set(SETTINGS))
            scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="medrestore-", ignore_cleanup_errors=True))
            try:
                with _interrupts_blocked():
                    cluster = stack.enter_context(LocalCluster(
                        n_workers=workers, threads_per_worker=1, processes=True, memory_limit=0, dashboard_address=None,
                        scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},  # not a port two runs want
                        silence_logs=logging.CRITICAL, local_directory=scratch))
            except (OSError, RuntimeError, TimeoutError) as error:
                raise InputError(f"{workers} workers could not be started ({error}); try fewer, or none") from error
            yield stack.enter_context(Client(cluster, set_as_default=False))
            return
        try:
            address = _checked_address(scheduler_file)
            client = stack.enter_context(Client(address, timeout=CONNECT, set_as_default=False))
            waits = not client.nthreads()
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:  # of what the file holds, too
            raise InputError(f"the scheduler of {scheduler_file} does not answer; start `dask scheduler` anew") from error
        if waits:
            say(f"{scheduler_file}: the scheduler has no workers yet; waiting for them")
        yield client


def _checked_address(scheduler_file: Path) -> str:
    """The address in a scheduler's file, checked first: a client that fails later writes messages of its own."""
    address = json.loads(scheduler_file.read_text(encoding="utf-8"))["address"]
    parts = urlsplit(address)
    if parts.scheme in ("tcp", "tls"):
        socket.create_connection((parts.hostname, parts.port), timeout=CONNECT).close()
    return address


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Threads started within, and processes that they start at any time, ignore Ctrl-C: this process ends them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # which unblocks the signal again in the thread that starts it
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _environment_restored() -> Iterator[None]:
    """Removes the variables of its workers that dask leaves in this process."""
    before = dict(os.environ)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silences dask's own messages: workers that die are expected."""
    import distributed  # noqa: F401  # so that its loggers exist

    names = [name for name in logging.root.manager.loggerDict if name.split(".")[0] in ("distributed", "tornado", "asyncio")]
    levels = {name: logging.getLogger(name).level for name in names}
    for name in names:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
