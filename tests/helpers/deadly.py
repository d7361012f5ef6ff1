"""A folder of scans one of which ends the process that reads it."""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medrestore.metrics import Scores
from medrestore.recon import folder
from medrestore.recon.files import Job


@dataclass(frozen=True)
class Deadly(folder.Apart):
    """Dies by a signal on every scan called b, as libraries that read damaged files do."""

    def __call__(self, item: folder.Scans, worker: int, report: Callable[[tuple[Any, ...]], None]) -> None:
        real = folder.recon_file

        def recon_file(source: Path, out: Path, job: Job) -> dict[str, Scores]:
            if source.stem == "b":
                os.kill(os.getpid(), signal.SIGSEGV)
            return real(source, out, job)

        folder.recon_file = recon_file
        super().__call__(item, worker, report)
