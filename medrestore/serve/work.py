"""One job in a process of its own: the functions that the commands call, in a folder of their own.

The process works in the folder of the job and knows its files by neutral names, so that what it says holds neither a path nor a
name that a user gave.
"""

import json
import os
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..allocator import is_out_of_memory
from ..errors import InputError
from ..tasks import Message, Reports
from .views import write_views

if TYPE_CHECKING:
    from torch import Tensor

RESULT, VIEWS, MAPS, ARCHIVE = "result", "views", "maps", "result.zip"


@dataclass(frozen=True)
class Work:
    """A job.

    Args:
        kind: recon, restore or inpaint.
        folder: of its own, where its inputs lie.
        plan: of that kind.
        inputs: role to file name; of recon scan, of restore image, of inpaint frame and mask.
        device: where to compute; None for the one that is there.
    """

    kind: str
    folder: Path
    plan: Any
    inputs: Mapping[str, str]
    device: str | None = None


def perform(work: Work, worker: int, send: Callable[[Message], None]) -> None:
    """Does a job; what it says, how far it is and what it shows are sent as messages, its files packed into one archive.

    Raises:
        InputError: whatever is wrong with the input, in one sentence, or the memory is too small.
    """
    os.chdir(work.folder)
    for name in (RESULT, VIEWS):
        Path(name).mkdir(mode=0o700)
    reports = Reports(send)

    def show(number: int, images: Mapping[str, "Tensor"]) -> None:
        send(("views", write_views(Path(VIEWS), number, images)))

    try:
        KINDS[work.kind](work, {"say": reports.say, "progress": reports.progress, "show": show})
    except Exception as error:
        if is_out_of_memory(error):
            raise InputError("the memory is too small for this; draw fewer samples in a batch (`batch_size` 1), or take a "
                             "smaller image") from error
        raise
    with zipfile.ZipFile(ARCHIVE, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(Path(RESULT).iterdir()):
            archive.write(path, path.name)


def _run_recon(work: Work, tell: Mapping[str, Any]) -> None:
    from ..io import read_provenance
    from ..recon.files import Job, recon_file
    from ..recon.plan import Machine, Writing

    machine = Machine(device=work.device, maps_cache=MAPS, check_fit=True)
    job = Job.load(work.plan, machine, writing=Writing(nifti=True), **tell)
    out = Path(RESULT, "reconstruction.h5")
    recon_file(_input_place(work, "scan"), out, job)
    text = json.dumps(read_provenance(out), sort_keys=True, indent=1) + "\n"
    out.with_name(f"{out.name}.json").write_text(text, "utf-8")


def _restore(work: Work, tell: Mapping[str, Any]) -> None:
    from ..images.files import Job, restore_file, settled_by_file
    from ..images.plan import Machine, Reading
    from ..io.images import suffix_of

    image = _input_place(work, "image")
    job = Job.load(settled_by_file(work.plan, image, Reading()), Machine(device=work.device), **tell)
    suffix = suffix_of(image)
    restore_file(image, Path(RESULT, f"restored{'.png' if suffix in ('.jpg', '.jpeg') else suffix}"), job)


def _inpaint(work: Work, tell: Mapping[str, Any]) -> None:
    from ..inpainting.files import inpaint_scene
    from ..inpainting.job import Job
    from ..inpainting.plan import Machine, Reading
    from ..inpainting.scenes import SceneSource

    source = SceneSource(_input_place(work, "frame"), _input_place(work, "mask"))
    with source.opened(work.plan, Reading()) as scenes:
        (name,) = scenes
        job = Job.load(work.plan, Machine(device=work.device), **tell)
        inpaint_scene(lambda: scenes[name], Path(RESULT, "restored.png"), job, source=source.frames, mask=source.mask)


KINDS: Mapping[str, Callable[[Work, Mapping[str, Any]], None]] = {"recon": _run_recon, "restore": _restore, "inpaint": _inpaint}


def _input_place(work: Work, role: str) -> Path:
    from .. import shipped

    return shipped.scan(work.inputs[role])
