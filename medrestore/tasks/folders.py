"""One task, one folder that is whole or not there: made aside, sealed with digests, renamed."""

import errno
import hashlib
import json
import os
import re
import shutil
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files import no_room

RECORD = "task.json"  # {"key": ..., "files": {name: [bytes, sha256]}}: the last file of a whole folder
ASIDE = ".parts"  # OUT/.parts/<run>/: what is not whole yet, on the disk of OUT so that it can be renamed
DEATHS = 3  # a task that this many workers died on is set aside
HASHED = 64 * 2**20  # bytes; of larger files only the size is compared
HERE_OLD = 600.0  # seconds; a run of this host whose process is gone: containers may share a host name but not its processes
ELSEWHERE_OLD = 7 * 86400.0  # seconds; whether a process of another host lives cannot be asked
BEGUN, FILES = "begun", "files"  # in a part: what is lost with a part that is removed, and what is renamed
LONGEST = 600  # characters of a reason


@dataclass(frozen=True)
class Task:
    """One volume or scene: what it makes is a pure function of `what` and of the work.

    Args:
        name: the folder under OUT/tasks: characters [A-Za-z0-9._-], parts joined by "/", none of which starts with a dot.
        key: a hash of all that decides the output; a folder with another key is made anew.
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
    """Where the files of a task are, once it is whole."""
    return Path(out) / "tasks" / task.name


def is_whole(out: Path, task: Task) -> bool:
    """Whether the folder was made with the task's key and every file is as it was written (above 64 MiB: as long)."""
    folder = folder_of(out, task)
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        return record["key"] == task.key and all(
            _is_as_written(folder / name, size, digest) for name, (size, digest) in record["files"].items()
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError):  # not there, cut short, or not ours
        return False


def _is_as_written(path: Path, size: int, digest: str) -> bool:
    return path.is_file() and path.stat().st_size == size and (size >= HASHED or _sha256(path) == digest)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def discard(folder: Path) -> None:
    """Removes a folder, renamed first: whoever still writes into it fails, and cannot take the rest for the whole."""
    gone = folder.with_name(f"{folder.name}.{uuid.uuid4().hex}.gone")
    with suppress(OSError):
        folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)


@dataclass(frozen=True)
class Run:
    """One call of the engine, and the folder in which its processes, on any host, make their tasks."""

    out: Path
    name: str

    @classmethod
    def start(cls, out: Path) -> "Run":
        """A new folder; those of dead runs are removed.

        Raises:
            InputError: nothing can be written there.
        """
        run = cls(out, f"{_host()}-{os.getpid()}-{uuid.uuid4().hex[:8]}")
        try:
            (out / "tasks").mkdir(parents=True, exist_ok=True)
            for left in (out / ASIDE).glob("*"):
                if _is_dead(left):
                    discard(left)
            run.folder.mkdir(parents=True)
        except OSError as error:
            raise InputError(f"{out} cannot be written ({error.strerror}); give another -o") from error
        return run

    @property
    def folder(self) -> Path:
        return self.out / ASIDE / self.name

    def end(self) -> None:
        """Removes the folder, with the parts of whoever still works for this run."""
        discard(self.folder)

    def deaths(self, task: Task) -> int:
        """How many processes of this run have begun the task and come to no end with it."""
        return len(self._tries(task))

    def begin(self, task: Task) -> Path:
        """A folder for one try, with an empty one for its files; what dead processes wrote is removed, their number is kept."""
        tries = self._tries(task)
        for left in tries:
            _bury(left)
        number = len(tries)
        while True:
            part = self.folder / f"{_short(task)}-{number}"
            try:
                part.mkdir()
                (part / BEGUN).touch()
                (part / FILES).mkdir()
                return part
            except FileExistsError:  # a worker that was taken for dead goes on with it
                number += 1

    def _tries(self, task: Task) -> list[Path]:
        return [path for path in self.folder.glob(f"{_short(task)}-*") if path.suffix != ".gone"]


