"""One job as the page knows it: its files, how far it is, and what came of it."""

import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from .views import View
from .work import ARCHIVE, RESULT

State = Literal["new", "waiting", "running", "done", "failed", "cancelled"]
ENDED = ("done", "failed", "cancelled")


@dataclass
class Bar:
    """A bar, and the time that is left.

    Attributes:
        number: of the bar; a job has one after the other.
        label: what it is of.
        done, total: steps.
        began, last: when the first and the last step were done, by the monotonic clock.
    """

    label: str = ""
    number: int = 0
    done: int = 0
    total: int = 0
    began: float | None = None
    last: float = 0.0

    def step(self) -> None:
        """One more step is done."""
        self.done, self.last = self.done + 1, time.monotonic()
        if self.began is None:
            self.began = self.last

    @property
    def left(self) -> float | None:
        """Seconds, by the mean of the steps after the first; None before there is a second one."""
        if self.began is None or self.done < 2:
            return None
        return max(0.0, (self.last - self.began) / (self.done - 1) * (self.total - self.done))

    def plain(self) -> dict[str, Any]:
        """As JSON values."""
        return {"label": self.label, "done": self.done, "total": self.total, "left": self.left}


@dataclass
class Entry:
    """A job, from the first file to the result. Its thread and those of the server change it, so each holds `lock`.

    Attributes:
        kind: recon, restore or inpaint.
        folder: of its own.
        inputs: role to file name.
        state: see `State`.
        error: the sentence on what went wrong.
        lines: what it said.
        views: what can be looked at.
        cancel: whether it was asked to stop.
    """

    kind: str
    folder: Path
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    inputs: dict[str, str] = field(default_factory=dict)
    plan: Any = None
    state: State = "new"
    error: str | None = None
    lines: list[str] = field(default_factory=list)
    progress: Bar = field(default_factory=Bar)
    views: list[View] = field(default_factory=list)
    cancel: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in ENDED

    @property
    def archive(self) -> Path:
        """All files of the result in one."""
        return self.folder / ARCHIVE

    def results(self) -> Mapping[str, int]:
        """The files of the result, name to size in bytes."""
        if self.state != "done":
            return {}
        return {path.name: path.stat().st_size for path in sorted((self.folder / RESULT).iterdir())}

    def plain(self) -> dict[str, Any]:
        """As JSON values."""
        with self.lock:
            return {"id": self.id, "kind": self.kind, "state": self.state, "error": self.error, "lines": list(self.lines),
                    "progress": self.progress.plain(), "views": [asdict(view) for view in self.views],
                    "results": [{"name": name, "bytes": size} for name, size in self.results().items()]}
