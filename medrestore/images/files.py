"""Degraded images from files to files: outputs published atomically, stopped runs resumed slice by slice, a record of each."""

import io
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InputError
from ..files import Busy, Stage, digest, digest_of, final_names, write_file
from ..io.images import Images, check_written, encode, open_images, spread_name, suffix_of
from ..io.npz import read_npz
from ..jobs import PriorJob
from ..metrics import psnr, ssim
from ..priors import Prior, load
from ..priors.store import shipped
from ..report.panel import Column, frames_panel, panel
from ..restoration import padded_size
from ..settings import FieldError, build, plain
from .degradation import Degradation
from .operators import Files
from .plan import Machine, Plan, Reading, Writing, window_of
from .records import RESTORED, check_output, degradation_of, is_done, named, pairs, preview_place, publish
from .restore import Measured, Restored, Setting, prepare, restore_slice

FORMAT = "images 1"  # of what a run that stopped leaves
Say = Callable[[str], None]


@dataclass(frozen=True)
class Job(PriorJob[Plan]):
    """What to do with each file; see `PriorJob`.

    Args:
        machine, reading, writing: what does not decide the image.
    """

    machine: Machine = field(default_factory=Machine)
    reading: Reading = field(default_factory=Reading)
    writing: Writing = field(default_factory=Writing)

    @classmethod
    def loaded(cls, plan: Plan, machine: Any) -> Prior:
        """The prior that the plan names, with its class."""
        return load(plan.prior, device=machine.place, bf16=plan.bf16, compiled=machine.compiled, class_label=plan.class_label)

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
            raise InputError(f"{source} has no record of `degrade` beside it that says what was done to it; give the `task`, such "
                             "as denoise, sr, deblur, colorize, inpaint, cs or old-photo")
        return self

    @cached_property
    def config_hash(self) -> str:
        """sha256 of everything that decides an output but the image and the machine: plan, prior, masks and kernels."""
        done = self.plan.degradation
        contents = done.with_files({file: digest(file) for file in done.files})
        return digest_of([plain(replace(self.plan, prior="", degradation=contents)), self.prior_key()])

    def key(self, fingerprint: str) -> str:
        """sha256 of all that decides an output."""
        return digest_of([self.config_hash, fingerprint])


@dataclass(frozen=True)
class Recorded:
    """What `degrade` has recorded of a file."""

    degradation: Degradation
    noise_std: float

    @classmethod
    def of(cls, source: Path) -> "Recorded | None":
        """That of a file; None where there is none.

        Raises:
            InputError: it was altered.
        """
        record = degradation_of(source)
        config = record.get("config")
        if not isinstance(config, dict):
            return None
        try:
            done = build(Degradation, config.get("degradation"), f"{source}.json")
            noise = float(config["noise_std"])
        except (KeyError, TypeError, ValueError, FieldError) as error:
            raise InputError(f"{source}.json was altered or made by another version ({error}); give the `task` yourself") from error
        return cls(done.with_files({file: str(source.with_name(Path(file).name)) for file in done.files}), noise)


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
    numbers = _numbers(images, job.plan)
    measured = Measured(torch.from_numpy(images.values), images.step, images.is_bytes, str(source))
    setting = prepare(measured, job.plan, job.prior, prior_name=job.prior_name)
    check_written(out, images, setting.channels)
    reference = None if truth is None else _truth(truth, numbers, setting, job)
    for line in (*images.notes, *_summary(images, setting, numbers, job)):
        job.say(line)
    stage = Stage(out, key=f"{FORMAT} {key}", resume=job.writing.resume or not job.writing.overwrite)
    slices = Slices(stage.folder)
    try:
        if stage.resumed:
            job.say(f"{out.name}: goes on where an earlier run stopped")
        with final_names(stage.folder, out.parent):
            slices.restore(measured, setting, numbers, job)
            if digest(source) != given:
                raise InputError(f"{source} was changed while it was read; run again once it is complete")
            _write(stage, out, images, setting, slices, numbers, reference, job, key, given)
    except BaseException:
        if slices.count:
            job.say(f"{out.name}: {slices.count} of {len(numbers)} slices are stored; the same command goes on from there")
        (stage.leave if slices.count else stage.remove)()
        raise
    stage.remove()
    job.say(f"{out}  {preview_place(out).name}")
    return True