def _bury(left: Path) -> None:
    """Empties what a dead process has left under a name that says so; if it lives after all, it cannot go on."""
    dead = left if left.suffix == ".dead" else left.with_name(left.name + ".dead")
    with suppress(OSError):
        left.rename(dead)
        for inside in dead.iterdir():
            shutil.rmtree(inside) if inside.is_dir() else inside.unlink()


def _short(task: Task) -> str:
    return hashlib.sha256(task.name.encode()).hexdigest()[:24]


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9_]", "_", socket.gethostname())


def _is_dead(left: Path) -> bool:
    """Whether the process that ran in this folder is gone, as far as this host can tell."""
    named = re.fullmatch(r"(?P<host>\w+)-(?P<pid>\d+)-[0-9a-f]{8}(\..*)?", left.name)
    if named is None:
        return False
    here = named["host"] == _host() and os.name != "nt"  # where signal 0 would end the process
    if here and _is_alive(int(named["pid"])):
        return False
    with suppress(OSError):
        newest = max(path.lstat().st_mtime for path in (left, *left.rglob("*")))
        return time.time() - newest > (HERE_OLD if here else ELSEWHERE_OLD)
    return False  # it is just being removed


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # of another user
        return True
    return True


def make(task: Task, work: Work, run: Run, *, device: str, threads: int, tell: Callable[[str], None]) -> str | None:
    """Makes the folder of a task whole, if it is not.

    Args:
        threads: for torch and for the linear algebra of numpy, so that sums are added up in one order everywhere.
        tell: hears of a task that is tried again because a process died on it.

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
                    "if memory is short, run fewer workers, then --retry-failed tries it again")
        if deaths > 0:
            tell(f"{task.name}: a worker died on it; try {deaths + 1} of {DEATHS}")
        part = run.begin(task)
        with limited_to(threads):
            work(task, part / FILES, device)
        _seal(part / FILES, task)
        if not (part / BEGUN).exists():  # the work has made the folder anew; what it wrote before is not in it
            raise FileNotFoundError(errno.ENOENT, "its folder was removed while it was written", str(target))
        _publish(part / FILES, run, task)
    except Exception as error:  # of any kind: the other tasks go on
        return _why(error, task, part, target)
    finally:
        if part is not None:
            discard(part)
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


def _seal(folder: Path, task: Task) -> None:
    if (folder / RECORD).exists():
        raise ValueError(f"the work may not write {RECORD}, which is the engine's")
    files = {
        path.relative_to(folder).as_posix(): (path.stat().st_size, _sha256(path)) for path in folder.rglob("*") if path.is_file()
    }
    (folder / RECORD).write_text(json.dumps({"key": task.key, "files": files}, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _publish(folder: Path, run: Run, task: Task) -> None:
    """Gives the folder its name; of two that were made at once the first one stays."""
    target = folder_of(run.out, task)
    target.parent.mkdir(parents=True, exist_ok=True)
    for _ in range(8):  # other runs may put theirs there between any two lines
        try:
            folder.rename(target)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
        if is_whole(run.out, task):
            return
        with suppress(FileNotFoundError):
            old = run.folder / f"old-{uuid.uuid4().hex}.gone"
            target.rename(old)
            shutil.rmtree(old, ignore_errors=True)
    raise FileExistsError(errno.EEXIST, "another run keeps writing it with another config", str(target))


def _why(error: Exception, task: Task, part: Path | None, target: Path) -> str:
    """One sentence; files made aside are called by the names they would have had."""
    room = no_room(error)
    if isinstance(error, InputError):
        text = str(error)
    elif room is not None:
        text = f"{target} cannot be written: {room}; make room and run again with --retry-failed"
    else:
        text = f"{task.name}: {type(error).__name__}: {error}"
    if part is not None:
        text = text.replace(str(part / FILES), str(target))
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."
