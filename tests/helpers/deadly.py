"""Folders of scans and sets of scenes, one of which ends the process that reads it."""

import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from medrestore.inpainting import scenes
from medrestore.inpainting.job import Job as SceneJob
from medrestore.io.scenes.base import Scene
from medrestore.metrics import Scores
from medrestore.recon import folder
from medrestore.recon.files import Job
from medrestore.tasks import ItemBatch, Message


@dataclass(frozen=True)
class Deadly(folder.Apart):
    """Dies by a signal on every scan called b, as libraries that read damaged files do."""

    def __call__(self, batch: ItemBatch[folder.Pair], worker: int, send: Callable[[Message], None]) -> None:
        real = folder.recon_file

        def recon_file(source: Path, out: Path, job: Job) -> dict[str, Scores]:
            if source.stem == "b":
                os.kill(os.getpid(), signal.SIGSEGV)
            return real(source, out, job)

        folder.recon_file = recon_file
        super().__call__(batch, worker, send)


@dataclass(frozen=True)
class DeadlyScene(scenes.ScenesApart):
    """Dies by a signal on every scene whose output is called b."""

    def __call__(self, batch: ItemBatch[Path], worker: int, send: Callable[[Message], None]) -> None:
        real = scenes.inpaint_scene

        def inpaint_scene(opened: Callable[[], Scene], out: Path, job: SceneJob, *, source: Path,
                          mask: Path | None = None) -> bool:
            if out.name == "b":
                os.kill(os.getpid(), signal.SIGSEGV)
            return real(opened, out, job, source=source, mask=mask)

        scenes.inpaint_scene = inpaint_scene
        super().__call__(batch, worker, send)
