"""Images from nothing to files."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..conditions import UNPLACED
from ..errors import InputError
from ..files import digest_of
from ..io.images import FileImages, encode_images, kind_of, suffix_of
from ..jobs import made_with
from ..settings import plain
from .generate import generated
from .job import ImageJob
from .plan import GeneratePlan, window_of
from .records import GENERATED, check_output, is_done, publish_at_once

FORMATS = ("picture", "tiff", "npy")


class GenerateJob(ImageJob[GeneratePlan]):
    """What to generate; see `PriorJob`."""


def check_generated(out: Path, plan: GeneratePlan) -> None:
    """Refuses a name for images that cannot be written so.

    Raises:
        InputError: what can.
    """
    kind = kind_of(out)
    if kind not in FORMATS or suffix_of(out) in (".jpg", ".jpeg"):
        raise InputError(f"{out}: generated images are written as .png, .tif or .npy; name the output so")
    if kind == "picture" and plan.samples > 1:
        raise InputError(
            f"{out} is one picture, and {plan.samples} samples are asked for; name the output .tif or .npy"
        )


def generate_file(out: Path, job: GenerateJob) -> bool:
    """Images from the prior alone to one file, with a record beside.

    Returns:
        False when the output was complete already.

    Raises:
        InputError: anything that is wrong with the plan or the output.
    """
    plan = job.plan
    check_generated(out, plan)
    key = digest_of([plain(plan) | {"prior": ""} | UNPLACED, job.prior_key()])
    if job.writing.resume and is_done(out, key, None):
        job.say(f"{out} is complete already")
        return False
    check_output(out, out.with_name(".none"), job.writing)
    window = window_of(plan, job.prior, (plan.height, plan.width))
    seen = "at once" if window is None else f"in windows of {window[1]} x {window[0]}"
    job.say(
        f"{plan.samples} of {plan.width} x {plan.height} {seen}; prior {job.prior_name}, {type(plan.sampler).__name__}, "
        f"{plan.steps} steps, on {job.machine.place}"
    )
    images = generated(job.prior, plan, device=job.machine.place)
    values, like = _as_stored(images, out)
    data, _ = encode_images(out, values, like)
    publish_at_once(out, {out.name: data}, _generated_record(job, key), job.writing)
    job.say(f"{out}")
    return True


def _as_stored(images: torch.Tensor, out: Path) -> tuple[np.ndarray, FileImages]:
    """The images as the file takes them: 8 bits, but complex or in [0, 1] in a .npy."""
    if kind_of(out) == "npy":
        return images.resolve_conj().numpy(), FileImages(str(out), "npy", images.numpy(), np.dtype(np.float32))
    values = 255 * (images.abs() if images.is_complex() else images).clamp(0, 1).numpy()
    return values, FileImages(str(out), "npy", values, np.dtype(np.uint8))


def _generated_record(job: GenerateJob, key: str) -> dict[str, Any]:
    """How the output was made; holds no time of day."""
    plan, names = job.plan, job.writing
    levels = [level for level in plan.levels(job.prior) if math.isfinite(level)]
    return {
        "made": GENERATED,
        **made_with(job.machine.place),
        "config": plain(plan) | {"prior": job.recorded_prior(names)} | plan.named(names),
        "key": key,
        "prior_sha256": job.prior_hash,
        "method": repr(plan.sampler),
        "levels": levels,
        "seeds": list(range(plan.seed, plan.seed + plan.samples)),
    }