def restore_folder(source: Path, out: Path, job: Job) -> dict[str, str]:
    """Every image of a folder; returns those that failed, name to sentence.

    Raises:
        InputError: no images, or outputs that exist and may neither be replaced nor resumed; before any work.
    """
    return each(pairs(source, out), job.writing, job.say, lambda path, target: restore_file(path, target, job))


def each(found: Sequence[tuple[Path, Path]], writing: Writing, say: Say, work: Callable[[Path, Path], object]) -> dict[str, str]:
    """Does one file after the other; those that fail do not keep the others from being done."""
    if not (writing.overwrite or writing.resume):
        for path, target in found:
            check_output(target, path, writing)
    failed: dict[str, str] = {}
    for path, target in found:
        try:
            work(path, target)
        except Busy as busy:
            say(f"left alone: {busy}")
        except InputError as error:
            failed[path.name] = str(error)
            say(f"failed: {path.name}: {error}")
    return failed


def _numbers(images: Images, plan: Plan) -> list[int]:
    """The slices that are restored."""
    count = len(images.values)
    first, last = (0, count) if plan.slices is None else plan.slices
    if not 0 <= first < last <= count:
        raise InputError(f"{images.where} has slices 0 to {count - 1}, and `slices` {first}:{last} asks for others")
    return list(range(first, last))


@dataclass(frozen=True)
class Slices:
    """The restored slices of a file in a folder, each a file that is there in full or not at all."""

    folder: Path

    @property
    def count(self) -> int:
        """How many are stored."""
        return len(list(self.folder.glob("*.npz")))

    def restore(self, measured: Measured, setting: Setting, numbers: Sequence[int], job: Job) -> None:
        """Restores those that are missing."""
        advance = job.progress(Path(measured.name).name, len(numbers))
        for number in numbers:
            if self.load(number) is None:
                self.save(number, restore_slice(setting, measured.y[number : number + 1], number, job.prior, job.plan,
                                                device=job.machine.place))
            advance()

    def _place(self, number: int) -> Path:
        return self.folder / f"{number:06d}.npz"

    def save(self, number: int, restored: Restored) -> None:
        """Stores a slice."""
        buffer = io.BytesIO()
        simple = {} if restored.simple is None else {"simple": restored.simple.resolve_conj().numpy()}
        np.savez(buffer, samples=restored.samples.resolve_conj().numpy(), misfit=np.array([restored.misfit]), **simple)
        write_file(self._place(number), buffer.getvalue())

    def load(self, number: int) -> Restored | None:
        """A slice; None where there is none, or a damaged one."""
        place = self._place(number)
        try:
            samples, misfit = (torch.from_numpy(read_npz(place, name)) for name in ("samples", "misfit"))
        except InputError:
            return None
        try:
            simple = torch.from_numpy(read_npz(place, "simple"))
        except InputError:
            simple = None
        return Restored(samples, simple, float(misfit))

    def read(self, number: int) -> Restored:
        """A slice that has been stored.

        Raises:
            InputError: it was removed or damaged since.
        """
        restored = self.load(number)
        if restored is None:
            raise InputError(f"slice {number} was removed or damaged while the others were made; run again")
        return restored


