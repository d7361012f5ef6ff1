"""The child as its parent sees it: started when needed, asked, ended when it dies, hangs or has met a damaged file."""

from __future__ import annotations

import atexit
import errno
import itertools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InputError
from .messages import Broken, receive_message, send_message

START = "import sys; sys.path[:] = {path!r}; from medrestore.child.serve import serve; serve()"
SINGLE = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")  # it does no arithmetic
SINGLE |= {"ARROW_DEFAULT_MEMORY_POOL": "system"}  # others reserve much more than they use
NUMBERS = itertools.count()  # of files
PATIENCE = 10  # seconds of waiting for each second of computing: disks are slow and machines are shared
EXHAUSTED = signal.Signals.SIGXCPU if sys.platform != "win32" else 99  # by which the system ends what computes too long
SHORTAGES = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)  # of which whoever asks can say what helps
TYPES = {name: np.dtype(name) for name in ("bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64",
                                           "float16", "float32", "float64", "complex64", "complex128")}
WAIT = 120.0  # seconds of waiting that any request may take, also the first, which starts the child on a busy machine


@dataclass(frozen=True)
class Limits:
    """What one request may take.

    Args:
        memory: bytes beside those that the child has when it begins.
        seconds: of computing; waiting for a disk does not count, and has a limit of its own.
        answer: bytes of the arrays that come back.
    """

    memory: int = 256 << 20
    seconds: float = 3.0
    answer: int = 1 << 20

    @property
    def waiting(self) -> float:
        """Seconds within which the answer comes, on a slow disk or a busy machine."""
        return WAIT + PATIENCE * self.seconds


@dataclass(frozen=True)
class Answer:
    """What came back: plain data, and the bytes of arrays (uint8)."""

    value: Any
    arrays: Sequence[np.ndarray] = ()

    def array(self, index: int, name: str, shape: Sequence[int]) -> np.ndarray:
        """One of the arrays as numbers of a type and a shape that came with it.

        Raises:
            OSError: they are none of it, as a child whose memory was overwritten may say.
        """
        try:
            return self.arrays[index].view(TYPES[name]).reshape(shape)
        except (IndexError, KeyError, TypeError, ValueError) as error:
            raise OSError(f"what was read is no array of {name} {shape}") from error


class WorkerDied(Exception):
    """The worker has died of a file.

    Args:
        code: its exit code, negative for a signal.
        late: whether it was ended because it has not answered for long, computing or waiting.
    """

    def __init__(self, code: int, *, late: bool = False) -> None:
        self.code, self.late = code, late


