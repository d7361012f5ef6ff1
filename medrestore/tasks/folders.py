"""The folder of a task: written out of sight, recorded with the digests of its files, published complete."""

import errno
import hashlib
import json
import os
import re
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files import (
    Busy,
    digest,
    exclusive,
    explained,
    final_names,
    is_running,
    no_room,
    publish_all,
    publish_first,
    remove_folder,
)

RECORD = "task.json"  # {"key": ..., "files": {name: [bytes, sha256]}}: the last file of a complete folder
PARTS = ".parts"  # OUT/.parts/<run>/: incomplete folders, on the file system of OUT so that they can be renamed
DEATHS = 3  # a task on which so many workers died is not tried again
LARGEST_CHECKED = 64 * 2**20  # bytes; of larger files only the size is compared
OLD_ON_THIS_HOST = 600.0  # seconds; a run without a lock: containers may share a host's name, not its processes
LOCK = "lock"  # in the folder of a run: locked as long as its process lives
OLD_ELSEWHERE = 7 * 86400.0  # seconds; whether a process of another host lives cannot be asked
BEGUN, FILES = "begun", "files"  # in the folder of a try: goes with it when it is removed; the files of the task
DEAD, GONE = ".dead", ".gone"  # ends of names: a try whose process died, a folder that is being removed
LONGEST_REASON = 600  # characters


@dataclass(frozen=True)
class Task:
    """A unit of work: its files are a pure function of `what` and of the work.

    Args:
        name: the folder under OUT/tasks: characters [A-Za-z0-9._-], parts joined by "/", none of which starts with a dot.
        key: hash of all that decides the output; a folder with another key is replaced.
        group: tasks of one group run one after the other, in the order given, in one process.
        what: plain data that can be pickled.
    """

    name: str
    key: str
    group: str
    what: Any


Work = Callable[[Task, Path, str], None]
"""`(task, empty folder to write files into, device)`: a function of a module, or a frozen dataclass with `__call__`.
The same files for the same task, whichever the folder, the device's number and the time."""


def folder_of(out: Path, task: Task) -> Path:
    """The folder of the files of a task."""
    return Path(out) / "tasks" / task.name


def is_whole(out: Path, task: Task) -> bool:
    """Whether the folder is complete: recorded with the task's key, every file as written (above 64 MiB: of its size)."""
    folder = folder_of(out, task)
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        return record["key"] == task.key and all(
            _is_as_written(folder / name, size, sha256) for name, (size, sha256) in record["files"].items()
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError):  # missing, truncated, or of another program
        return False


def _is_as_written(path: Path, size: int, sha256: str) -> bool:
    return path.is_file() and path.stat().st_size == size and (size >= LARGEST_CHECKED or digest(path) == sha256)


@dataclass(frozen=True)
class TaskRun:
    """One run of a list of tasks.

    Attributes:
        out: the folder of its output.
        name: host, process and a random number.
        folder: where its processes, on any host, write the folders of their tasks.
    """

    out: Path
    name: str

    @classmethod
    def start(cls, out: Path) -> "TaskRun":
        """A new folder; those of dead runs are removed.

        Raises:
            InputError: nothing can be written there.
        """
        run = cls(out, f"{_host()}-{os.getpid()}-{uuid.uuid4().hex[:8]}")
        try:
            (out / "tasks").mkdir(parents=True, exist_ok=True)
            for left in (out / PARTS).glob("*"):
                if _is_dead(left):
                    remove_folder(left)
            run.folder.mkdir(parents=True)
        except OSError as error:
            raise InputError(f"{out} cannot be written ({error.strerror}); choose another output") from error
        return run

    @property
    def folder(self) -> Path:
        return self.out / PARTS / self.name

    @contextmanager
    def alive(self) -> Iterator[None]:
        """Keeps other runs from taking this one for dead; the system ends that with the process.

        Raises:
            InputError: the lock cannot be written.
        """
        with ExitStack() as lock:
            with explained(self.out):
                lock.enter_context(exclusive(self.out, lock=self.folder / LOCK))
            yield

    @contextmanager
    def files(self) -> Iterator[Path]:
        """A folder for files that go to `out` at the end of the block, each in the place of one of its name.

        Until then they lie with the folders of tasks, so that the next run removes what a killed one leaves.

        Raises:
            InputError: they cannot be written.
        """
        folder = self.folder / FILES
        with explained(self.out), final_names(folder, self.out):
            folder.mkdir(exist_ok=True)
            yield folder
            publish_all(folder, self.out)

    def end(self) -> None:
        """Removes the folder, with what workers that still live write into it."""
        remove_folder(self.folder)

    def deaths(self, task: Task) -> int:
        """How many processes of this run have begun the task and did not end it."""
        return len(self._tries(task))

    def begin(self, task: Task) -> Path:
        """A folder for one try, with an empty one for its files; files of dead processes are removed, their number stays."""
        tries = self._tries(task)
        for name in tries:
            with suppress(OSError):
                (self.folder / f"{name}{DEAD}").mkdir(exist_ok=True)
            remove_folder(self.folder / name)
        number = len(tries)
        while True:
            part = self.folder / f"{_name_digest(task)}-{number}"
            try:
                part.mkdir()
                (part / BEGUN).touch()
                (part / FILES).mkdir()
                return part
            except FileExistsError:  # a worker that was taken for dead goes on with it
                number += 1

    def _tries(self, task: Task) -> set[str]:
        """The names of the tries of a task, those of dead processes included."""
        paths = self.folder.glob(f"{_name_digest(task)}-*")
        return {path.name.removesuffix(DEAD) for path in paths if path.suffix != GONE}