def _write(stage: Stage, out: Path, images: Images, setting: Setting, slices: Slices, numbers: Sequence[int],
           reference: Tensor | None, job: Job, key: str, given: str) -> None:
    """Makes the files of an output and publishes them."""
    done = [slices.read(number) for number in numbers]
    mean = torch.stack([one.mean for one in done])
    factor = images.values.shape[-1] / setting.size[1]
    options: dict[str, Any] = dict(factor=factor, first=numbers[0], patient=job.writing.keep_patient, key=key)
    data, outside = encode(out, mean.numpy(), images, **options)
    contents = {out.name: data}
    if outside:
        job.say(f"{out.name}: {outside / mean.numel():.2%} of the values lay outside the range of the file and were cut; "
                ".npy and float .tif keep them")
    if job.plan.samples > 1:
        name = spread_name(out, images)
        contents[name], _ = encode(out.with_name(name), torch.stack([one.std for one in done]).abs().numpy(), images, **options)
    if job.plan.keep_samples:
        buffer = io.BytesIO()
        np.save(buffer, torch.stack([one.samples for one in done], 1).squeeze(2).squeeze(1).numpy())
        contents[f"{out.name.removesuffix(suffix_of(out))}.samples.npy"] = buffer.getvalue()
    scores = {} if reference is None else _scores(done, mean, reference, setting, torch.from_numpy(images.values[numbers]))
    middle = len(numbers) // 2
    shown = preview_place(out).name
    _preview(stage.new / shown, torch.from_numpy(images.values[numbers[middle]]), done[middle], setting,
             None if reference is None else reference[middle], title="" if job.writing.anonymous else Path(images.where).name)
    record = _record(images, setting, numbers, done, scores, job, key, given)
    publish(stage, out, contents, record, written=(shown,))
    for line in _report(done, setting, scores):
        job.say(line)


def _record(images: Images, setting: Setting, numbers: Sequence[int], done: Sequence[Restored], scores: Mapping[str, Any], job: Job,
            key: str, given: str) -> dict[str, Any]:
    """How an output was made; holds no time of day, so that a rerun gives the same bytes."""
    plan, names = job.plan, job.writing
    prior = plan.prior if job.about and plan.prior in shipped() else names.name_of(plan.prior)
    return {
        "made": RESTORED, "medrestore": version("medrestore"), "torch": torch.__version__, "device": job.machine.place,
        "config": plain(replace(plan, prior=prior, degradation=named(plan.degradation, names))), "key": key,
        "input": {"name": names.name_of(images.where), "fingerprint": given, "size": list(images.values.shape)},
        "prior_sha256": job.prior_hash, "method": repr(plan.sampler), "levels": plan.levels(job.prior),
        "noise_std": setting.sigma, "noise_source": setting.noise_source, "interval": list(setting.interval),
        "slices": list(numbers), "misfit": [one.misfit if math.isfinite(one.misfit) else None for one in done], "scores": scores,
        "notes": [note for note in (setting.coordinates.note,) if note],
    }


def _truth(path: Path, numbers: Sequence[int], setting: Setting, job: Job) -> Tensor:
    """(slice, channel, height, width) clean images, without the last rows and columns where `degrade` has left these out."""
    images = open_images(path, axis=job.plan.axis, max_gb=job.reading.max_gb)
    height, width = setting.size
    count, channels, rows, columns = images.values.shape
    if count <= max(numbers) or channels != setting.channels or rows < height or columns < width:
        raise InputError(f"{path} holds {count} images of {rows} x {columns} pixels in {channels} channels, and {len(numbers)} of "
                         f"{height} x {width} in {setting.channels} are restored; give their clean images")
    return torch.from_numpy(images.values[numbers][..., :height, :width])


def _scores(done: Sequence[Restored], mean: Tensor, reference: Tensor, setting: Setting, given: Tensor) -> dict[str, dict[str, float]]:
    """PSNR and SSIM against the truth, the peak of which is the range: of the images without a prior and the restored ones."""
    shown = {"restored": mean}
    if all(one.simple is not None for one in done):
        shown = {"without a prior": torch.stack([one.simple for one in done if one.simple is not None]), **shown}
    if given.shape[-2:] != setting.size and not given.is_complex() and given.shape[1] == setting.channels:
        shown = {"bicubic": F.interpolate(given, setting.size, mode="bicubic", align_corners=False), **shown}
    peak, found = float(reference.abs().max()), {}
    for name, image in shown.items():
        a, b = (one.abs().flatten(0, 1) if one.is_complex() else one.flatten(0, 1) for one in (image, reference))
        value = psnr(a, b, data_range=peak)
        found[name] = {"psnr": value if math.isfinite(value) else 999.0, "ssim": ssim(a, b, data_range=peak)}
    return found


