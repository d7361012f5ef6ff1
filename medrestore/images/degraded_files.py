"""Clean images from files to degraded ones, with a record that says how, so that they can be restored."""

from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..files import digest, digest_of
from ..io.images import FileImages, check_written, encode_images, kind_of, npy_bytes, open_images
from ..io.scenes.writer import encode_png
from ..settings import plain
from .degrading import degraded
from .files import Say, check_placeless, each
from .noise import is_phaseless
from .operators import DegradationFiles, grain, read_mask
from .plan import DegradePlan, Reading, Writing
from .records import DEGRADED, check_output, is_done, pairs, publish_at_once
from .steps import Hide, Kernel


def degrade_file(
    source: Path, out: Path, plan: DegradePlan, *, reading: Reading, writing: Writing, say: Say
) -> bool:
    """One file of clean images to one of degraded ones.

    Masks and kernels are copied beside, so that the record is enough to restore the images.

    Returns:
        False when the output was complete already.

    Raises:
        InputError: anything that is wrong with the file or the plan, in one sentence; nothing is written then.
    """
    given, done = digest(source), plan.degradation
    contents = done.with_files({file: digest(file) for file in done.files})
    key = digest_of([plain(plan) | {"degradation": plain(contents)}, version("medrestore"), given])
    if writing.resume and is_done(out, key, writing.name_of(source)):
        say(f"{out} is complete already")
        return False
    check_output(out, source, writing)
    images = open_images(source, axis=plan.axis, max_gb=reading.max_gb)
    if is_phaseless(done.steps):
        check_placeless(out, kind_of(out))
        images = replace(images, dtype=np.dtype(np.float32))  # moduli of whole numbers are none
    files = DegradationFiles.read(done)
    y = degraded(torch.from_numpy(images.values), plan, files=files)
    check_written(out, images, y.shape[1])
    beside, names = _copies_of_files(out, plan, files)
    data, outside = encode_images(
        out,
        y.resolve_conj().numpy(),
        images,
        factor=float(grain(done.steps)),
        patient=writing.keep_patient,
        key=key,
    )
    record = _degraded_record(images, plan, names, writing, key, given)
    publish_at_once(out, {out.name: data, **beside}, record, writing)
    for line in _report(images, plan, y.shape, outside / y.numel(), out):
        say(line)
    return True


def degrade_folder(
    source: Path, out: Path, plan: DegradePlan, *, reading: Reading, writing: Writing, say: Say
) -> dict[str, str]:
    """Every image of a folder; returns those that failed, name to sentence.

    Raises:
        InputError: no images, or outputs that exist and may neither be replaced nor resumed; before any work.
    """
    return each(
        pairs(source, out),
        writing,
        say,
        lambda path, target: degrade_file(path, target, plan, reading=reading, writing=writing, say=say),
    )


def _copies_of_files(out: Path, plan: DegradePlan, files: DegradationFiles) -> tuple[dict[str, bytes], dict[str, str]]:
    """Copies of masks and kernels by name, and the names of the copies by those of the files."""
    contents: dict[str, bytes] = {}
    names: dict[str, str] = {}
    for step in plan.degradation.steps:
        if not isinstance(step, Hide | Kernel) or step.file in names:
            continue
        number = f".{len(names)}" if names else ""
        if isinstance(step, Hide):
            known = read_mask(step).numpy() > 0
            names[step.file] = f"{out.name}.mask{number}.png"
            contents[names[step.file]] = encode_png(
                np.where(known == (step.means == "keep"), 255, 0).astype(np.uint8)
            )
        else:
            names[step.file] = f"{out.name}.kernel{number}.npy"
            contents[names[step.file]] = npy_bytes(files.kernels[step.file].numpy())
    return contents, names


def _degraded_record(
    images: FileImages, plan: DegradePlan, names: dict[str, str], writing: Writing, key: str, given: str
) -> dict[str, Any]:
    """How an output was made; holds no time of day, so that a rerun gives the same bytes."""
    done = plan.degradation.with_files(names)
    return {
        "made": DEGRADED,
        "medrestore": version("medrestore"),
        "config": plain(plan) | {"degradation": plain(done)},
        "key": key,
        "operator": [plain(step) for step in done.steps],
        "seed": plan.seed,
        "noise_std": plan.noise_std,
        "input": {
            "name": writing.name_of(images.where),
            "fingerprint": given,
            "size": list(images.values.shape),
        },
    }


def _report(images: FileImages, plan: DegradePlan, shape: torch.Size, outside: float, out: Path) -> list[str]:
    count, _, height, width = images.values.shape
    lines = [
        *images.notes,
        f"{Path(images.where).name}: {'1 image' if count == 1 else f'{count} slices'} of {width} x {height} to "
        f"{shape[-1]} x {shape[-2]}, {plan.degradation.name or 'noise alone'}, noise {plan.noise_std:g}; {out}",
    ]
    if outside > 0:
        lines.append(
            f"note: {outside:.2%} of the values lay outside the range of the file and were cut, so the noise is not white "
            "there; .npy, float .tif and NIfTI keep them"
        )
    return lines