@contextmanager
def files_beside(out: Path) -> Iterator[Path]:
    """A folder for files that go to `out` at the end of the block, each in the place of one of its name.

    Raises:
        InputError: nothing can be written there.
    """
    this = TaskRun.start(out)
    try:
        with this.alive(), this.files() as folder:
            yield folder
    finally:
        this.end()


def _name_digest(task: Task) -> str:
    return hashlib.sha256(task.name.encode()).hexdigest()[:24]


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9_]", "_", socket.gethostname())


def _is_dead(left: Path) -> bool:
    """Whether the process that ran in this folder is gone, as far as this host can tell."""
    named = re.fullmatch(r"(?P<host>\w+)-(?P<pid>\d+)-[0-9a-f]{8}(\..*)?", left.name)
    if named is None:
        return False
    here = named["host"] == _host()
    if here and (left / LOCK).exists():
        try:
            with exclusive(left, lock=left / LOCK):
                return True
        except (Busy, OSError):
            return False
    here = here and os.name != "nt"  # where one cannot tell
    if here and is_running(int(named["pid"])):
        return False
    with suppress(OSError):
        newest = max(path.lstat().st_mtime for path in (left, *left.rglob("*")))
        return time.time() - newest > (OLD_ON_THIS_HOST if here else OLD_ELSEWHERE)
    return False  # it is just being removed


def make(task: Task, work: Work, run: TaskRun, *, device: str, threads: int, say: Callable[[str], None]) -> str | None:
    """Completes the folder of a task, if it is not complete.

    Args:
        threads: for torch and for the linear algebra of numpy, so that sums are taken in one order everywhere.
        say: called with a line for a task that is tried again because a process died on it.

    Returns:
        None, or one sentence that says why there is no folder.
    """
    target, part = folder_of(run.out, task), None
    try:
        if is_whole(run.out, task):
            return None
        deaths = run.deaths(task)
        if deaths >= DEATHS:
            return (f"{task.name}: set aside, {deaths} workers died on it; "
                    "if memory is short, run fewer workers, then pass `retry_failed` to try it again")
        if deaths > 0:
            say(f"{task.name}: a worker died on it; try {deaths + 1} of {DEATHS}")
        part = run.begin(task)
        with limited_to(threads):
            work(task, part / FILES, device)
        _write_record(part / FILES, task)
        if not (part / BEGUN).exists():  # the work has created the folder again; what it wrote before is lost
            raise FileNotFoundError(errno.ENOENT, "its folder was removed while it was written", str(target))
        publish_first(part / FILES, target, lambda: is_whole(run.out, task))
    except Exception as error:  # of any kind: the other tasks go on
        return _why(error, task, part, target)
    finally:
        if part is not None:
            remove_folder(part)
    return None


@contextmanager
def limited_to(threads: int) -> Iterator[None]:
    """So many threads for torch and for the linear algebra of numpy."""
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with threadpool_limits(threads, user_api="blas"):
            yield
    finally:
        torch.set_num_threads(before)


def _write_record(folder: Path, task: Task) -> None:
    if (folder / RECORD).exists():
        raise ValueError(f"the work may not write {RECORD}, which records its files")
    files = {
        path.relative_to(folder).as_posix(): (path.stat().st_size, digest(path))
        for path in folder.rglob("*") if path.is_file()
    }
    text = json.dumps({"key": task.key, "files": files}, indent=1, sort_keys=True) + "\n"
    (folder / RECORD).write_text(text, encoding="utf-8")


def _why(error: Exception, task: Task, part: Path | None, target: Path) -> str:
    """One sentence; files are named by their final places."""
    full = no_room(error)
    if isinstance(error, InputError):
        text = str(error)
    elif full is not None:
        text = f"{target} cannot be written ({full}); make room and run again with `retry_failed`"
    else:
        text = f"{task.name}: {type(error).__name__}: {error}"
    if part is not None:
        text = text.replace(str(part / FILES), str(target))
    text = " ".join(text.split())
    return text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON]} ..."
