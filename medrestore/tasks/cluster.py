"""Groups of tasks spread over the workers of a dask cluster, with `dask.distributed`; a group is one future."""

import json
import logging
import re
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..errors import InputError
from ..extras import extra
from .folders import Task, TaskRun, Work
from .groups import Ends, Submitted, TaskGroup, work_through

if TYPE_CHECKING:
    from distributed import Client, Future

TOPIC = "medrestore"
POLL = 1.0  # seconds between two looks at the number of workers
CONNECT = 30.0  # seconds to reach a scheduler
OPEN = ("{}: the scheduler speaks without TLS, so whoever reaches its port can run code as you; "
        "see the chapter on clusters in the documentation of the evaluation engine")
_TURN = threading.Lock()  # one group at a time in a process, however many threads its worker was started with


def spread(
    groups: Sequence[tuple[Task, ...]],
    work: Work,
    run: TaskRun,
    *,
    scheduler_file: Path,
    threads: int,
    devices: tuple[str, ...],
    finished: Callable[[str, str | None], None],
    say: Callable[[str], None],
) -> None:
    """Runs every group on some worker; `finished` is called at least once for each task, in the thread of the caller.

    Raises:
        InputError: the cluster cannot be reached or is lost.
    """
    with _quiet(), _client(scheduler_file, say) as client:
        _Spread(client, work, run, threads, devices, Ends(run, finished), say).all(groups)


class _Spread:
    """Submits as many groups as there are workers: one that waits on a worker that dies would count its death."""

    def __init__(self, client: "Client", work: Work, run: TaskRun, threads: int, devices: tuple[str, ...],
                 ends: Ends, say: Callable[[str], None]) -> None:
        self.client, self.work, self.run, self.threads, self.devices = client, work, run, threads, devices
        self.ends, self.say = ends, say
        self.topic = f"{TOPIC}-{run.name}"
        self.news: SimpleQueue[Any] = SimpleQueue()  # events of the workers, and futures that came to an end
        self.submitted: dict[str, tuple[Future, Submitted]] = {}
        self.number = 0

    def all(self, groups: Sequence[tuple[Task, ...]]) -> None:
        waiting = deque(Submitted(group) for group in groups)
        self.client.subscribe_topic(self.topic, lambda event: self.news.put(event[1]))
        try:
            while waiting or self.submitted:
                while waiting and len(self.submitted) < max(1, len(self._asked(self.client.nthreads))):
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

    def _submit(self, group: Submitted) -> None:
        from distributed.protocol.pickle import dumps

        parcel = TaskGroup(group.tasks, self.work, self.run, self.devices, self.threads)
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
            self.ends.finished(*words)

    def _ended(self, key: str) -> list[Submitted]:
        """Handles a future that came to an end; the groups to submit again."""
        from distributed import KilledWorker

        future, group = self.submitted.pop(key)
        if future.status == "finished":
            for name, why in self._asked(future.result):
                self.ends.finished(name, why)
            return []
        self._check_connection()
        error = future.exception() if future.status == "error" else None
        if error is None:  # cancelled or forgotten: only a scheduler that started anew does that
            raise self._lost()
        if isinstance(error, KilledWorker):
            return self.ends.after_death(group)
        self.ends.failed(group, f"{type(error).__name__}: {' '.join(str(error).split())}")
        return []


def run_group(parcel: bytes, topic: str) -> list[tuple[str, str | None]]:
    """On a worker: the tasks of a group in their order, each reported as it ends."""
    from distributed import get_worker
    from distributed.protocol.pickle import loads

    worker, group = get_worker(), loads(parcel)
    with _TURN:
        return work_through(group, index_of(worker.name), lambda event: worker.log_event(topic, event))


def index_of(worker_name: object) -> int:
    """The number of a worker: its name or what follows the last dash of it; 0 for one that was started without a number."""
    named = re.fullmatch(r"([A-Za-z0-9_.-]*-)?(\d+)", str(worker_name))
    return 0 if named is None else int(named[2])


@contextmanager
def _client(scheduler_file: Path, say: Callable[[str], None]) -> Iterator["Client"]:
    with extra("cluster", "a dask cluster"):
        from distributed import Client
    try:
        address = _checked_address(scheduler_file)
        if urlsplit(address).scheme == "tcp":
            say(OPEN.format(scheduler_file))
        client = Client(address, timeout=CONNECT, set_as_default=False)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:  # of what the file holds, too
        raise _unreachable(scheduler_file) from error
    with client:
        try:
            waits = not client.nthreads()
        except OSError as error:
            raise _unreachable(scheduler_file) from error
        if waits:
            say(f"{scheduler_file}: the scheduler has no workers yet; waiting for them")
        yield client


def _unreachable(scheduler_file: Path) -> InputError:
    return InputError(f"the scheduler of {scheduler_file} does not answer; start the dask scheduler again, and where it uses "
                      "TLS set the certificates in the configuration of dask here, too")


def _checked_address(scheduler_file: Path) -> str:
    """The address in a scheduler's file, checked first: a client that fails later writes messages of its own."""
    address = json.loads(scheduler_file.read_text(encoding="utf-8"))["address"]
    parts = urlsplit(address)
    if parts.scheme in ("tcp", "tls"):
        socket.create_connection((parts.hostname, parts.port), timeout=CONNECT).close()
    return address


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
