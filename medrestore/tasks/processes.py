"""Worker processes of this machine. Each is at the end of a pipe: nothing listens, so nobody else can reach one."""

import logging
import os
import pickle
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

from ..allocator import keep_freed_memory
from ..errors import InputError

LOG = logging.getLogger(__name__)
PATIENCE = 3.0  # seconds that a process has to end before it is killed
GLANCE = 0.1  # seconds between two looks at whether all shall stop

Item = TypeVar("Item")
Report = Callable[[Any], None]
Call = Callable[[Item, int, Report], None]
"""`(item, number of the worker, report)`: a function of a module, or a frozen dataclass with `__call__`. What it reports
reaches the caller of `over`, in its process."""


class AllStopped(Exception):
    """The caller asked that all stop."""


class ProcessDied(Exception):
    """A process ended in the middle of its work; the argument says how, in words."""


@dataclass
class _WorkerProcess(Generic[Item]):
    """A process, the end of its pipe, and the item that it has in hand; an empty list until it is ready."""

    number: int
    process: BaseProcess
    pipe: Connection
    ready: bool = False
    hand: list[Item] = field(default_factory=list)


def over(items: Iterable[Item], call: Call[Item], *, workers: int, heard: Callable[[Item, Any], None],
         ended: Callable[[Item, Exception | None], Iterable[Item]], stopped: Callable[[], bool] | None = None) -> None:
    """Calls a function on each item, in worker processes that may die.

    A script that calls this has its main part under `if __name__ == "__main__"`, as for every process started with
    "spawn".

    Args:
        items: begun in this order.
        call: pickled with each item.
        workers: how many processes at most.
        heard: called with an item and what `call` reported.
        ended: called with an item and None, the error of `call` (an `InputError` as it was, others as `RuntimeError`) or
            `ProcessDied`; returns items to be done next, such as what is left of this one.
        stopped: asked several times a second; once it is true all processes are ended in the middle of their work.

    Raises:
        InputError: a process cannot be started.
        Stopped: `stopped` was true.
    """
    waiting, pool = deque(items), list[_WorkerProcess[Item]]()
    finished = False
    try:
        while waiting or any(worker.hand for worker in pool):
            while len(pool) < min(workers, len(waiting) + sum(bool(worker.hand) for worker in pool)):
                pool.append(_started(min(set(range(workers)) - {worker.number for worker in pool})))
            for worker in pool:
                if worker.ready and not worker.hand and waiting:
                    _give(worker, call, waiting.popleft())
            for pipe in wait([worker.pipe for worker in pool], None if stopped is None else GLANCE):
                (worker,) = (one for one in pool if one.pipe is pipe)
                waiting.extendleft(reversed(list(_listen(worker, pool, heard, ended))))
            if stopped is not None and stopped():
                raise AllStopped
        finished = True
    finally:
        _end(pool, gently=finished)


def _give(worker: _WorkerProcess[Item], call: Call[Item], item: Item) -> None:
    worker.hand.append(item)
    with suppress(OSError):  # it has died, which its pipe tells next
        worker.pipe.send_bytes(pickle.dumps((call, item)))


def _listen(worker: _WorkerProcess[Item], pool: list[_WorkerProcess[Item]], heard: Callable[[Item, Any], None],
            ended: Callable[[Item, Exception | None], Iterable[Item]]) -> Iterable[Item]:
    """Handles one message of a worker, or its death; the items to be done next."""
    try:
        kind, message = worker.pipe.recv()
    except (EOFError, OSError):
        pool.remove(worker)
        worker.process.join()
        worker.pipe.close()
        how = _how(worker.process.exitcode)
        if not worker.ready:
            raise InputError(f"a worker process could not be started ({how}); try fewer workers, or none") from None
        return ended(worker.hand[0], ProcessDied(how)) if worker.hand else []
    if kind == "ready":
        worker.ready = True
    elif kind == "heard":
        heard(worker.hand[0], message)
    else:
        return ended(worker.hand.pop(), message)
    return []


def _how(code: int | None) -> str:
    if code is None or code >= 0:
        return f"its process ended with code {code}"
    with suppress(ValueError):
        return f"its process died by {signal.Signals(-code).name}"
    return f"its process died by signal {-code}"


def _started(number: int) -> _WorkerProcess[Any]:
    context = get_context("spawn")
    pipe, far = context.Pipe()
    process = context.Process(target=_serve, args=(far, number), daemon=True)
    try:
        with _interrupts_blocked():
            process.start()
    except OSError as error:
        pipe.close()
        raise InputError(f"a worker process could not be started ({error}); try fewer workers, or none") from error
    finally:
        far.close()
    LOG.debug("worker %d is process %s", number, process.pid)
    return _WorkerProcess(number, process, pipe)


def _end(pool: Sequence[_WorkerProcess[Any]], *, gently: bool) -> None:
    """Ends the processes: told to, or terminated where they are at work, and killed if they do not comply."""
    for worker in pool:
        with suppress(OSError):
            if gently:
                worker.pipe.send_bytes(b"")
            else:
                worker.process.terminate()
    for worker in pool:
        worker.process.join(PATIENCE)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        worker.pipe.close()


def _serve(pipe: Connection, number: int) -> None:
    """In a worker process: makes the calls that come down the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # sent to the whole group; the process that started this one ends it
    signal.signal(signal.SIGTERM, _leave)
    threading.Thread(target=_follow_parent, daemon=True).start()
    keep_freed_memory()
    pipe.send(("ready", None))
    while parcel := pipe.recv_bytes():
        failure: Exception | None = None
        try:
            call, item = pickle.loads(parcel)  # of our own process, through a pipe that nobody else can write to
            call(item, number, lambda message: pipe.send(("heard", message)))
        except InputError as error:
            failure = error
        except Exception as error:
            failure = RuntimeError(f"{type(error).__name__}: {' '.join(str(error).split())}")
        pipe.send(("ended", failure))


def _leave(number: int, frame: object) -> None:
    raise SystemExit(128 + number)


def _follow_parent() -> None:
    """Ends this process when the one that started it is gone, however it ended."""
    parent = parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """A process started within ignores Ctrl-C from its first moment."""
    if os.name == "nt":
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # which unblocks the signal again in the thread that starts it
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
