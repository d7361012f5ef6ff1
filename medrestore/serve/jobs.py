"""The jobs of a run of the server: one at a time, in a private folder that goes with it."""

import os
import queue
import shutil
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from ..errors import InputError
from ..files import is_running
from ..tasks import ProcessDied, over
from ..tasks.processes import AllStopped
from .entry import Entry
from .views import View
from .words import without_paths
from .work import KINDS, Work, perform

PREFIX = "medrestore-serve-"
MOST_LINES = 200  # of a job; the last ones are kept
PATIENCE = 10.0  # seconds for the job in hand to stop at the end


class Wording(Protocol):
    """How people are told of fields and options."""

    def sentence(self, kind: str, error: InputError) -> str:
        """What a command of that name would say of an error."""

    def line(self, kind: str, text: str) -> str:
        """What a command of that name would say."""


class Jobs:
    """Takes jobs, does one after the other in a process of its own, and keeps their results until it is closed.

    Args:
        wording: of what is said.
        device: where to compute; None for the one that is there.
        keep: jobs at most; the oldest that has ended makes room for a new one.
        folder: that the private folder is made in; None for the system's.
    """

    def __init__(self, wording: Wording, *, device: str | None = None, keep: int = 10, folder: Path | None = None) -> None:
        self.wording, self.device, self.keep = wording, device, keep
        _sweep(Path(tempfile.gettempdir()) if folder is None else folder)
        self.folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=folder)).resolve()  # of mode 0700
        self._entries: dict[str, Entry] = {}
        self._lock, self._queue = threading.Lock(), queue.SimpleQueue[Entry | None]()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def create(self, kind: str) -> Entry:
        """A new job without files.

        Raises:
            InputError: no such kind, or all that are kept are waiting or at work.
        """
        if kind not in KINDS:
            raise InputError(f"there is no job {kind!r}; there are: {', '.join(KINDS)}")
        entry = Entry(kind, self.folder)
        entry.folder = self.folder / entry.id
        with self._lock:
            old = [one.id for one in self._entries.values() if one.ended or one.state == "new"]
            if len(self._entries) >= self.keep and not old:
                raise InputError(f"{self.keep} jobs are waiting; cancel one of them, or wait until one is done")
            gone = self._entries.pop(old[0]) if len(self._entries) >= self.keep else None
            self._entries[entry.id] = entry
        if gone is not None:
            shutil.rmtree(gone.folder, ignore_errors=True)
        entry.folder.mkdir(mode=0o700)
        return entry

    def get(self, name: str) -> Entry | None:
        """A job by its id."""
        return self._entries.get(name)

    def start(self, entry: Entry, plan: Any) -> None:
        """Has a job wait for its turn."""
        with entry.lock:
            if entry.state != "new":
                raise InputError("this job was started already; begin another one")
            entry.state, entry.plan = "waiting", plan
        self._queue.put(entry)

    def cancel(self, entry: Entry) -> None:
        """Asks a job to stop; what it has done is dropped."""
        entry.cancel.set()
        with entry.lock:
            if entry.state in ("new", "waiting"):
                entry.state = "cancelled"

    def remove(self, entry: Entry) -> None:
        """Cancels a job, and removes its files once it has stopped."""
        self.cancel(entry)
        with self._lock:
            self._entries.pop(entry.id, None)
        if entry.ended:
            shutil.rmtree(entry.folder, ignore_errors=True)

    def close(self) -> None:
        """Stops what is at work and removes every file."""
        for entry in list(self._entries.values()):
            self.cancel(entry)
        self._queue.put(None)
        self._thread.join(PATIENCE)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _work(self) -> None:
        while (entry := self._queue.get()) is not None:
            with entry.lock:
                if entry.state != "waiting":
                    continue
                entry.state = "running"
            error = self._done(entry)
            with entry.lock:
                entry.state = "cancelled" if entry.cancel.is_set() else "done" if error is None else "failed"
                entry.error = error if entry.state == "failed" else None
            if entry.state != "done" or entry.id not in self._entries:
                shutil.rmtree(entry.folder, ignore_errors=True)

    def _done(self, entry: Entry) -> str | None:
        """Does a job; the sentence on why it failed, if it did."""
        failed: list[Exception] = []

        def ended(work: Work, error: Exception | None) -> Sequence[Work]:
            failed.extend([] if error is None else [error])
            return []

        work = Work(entry.kind, entry.folder, entry.plan, dict(entry.inputs), self.device)
        try:
            over([work], perform, workers=1, heard=lambda work, message: self._heard(entry, message), ended=ended,
                 stopped=entry.cancel.is_set)
        except AllStopped:
            return None
        except InputError as error:
            failed.append(error)
        return self._sentence(entry, failed[0]) if failed else None

    def _heard(self, entry: Entry, message: tuple[Any, ...]) -> None:
        kind, *rest = message
        with entry.lock:
            progress = entry.progress
            if kind == "line":
                entry.lines = [*entry.lines, without_paths(self.wording.line(entry.kind, rest[0]))][-MOST_LINES:]
            elif kind == "bar":
                progress.number, progress.label, progress.total = rest[0], without_paths(rest[1]), rest[2]
                progress.done, progress.began = 0, None
            elif kind == "step" and rest[0] == progress.number:
                progress.step()
            elif kind == "views":
                views: list[View] = rest[0]
                entry.views += views

    def _sentence(self, entry: Entry, error: Exception) -> str:
        """What is said of a failure; the same as on the command line, but for paths."""
        if isinstance(error, InputError):
            return without_paths(" ".join(self.wording.sentence(entry.kind, error).split()))
        if isinstance(error, ProcessDied):
            return f"{error} on this file; see whether memory is short"
        return f"{without_paths(str(error))}; this is a mistake of the program, not of your file"


def _sweep(folder: Path) -> None:
    """Removes the private folders of servers of this user that were killed."""
    for place in folder.glob(f"{PREFIX}*-*"):
        number = place.name.removeprefix(PREFIX).partition("-")[0]
        with suppress(OSError):
            if number.isdecimal() and _is_ours(place) and not is_running(int(number)):
                shutil.rmtree(place, ignore_errors=True)


def _is_ours(place: Path) -> bool:
    owner: Callable[[], int] | None = vars(os).get("getuid")  # not on Windows, where a folder of temporary files is the user's
    return place.is_dir() and not place.is_symlink() and (owner is None or place.stat().st_uid == owner())