class Child:
    """A process that answers questions about files, one at a time; any thread may ask.

    A file is known by a number of the caller's, and opened by a worker of the child when a request first names it, so that
    a new worker goes on where an old one died. A worker ends with an error and when its last file is closed: what a damaged
    file did to it must not reach the next file. Where it dies with other files open, the request is repeated once, as one
    of those may be to blame.

    Attributes:
        worker: the number of the present worker: as long as it is the same, what it has open is as it was.
    """

    def __init__(self) -> None:
        self.worker = 0
        self._lock = threading.RLock()
        self._process: subprocess.Popen[bytes] | None = None
        self._seen: set[int] = set()  # the files of the present worker
        self._closed: list[int] = []
        self._busy = False  # with a request; memory may be collected, and files forgotten, in the middle of it

    def number(self) -> int:
        """A number for a file that no other file of this process has."""
        return next(NUMBERS)

    def ask(self, file: int, path: str, question: str, limits: Limits = Limits(), *, kind: str = "hdf5", locking: bool = True,
            data: bytes | None = None, **arguments: Any) -> Answer:
        """The answer to a question about a file.

        Args:
            file: the caller's number of it.
            path: of the file.
            question: one of those that are answered for this kind.
            limits: what it may take.
            kind: of the file, one of `serve.KINDS`.
            locking: whether a file that another program writes is refused.
            data: the content of the file, where that has been read already; an argument of the question.
            arguments: plain data for it.

        Raises:
            OSError: what the parser says of the file, or files or memory are short.
            InputError: a worker died of it or hung, or the child cannot be started.
        """
        with self._lock:
            closed, self._closed = self._closed, []
            self._seen -= set(closed)
            others = bool(self._seen - {file})
            request = {"kind": kind, "file": file, "path": path and os.path.abspath(path), "question": question,
                       "arguments": arguments, "closed": closed, "locking": locking, "memory": limits.memory,
                       "seconds": limits.seconds}
            content = [] if data is None else [np.frombuffer(data, np.uint8)]
            for repeated in (False, True):
                self._busy = True
                try:
                    return self._answered(request, content, limits, path)
                except WorkerDied as died:
                    if repeated or not others or died.late or died.code == -EXHAUSTED:
                        raise InputError(f"{path} {_cause(died, limits)}") from died
                finally:
                    self._busy = False
            raise AssertionError("a request is repeated once")

    def ask_once(self, path: str, question: str, limits: Limits, *, kind: str, data: bytes | None = None,
                 **arguments: Any) -> Answer:
        """The answer to the only question about a file, which is closed then; see `ask`."""
        number = self.number()
        try:
            return self.ask(number, path, question, limits, kind=kind, data=data, **arguments)
        finally:
            self.close(number)

    def close(self, file: int) -> None:
        """Closes a file now."""
        with self._lock:
            self._closed.append(file)
            self._close(file)

    def forget(self, file: int) -> None:
        """Closes a file, at the next request if one is under way; may be called while memory is being collected."""
        self._closed.append(file)
        if self._lock.acquire(blocking=False):
            try:
                if not self._busy:
                    self._close(file)
            finally:
                self._lock.release()

    def _close(self, file: int) -> None:
        if file in self._seen and self._process is not None and self._process.poll() is None:
            with suppress(OSError, InputError):
                self.ask(file, "", "close")
                self._seen.discard(file)
                if not self._seen:
                    self._renew()

    def end(self) -> None:
        """Ends the process; the next request starts a new one."""
        with self._lock:
            process, self._process = self._process, None
            self._next_worker()
            if process is not None:
                _kill(process)
                _close(process)
                process.wait()

    def abandon(self) -> None:
        """In a forked process: leaves the child to the process that started it."""
        process, self._process = self._process, None
        self._lock, self._closed, self._busy = threading.RLock(), [], False
        self._next_worker()
        if process is not None:
            _close(process)
            process.returncode = 0  # it is not ours to wait for

    def _answered(self, request: dict[str, Any], content: list[np.ndarray], limits: Limits, path: str) -> Answer:
        """The answer of the present worker; see `ask`.

        Raises:
            Died: it died, or was ended because it was late.
        """
        process = self._started(path)
        self._seen.add(request["file"])
        late = threading.Event()
        try:
            return _exchange(process, request, content, limits, late)
        except WorkerDied:
            self._next_worker()  # which takes its place
            raise
        except Broken as error:
            code = _ending(process)
            self.end()
            raise WorkerDied(code, late=late.is_set()) from error
        except OSError:
            self._renew()
            raise
        except BaseException:  # stopped half-way: what is still to come would be taken for the next answer
            self.end()
            raise

    def _next_worker(self) -> None:
        """Whatever was open is so no more."""
        self._seen = set()
        self.worker += 1

    def _renew(self) -> None:
        """Has another worker answer from now on."""
        self._next_worker()
        try:
            if self._process is not None and self._process.stdin is not None:
                send_message(self._process.stdin, {"question": "end"})
        except OSError:
            self.end()

    def _started(self, path: str) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self.end()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", START.format(path=sys.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, bufsize=0, env=os.environ | SINGLE, start_new_session=True)
        except OSError as error:
            if error.errno in SHORTAGES:
                raise
            raise InputError(f"{path} is read by a process of its own, which cannot be started ({error.strerror}); "
                             "end other programs of this machine.") from error
        return self._process


def _exchange(process: subprocess.Popen[bytes], request: dict[str, Any], content: list[np.ndarray], limits: Limits,
              late: threading.Event) -> Answer:
    """One request and its answer.

    Raises:
        Died: a worker has died.
        Broken: the process has ended, or was ended because it is late.
        OSError: what the parser says of the file.
    """
    assert process.stdin is not None and process.stdout is not None

    def stop() -> None:
        late.set()
        _kill(process)

    timer = threading.Timer(limits.waiting, stop)
    timer.daemon = True
    timer.start()
    try:
        try:
            send_message(process.stdin, request, content)
        except OSError as error:
            raise Broken("it has ended") from error
        message, arrays = receive_message(process.stdout, most=limits.answer)
    finally:
        timer.cancel()
    if "died" in message:
        raise WorkerDied(int(message["died"]))
    if "error" in message:
        raise OSError(str(message["error"]))
    return Answer(message.get("value"), arrays)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Ends the process and its worker, which are a session of their own."""
    if process.returncode is not None:
        return
    if sys.platform == "win32":
        process.kill()
        return
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _ending(process: subprocess.Popen[bytes]) -> int:
    """How the process has ended; it is ended where it has not."""
    try:
        return process.wait(1.0)
    except subprocess.TimeoutExpired:
        _kill(process)
        return process.wait()


def _cause(died: WorkerDied, limits: Limits) -> str:
    code = died.code
    if died.late:
        return (f"was not read within {limits.waiting:.0f} s: its disk or this machine is too slow for that, or it is damaged; "
                "copy it to another disk, or try again when the machine is less busy.")
    if code == -EXHAUSTED:
        return f"cannot be read within {limits.seconds:.0f} s, so it is damaged; copy it again."
    if code > 0:
        return "is read by a process of its own, which does not run; see that `python -c 'import h5py'` does."
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    return f"makes the library that reads it crash ({name}), so it is damaged; copy it again."


def _close(process: subprocess.Popen[bytes]) -> None:
    for pipe in (process.stdin, process.stdout):
        with suppress(OSError):
            if pipe is not None:
                pipe.close()


SHARED = Child()  # of this process
atexit.register(SHARED.end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=SHARED.abandon)


def shared() -> Child:
    """The child that all readers of this process share."""
    return SHARED
