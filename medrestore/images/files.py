"""Degraded images from files to files: outputs published atomically, stopped runs resumed slice by slice, a record of each."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..conditions import UNPLACED
from ..errors import InputError
from ..files import Stage, digest, digest_of, final_names, preview_place
from ..io.images import FileImages, check_written, encode_images, npy_bytes, open_images, spread_name, suffix_of
from ..jobs import chosen_slices, made_with
from ..settings import plain
from ..tasks import one_by_one
from .blind import kernel_calls, kernel_of, with_kernel
from .job import ImageJob
from .noise import is_phaseless
from .plan import Plan, Reading, Writing
from .records import RESTORED, Recorded, check_output, is_done, named, pairs, publish
from .reporting import evaluations, report, scored, summary, views, write_preview
from .restore import Measured, Restored, Setting, prepare
from .slices import Slices

FORMAT = "images 1"  # of what a run that stopped leaves
Say = Callable[[str], None]


@dataclass(frozen=True)
class Job(ImageJob[Plan]):
    """What to do with each file; see `PriorJob`.

    Args:
        machine, writing, reading: what does not decide the image.
    """

    reading: Reading = field(default_factory=Reading)

    def of(self, source: Path) -> "Job":
        """The job with what `degrade` has recorded of a file, where the plan does not say what was done to it.

        Raises:
            InputError: neither says it.
        """
        given = Recorded.of(source)
        plan = self.plan
        if given is not None and not plan.degradation.given:
            noise = given.noise_std if plan.noise_std is None else plan.noise_std
            return replace(self, plan=replace(plan, degradation=given.degradation, noise_std=noise))
        if not plan.degradation.given:
            raise InputError(
                f"{source} has no record of `degrade` beside it that says what was done to it; give the `task`, such "
                "as denoise, sr, deblur, colorize, inpaint, cs or old-photo"
            )
        return self

    @cached_property
    def config_hash(self) -> str:
        """sha256 of everything that decides an output but the image and the machine: plan, prior, masks and kernels."""
        done = self.plan.degradation
        contents = done.with_files({file: digest(file) for file in done.files})
        return digest_of([plain(replace(self.plan, prior="", degradation=contents, **UNPLACED)), self.prior_key()])

    def key(self, fingerprint: str) -> str:
        """sha256 of all that decides an output."""
        return digest_of([self.config_hash, fingerprint])


def settled_by_file(plan: Plan, first: Path, reading: Reading) -> Plan:
    """The plan with the prior that "auto" stands for.

    Args:
        first: the image that decides, by its channels.

    Raises:
        InputError: it cannot be read.
    """
    if plan.prior != "auto":
        return plan
    recorded = Recorded.of(first)
    done = plan.degradation if plan.degradation.given or recorded is None else recorded.degradation
    channels = open_images(first, axis=plan.axis, max_gb=reading.max_gb).values.shape[1]
    return plan.for_images(3 if done.task == "colorize" else channels)


def restore_file(source: Path, out: Path, job: Job, *, truth: Path | None = None) -> bool:
    """One file of degraded images to one of restored ones, with a picture to look at and a record beside.

    Args:
        truth: the clean images, to score against.

    Returns:
        False when the output was complete already.

    Raises:
        InputError: anything that is wrong with the file or the plan, in one sentence. No output is left then; slices that are
            done are stored in a hidden folder beside, and the next run takes those up whose data and plan are the same.
    """
    job = job.of(source)
    given = digest(source)
    key, told = job.key(given), job.writing.name_of(source)
    if job.writing.resume and is_done(out, key, told):
        job.say(f"{out} is complete already")
        return False
    check_output(out, source, job.writing)
    images = open_images(source, axis=job.plan.axis, max_gb=job.reading.max_gb)
    numbers = list(chosen_slices(job.plan.slices, len(images.values), images.where))
    if is_phaseless(job.plan.degradation.steps):
        check_placeless(source, images.kind)
    measured = Measured(torch.from_numpy(images.values), images.step, images.is_bytes, str(source))
    setting = prepare(measured, job.plan, job.prior, prior_name=job.prior_name)
    check_written(out, images, setting.channels)
    if kernel_calls(job.plan):
        watched = job.watched(f"{source.name}, kernel", kernel_calls(job.plan)).prior
        setting = with_kernel(setting, measured, job.plan, watched, device=job.machine.place)
    reference = None if truth is None else _truth(truth, numbers, setting, job)
    for line in (*images.notes, *summary(images, setting, numbers, job, job.machine.place)):
        job.say(line)
    stage = Stage(out, key=f"{FORMAT} {key}", resume=job.writing.resume or not job.writing.overwrite)
    slices = Slices(stage.folder)
    try:
        check_output(out, source, job.writing, beside=_further_images(out, images, job.plan))  # by the only run at it now
        if stage.resumed:
            job.say(f"{out.name}: goes on where an earlier run stopped")
        with final_names(stage.folder, out.parent):
            total = evaluations(setting, len(slices.missing(numbers)), job)
            prior = job.watched(source.name, total).prior
            slices.restore(measured, setting, numbers, prior, job.plan, device=job.machine.place)
            if digest(source) != given:
                raise InputError(f"{source} was changed while it was read; run again once it is complete")
            _write_output(stage, out, images, setting, slices, numbers, reference, job, key, given)
    except BaseException:
        if slices.count:
            job.say(
                f"{out.name}: {slices.count} of {len(numbers)} slices are stored; the same command goes on from there"
            )
        (stage.leave if slices.count else stage.remove)()
        raise
    stage.remove()
    job.say(f"{out}  {preview_place(out).name}")
    return True


def check_placeless(path: Path, kind: str) -> None:
    """Refuses a file of moduli whose kind says where its values lie in the patient."""
    if kind in ("nifti", "dicom"):
        raise InputError(f"{path}: moduli of a Fourier transform have no place in the patient, which a {kind} file states; name "
                         "it .npy, or .tif of float32")


def restore_folder(source: Path, out: Path, job: Job) -> dict[str, str]:
    """Every image of a folder; returns those that failed, name to sentence.

    Raises:
        InputError: no images, or outputs that exist and may neither be replaced nor resumed; before any work.
    """
    found = pairs(source, out)
    return each(
        found,
        job.writing,
        job.say,
        lambda path, target: restore_file(path, target, job),
        job.progress("images", len(found)),
    )


def each(
    found: Sequence[tuple[Path, Path]],
    writing: Writing,
    say: Say,
    work: Callable[[Path, Path], object],
    ended: Callable[[], None] = lambda: None,
) -> dict[str, str]:
    """Does one file after the other; those that fail do not keep the others from being done."""
    if not (writing.overwrite or writing.resume):
        for path, target in found:
            check_output(target, path, writing)
    items = {path.name: (path, target) for path, target in found}
    return dict(one_by_one(items, lambda item: work(*item), say, ended=ended))


def _write_output(
    stage: Stage,
    out: Path,
    images: FileImages,
    setting: Setting,
    slices: Slices,
    numbers: Sequence[int],
    reference: Tensor | None,
    job: Job,
    key: str,
    given: str,
) -> None:
    """Makes the files of an output and publishes them."""
    done = [slices.read(number) for number in numbers]
    if job.show is not None:
        for index, (number, one) in enumerate(zip(numbers, done, strict=True)):
            job.show(index, views(torch.from_numpy(images.values[number]), one, setting))
    mean = torch.stack([one.mean for one in done])
    factor = images.values.shape[-1] / setting.size[1]
    options: dict[str, Any] = dict(factor=factor, first=numbers[0], patient=job.writing.keep_patient, key=key)
    data, outside = encode_images(out, mean.numpy(), images, **options)
    contents = {out.name: data}
    if outside:
        job.say(
            f"{out.name}: {outside / mean.numel():.2%} of the values lay outside the range of the file and were cut; "
            ".npy and float .tif keep them"
        )
    if job.plan.samples > 1:
        name = spread_name(out, images)
        contents[name], _ = encode_images(
            out.with_name(name), torch.stack([one.std for one in done]).abs().numpy(), images, **options
        )
    if job.plan.keep_samples:
        contents[_samples_name(out)] = npy_bytes(torch.stack([one.samples for one in done], 1).squeeze(2).squeeze(1).numpy())
    kernel = kernel_of(setting)
    if kernel is not None:
        contents[_kernel_name(out)] = npy_bytes(kernel.numpy())
    scores = (
        {}
        if reference is None
        else scored(done, mean, reference, setting, torch.from_numpy(images.values[numbers]))
    )
    middle = len(numbers) // 2
    shown = preview_place(out).name
    write_preview(
        stage.new / shown,
        torch.from_numpy(images.values[numbers[middle]]),
        done[middle],
        setting,
        None if reference is None else reference[middle],
        title="" if job.writing.anonymous else Path(images.where).name,
    )
    record = _restored_record(images, setting, numbers, done, scores, job, key, given)
    publish(stage, out, contents, record, job.writing, written=(shown,))
    for line in report(done, setting, scores):
        job.say(line)


def _further_images(out: Path, images: FileImages, plan: Plan) -> list[str]:
    """The names of further images beside an output."""
    spread = [spread_name(out, images)] if plan.samples > 1 else []
    if kernel_calls(plan):
        spread.append(_kernel_name(out))
    return spread + ([_samples_name(out)] if plan.keep_samples else [])


def _kernel_name(out: Path) -> str:
    return f"{out.name.removesuffix(suffix_of(out))}.kernel.npy"


def _samples_name(out: Path) -> str:
    return f"{out.name.removesuffix(suffix_of(out))}.samples.npy"


def _restored_record(
    images: FileImages,
    setting: Setting,
    numbers: Sequence[int],
    done: Sequence[Restored],
    scores: Mapping[str, Any],
    job: Job,
    key: str,
    given: str,
) -> dict[str, Any]:
    """How an output was made; holds no time of day, so that a rerun gives the same bytes."""
    plan, names = job.plan, job.writing
    return {
        "made": RESTORED,
        **made_with(job.machine.place),
        "config": plain(replace(plan, prior=job.recorded_prior(names), degradation=named(plan.degradation, names),
                                **plan.named(names))),
        "key": key,
        "input": {
            "name": names.name_of(images.where),
            "fingerprint": given,
            "size": list(images.values.shape),
        },
        "prior_sha256": job.prior_hash,
        "method": repr(plan.sampler),
        "levels": plan.levels(job.prior),
        "noise_std": setting.sigma,
        "noise_source": setting.noise_source,
        "interval": list(setting.interval),
        "slices": list(numbers),
        "misfit": [one.misfit if math.isfinite(one.misfit) else None for one in done],
        "scores": scores,
        "notes": setting.notes,
    }


def _truth(path: Path, numbers: Sequence[int], setting: Setting, job: Job) -> Tensor:
    """(slice, channel, height, width) clean images, without the last rows and columns where `degrade` has left these out."""
    images = open_images(path, axis=job.plan.axis, max_gb=job.reading.max_gb)
    height, width = setting.size
    count, channels, rows, columns = images.values.shape
    if count <= max(numbers) or channels != setting.channels or rows < height or columns < width:
        raise InputError(
            f"{path} holds {count} images of {rows} x {columns} pixels in {channels} channels, and {len(numbers)} of "
            f"{height} x {width} in {setting.channels} are restored; give their clean images"
        )
    return torch.from_numpy(images.values[numbers][..., :height, :width])