def _summary(images: Images, setting: Setting, numbers: Sequence[int], job: Job) -> Iterator[str]:
    """The lines before the work."""
    plan, (height, width) = job.plan, setting.size
    name, size = Path(images.where).name, f"{width} x {height}"
    before = "" if images.values.shape[-2:] == setting.size else f"{images.values.shape[-1]} x {images.values.shape[-2]} to "
    many = "1 image" if len(images.values) == 1 else f"{len(numbers)} of {len(images.values)} slices"
    minutes = _minutes(setting, numbers, job)
    yield (f"{name}: {many}, {before}{size}, {setting.degradation.name}; noise {setting.sigma:.3g} ({setting.noise_source}); "
           f"prior {job.prior_name}, {type(plan.sampler).__name__}, {plan.steps} steps, "
           f"{plan.samples} {'sample' if plan.samples == 1 else 'samples'}, on {job.machine.place}, "
           + ("under a minute" if minutes < 1 else f"about {minutes:.0f} min"))
    if setting.coordinates.note:
        yield f"note: {setting.coordinates.note}"
    if setting.degradation.task == "colorize" and images.values.shape[1] == 1 and setting.channels == 1:
        yield f"note: {job.prior_name} is of grey images, so no colour is made; give a prior of colours"


def _minutes(setting: Setting, numbers: Sequence[int], job: Job) -> float:
    """How long it takes, by one call of the network."""
    plan, prior = job.plan, job.prior
    window = window_of(plan, prior, setting.size)
    windows, side = 1, padded_size(prior, setting.size)
    if window is not None:
        side = window
        windows = math.prod(max(1, -(-2 * n // w) - 1) for n, w in zip(setting.size, window, strict=True))
    x = torch.zeros(1, prior.channels, *side, device=job.machine.place)
    with torch.no_grad():
        if job.machine.place != "cpu":  # whose first call loads its kernels
            prior(x, 1.0)
        started = time.monotonic()
        prior(x, 1.0).sum().item()  # waits for the device
    calls = (len(plan.levels(prior)) - 1) * windows * plan.samples * len(numbers)
    return (time.monotonic() - started) * calls * (setting.channels // setting.coordinates.channels) / 60


def _report(done: Sequence[Restored], setting: Setting, scores: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    """The lines after the work."""
    misfit = sum(one.misfit for one in done) / len(done)
    yield (f"data misfit {misfit:.2f} (1 = the data are explained to their noise)" if setting.sigma > 0
           else f"data misfit {misfit:.2g} of |data|")
    if scores:
        yield f"{'':16s} {'PSNR dB':>8s} {'SSIM':>7s}"
        for name, value in scores.items():
            yield f"{name:16s} {value['psnr']:8.2f} {value['ssim']:7.4f}"


def _preview(path: Path, given: Tensor, restored: Restored, setting: Setting, truth: Tensor | None, *, title: str) -> None:
    """A picture of what was given, the image without a prior, the restored one, its spread and the truth."""
    given = given.abs() if given.is_complex() else given
    shown = [("given", F.interpolate(given[None].float(), setting.size, mode="nearest")[0])]
    if restored.simple is not None and tuple(given.shape[-2:]) != setting.size:
        shown.append(("without a prior", restored.simple))
    shown.append(("restored", restored.mean))
    low, high = setting.interval
    if len(restored.samples) > 1:
        shown.append(("spread x 10", 10 * restored.std.abs() + low))
    shown += [] if truth is None else [("truth", truth)]
    scaled = [(name, ((image.abs() if image.is_complex() else image) - low) / (high - low)) for name, image in shown]
    if setting.channels == 1:
        panel([Column(name, image[0], 1.0) for name, image in scaled], path, title=title)
        return
    frames = [(name, (255 * image).round().clamp(0, 255).to(torch.uint8).expand(3, -1, -1)) for name, image in scaled]
    frames_panel([frames], path, title=title)
