"""Files of scans through `recon.preparation` and `recon.restoring`: whole outputs or none, resumed where they stopped."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..conditions import UNPLACED
from ..errors import InputError
from ..files import Stage, digest, digest_of, explained, final_names
from ..io import KSpaceFile, ReconstructionWriter, read_provenance, write_nifti
from ..io.guards import scan_files
from ..io.kspace.series import SeriesFile
from ..io.reconstruction import damaged
from ..jobs import PriorJob, about, chosen_slices, made_with, seconds_of
from ..metrics import Scores
from ..report import panel
from ..restoration import image_size, padded_size
from ..sampling import in_batches
from ..settings import FieldError, plain
from .checks import check_noise, check_plan, check_prior, complex_prior
from .interval import SHARE, interval_factor
from .opening import open_scan
from .plan import Machine, Plan, Reading, Writing
from .prepared import Prepared
from .records import Gathered, Records, columns, shown
from .settle import Settled
from .slices import images_of, slice_names, slices_at_once
from .volume import Volume

FORMAT = "slices 1"  # of what a run that stopped leaves

OVERFITTED, UNEXPLAINED = 0.85, 1.3  # misfits beyond these say that an image is wrong; good ones have 0.9 to 1.15


@dataclass(frozen=True)
class Job(PriorJob[Plan]):
    """What to do with each scan; see `PriorJob`.

    Args:
        machine, reading, writing: what does not decide the image.
    """

    machine: Machine = field(default_factory=Machine)
    reading: Reading = field(default_factory=Reading)
    writing: Writing = field(default_factory=Writing)

    @classmethod
    def check_described(cls, about: Mapping[str, Any], plan: Plan) -> None:
        """Refuses a prior that is not one of complex images."""
        check_prior(about["channels"], plan.prior, plan)
        if plan.reference_image is not None and not about.get("reference"):
            raise InputError(f"{plan.prior} takes no reference image; leave `reference_image` out, or give a `prior` that was "
                             "trained with conditions.reference")

    def __post_init__(self) -> None:
        object.__setattr__(self, "prior", complex_prior(self.prior, self.plan))

    @cached_property
    def maps_fingerprint(self) -> str | None:
        """`fingerprint` of the given coil maps."""
        return None if self.plan.maps is None else fingerprint(Path(self.plan.maps))

    @cached_property
    def trajectory_fingerprint(self) -> str | None:
        """`fingerprint` of the given trajectory."""
        return None if self.plan.trajectory is None else fingerprint(Path(self.plan.trajectory))

    @cached_property
    def reference_fingerprint(self) -> str | None:
        """sha256 of the given reference image."""
        return None if self.plan.reference_image is None else digest(Path(self.plan.reference_image))

    @cached_property
    def config_hash(self) -> str:
        """sha256 of everything that decides an output but the scan and the machine: plan, prior and maps, wherever these lie."""
        files = self.maps_fingerprint, self.trajectory_fingerprint, self.reference_fingerprint
        plan = replace(self.plan, prior="", maps=None, trajectory=None, reference_image=None, **UNPLACED)
        return digest_of([plain(plan), self.prior_key(), *files])

    @property
    def levels(self) -> list[float]:
        """The noise levels of each sample."""
        return self.plan.sampled_levels(self.prior)

    def calls(self, coils: int) -> int:
        """Network calls a slice of so many coils, on a batch of samples each."""
        return self.plan.sampler.calls(max(0, len(self.levels) - 1), coils) * -(-self.plan.samples // self.plan.batch_size)

    def outputs(self, out: Path) -> tuple[Path, ...]:
        """All that is written for the output `out`."""
        return out, out.with_suffix(".png"), *([out.with_suffix(".nii.gz")] if self.writing.nifti else [])


def fingerprint(path: Path) -> str:
    """sha256 of a scan or of coil maps; of header and data for a BART pair, by whichever of its three names."""
    return digest(*scan_files(path))


def recon_file(source: Path, out: Path, job: Job) -> dict[str, Scores]:
    """One scan to one HDF5 file and a picture beside it; returns the scores, empty without a reference.

    Raises:
        InputError: anything that is wrong with the scan or the plan. No output is left then; slices that are done are stored
            in a hidden folder beside, and the next run takes those up whose data and plan are the same.
    """
    _may_write(source, out, job)
    try:
        with _stage(out, job) as stage, open_scan(source, job.plan, job.reading) as (scan, maps):
            return _recon(scan, maps, source, stage, job)
    except FieldError:  # of the plan, not of the scan
        raise
    except InputError as error:
        message = str(error)
        known = (source, source.name, out, job.plan.maps, job.plan.trajectory, job.plan.reference_image)
        if any(str(path) in message for path in known if path is not None):
            raise
        raise InputError(f"{source}: {message}") from error


def _may_write(source: Path, out: Path, job: Job) -> None:
    """Refuses to replace the scan, and what may not be replaced."""
    for path in job.outputs(out):
        if path.exists():
            if source.exists() and path.samefile(source):
                raise InputError(f"{path} is the scan itself, which is never replaced; give another place")
            if not (job.writing.overwrite or (job.writing.resume and _provenance_of(out))):
                raise InputError(f"{path} exists{' and is no output of recon' if job.writing.resume else ''}; "
                                 "pass `overwrite` to replace it, or give another place")


def _recon(scan: KSpaceFile, maps: KSpaceFile | None, source: Path, stage: Stage, job: Job) -> dict[str, Scores]:
    chosen = chosen_slices(job.plan.slices, len(scan) // scan.frames, scan.path)
    volume = Volume(scan, maps, source.name, range(chosen.start * scan.frames, chosen.stop * scan.frames), job)
    prepared = volume.first()
    (ready,) = prepared.values()
    check_plan(ready, job.prior, job.plan)
    check_noise(ready, job.plan)
    count = slices_at_once(ready, job.plan, job.machine.place, len(volume.numbers), frames=scan.frames)
    job.say(_summary(scan, ready, job, len(volume.numbers), count))
    notes = [*dict.fromkeys((*scan.notes, *ready.notes))]
    for note in notes:
        job.say(f"note: {note}")
    volume = volume.settle(prepared)
    if volume.settled is not None and volume.settled.warning is not None:
        job.say(f"warning: {volume.settled.warning}")
        notes.append(volume.settled.warning)
    advance = job.progress(source.name, volume.passes * len(volume.numbers))
    provenance, mask = _provenance(source, ready, volume, notes), ready.sampling.mask.cpu()
    del ready
    records = Records(stage.folder)
    with _counted(records, stage.out, len(volume.numbers), job):
        keys, refused = volume.restore(prepared, count, records, advance)
        _check_complete(volume, refused, provenance, source, job)
        scores = _write(volume, records, keys, stage.new / stage.out.name, mask, provenance)
        stage.publish_files(replace=job.writing.overwrite or job.writing.resume)
    misfits, noisy = provenance["misfit"], min(level for level in provenance["noise_std"] if level is not None) > 0
    misfit = fmean(value for value in misfits if value is not None)
    job.say(f"data misfit {_explained(misfit, noisy=noisy)}")
    if (factor := provenance["interval_factor"]) is not None:
        job.say(f"the truth lies within {factor:.1f} std of the image in about {SHARE:.0%} of the pixels, as calibrated on "
                "brains of the prior's kind")
    return scores


def _explained(misfit: float, *, noisy: bool) -> str:
    """The misfit in words."""
    if not noisy:
        return f"{misfit:.2g} of |data|"
    if misfit < OVERFITTED:
        return f"{misfit:.2f} (1 = the data are explained to their noise; so far below 1 their noise is in the image)"
    if misfit > UNEXPLAINED:
        return f"{misfit:.2f} (1 = the data are explained to their noise; so far above 1 the image does not explain them)"
    return f"{misfit:.2f} (1 = the data are explained to their noise)"


@contextmanager
def _stage(out: Path, job: Job) -> Iterator[Stage]:
    """Where slices gather; removed at the end, and left to a later run when some are stored and the others fail.

    It is made before the scan is read, so that a place that cannot be written is found before any work.
    """
    stage = Stage(out, key=FORMAT, resume=job.writing.resume or not job.writing.overwrite)
    try:
        with explained(out, full_only=True), final_names(stage.folder, out.parent):
            if stage.resumed:
                job.say(f"{out.name}: goes on where an earlier run stopped")
            yield stage
    except BaseException:
        (stage.leave if Records(stage.folder).count else stage.remove)()
        raise
    stage.remove()


@contextmanager
def _counted(records: Records, out: Path, slices: int, job: Job) -> Iterator[None]:
    """Says what is stored where the block fails."""
    try:
        yield
    except BaseException:
        if records.count:
            job.say(f"{out.name}: {records.count} of {slices} slices are stored; the same command goes on from there")
        raise


def _check_complete(volume: Volume, refused: dict[int, InputError], made: dict[str, Any], source: Path, job: Job) -> None:
    """Refuses a volume with slices that could not be served, or whose files were changed while they were read."""
    if refused:
        why = next(iter(refused.values()))
        raise InputError(f"{source}: {slice_names(list(refused), volume.scan.frames)} cannot be restored ({why}); mend "
                         "the scan or choose other `slices`: those that are stored stay")
    files = {source: made["input"]["fingerprint"]}
    files |= {Path(place): made[f"{name}_fingerprint"] for name, place in
              (("maps", job.plan.maps), ("trajectory", job.plan.trajectory)) if place is not None}
    if any(fingerprint(path) != stored for path, stored in files.items()):
        raise InputError(f"{' or '.join(map(str, files))} was changed while it was read; run again once it is complete")


def _write(volume: Volume, records: Records, keys: dict[int, str], place: Path, mask: Tensor,
           provenance: dict[str, Any]) -> dict[str, Scores]:
    """Writes the output, its picture and NIfTI from the records, and completes the provenance; returns the scores."""
    job, plan, scored = volume.job, volume.plan, Gathered()
    one = records.read(volume.numbers[0], keys)
    height, width = one.image.shape
    with ReconstructionWriter(
        place, slices=len(volume.numbers), height=height, width=width, mask=mask, std=plan.samples > 1,
        samples=plan.samples if plan.keep_samples else 0, provenance=provenance,
        attributes={"acceleration": provenance["sampling"]["acceleration"]},
    ) as writer:
        for number, index in enumerate(volume.numbers):
            record = records.read(index, keys)
            writer.put(number, reconstruction=record.image.abs(), complex_image=record.image, std=record.std,
                       samples=record.samples)
            scored.add(index, record)
            if job.show is not None:
                job.show(number, shown(record))
            if index == volume.pictured:
                panel(columns(record), place.with_suffix(".png"), title="" if job.writing.anonymous else volume.file_name)
        scores = scored.scores(volume.scan.reference_max)
        provenance |= scored.facts | {"scores": {name: _numbers(value) for name, value in scores.items()}}
        for note in (f"{slice_names(about, volume.scan.frames)}: {note}" for note, about in scored.notes.items()
                     if note not in provenance["notes"]):
            job.say(f"note: {note}")
            provenance["notes"].append(note)
        if job.writing.nifti:
            _write_nifti(place, writer, len(volume.numbers), volume.scan, volume.numbers[0])
        for path in job.outputs(place)[1:]:
            writer.add_beside(path)
    empty = [index for index, seeds in zip(volume.numbers, scored.facts["seeds"], strict=True) if not seeds]
    if empty:
        job.say(f"{volume.file_name}: nothing was measured in {slice_names(empty, volume.scan.frames)}; the image is zero there")
    return scores


def _write_nifti(out: Path, images: ReconstructionWriter, slices: int, scan: KSpaceFile, first: int) -> None:
    volume = np.stack([images.read(index) for index in range(slices)])
    if scan.frames > 1:
        volume = volume.reshape(-1, scan.frames, *volume.shape[1:]).swapaxes(0, 1)
    one = scan[first]
    write_nifti(out.with_suffix(".nii.gz"), volume, pixel_mm=one.pixel_mm, affine=one.affine)


def _provenance(source: Path, ready: Prepared, volume: Volume, notes: list[str]) -> dict[str, Any]:
    """What is known of how an output is made before it is: nothing of the hour, so that a rerun gives the same bytes."""
    sampling, job, settled = ready.sampling, volume.job, volume.settled or Settled(volume.plan)
    return {
        **made_with(job.machine.place), "config": plain(_recorded(job)), "config_hash": job.config_hash,
        "input": {"name": job.writing.name_of(source), "fingerprint": fingerprint(source)},
        "prior_sha256": job.prior_hash, "maps_fingerprint": job.maps_fingerprint,
        "trajectory_fingerprint": job.trajectory_fingerprint,
        "reference_fingerprint": job.reference_fingerprint, "classifier_sha256": job.classifier_hash,
        "levels": volume.plan.sampled_levels(job.prior), "method": repr(volume.plan.fitted), "noise_source": ready.noise_source,
        "held_out_errors": {f"{weight:g}": error for weight, error in settled.choice.errors.items()},
        "fit": settled.fit.errors, "adaptation": settled.adaptation.errors,
        "interval_factor": interval_factor(volume.plan, "" if settled.adaptation.prior else job.prior_hash),
        "sampling": {"kind": sampling.kind, "acceleration": sampling.acceleration, "acquired": ready.acquired,
                     "calibration": sampling.acs},
        "frames": list(volume.scan.values) if isinstance(volume.scan, SeriesFile) else None,
        "notes": [job.writing.told(note, source) for note in notes],
    }


def _recorded(job: Job) -> Plan:
    """The plan as it is stored: files by what `writing` keeps of their paths, besides the digests in the provenance."""
    plan, names = job.plan, job.writing
    files: dict[str, Any] = {name: None if (place := vars(plan)[name]) is None else names.name_of(place)
                             for name in ("maps", "trajectory", "reference_image")}
    return replace(plan, prior=job.recorded_prior(names), **files, **plan.named(names))


def _numbers(scores: Scores) -> dict[str, float | str]:
    return {"psnr": scores.psnr, "ssim": scores.ssim, "nmse": scores.nmse, "protocol": scores.protocol}


def _summary(scan: KSpaceFile, ready: Prepared, job: Job, slices: int, at_once: int) -> str:
    """The one line before sampling."""
    _, coils, height, width = scan.shape
    sampling = ready.sampling
    lines = sampling.acs if isinstance(sampling.acs, int) else "{} x {}".format(*sampling.acs)
    begun = (f"{scan.path.name}: {_counted_in(scan, slices)}, {coils} coils, {height} x {width}; "
             f"{sampling.kind} {ready.acceleration}, calibration {lines}; "
             f"noise {ready.problem.sigma:.3g} ({ready.noise_source}); ")
    if job.plan.is_classical:
        return f"{begun}{job.plan.method}, which needs no prior; on {job.machine.place}"
    form = ready.data_step
    batch = at_once if job.plan.across_slices is None else job.plan.batch_size
    minutes = _seconds_a_call(ready, job, at_once) * job.calls(ready.sense.maps.shape[1]) * -(-slices // batch) / 60
    return (
        f"{begun}prior {job.prior_name}; "
        f"{job.plan.samples} {'sample' if job.plan.samples == 1 else 'samples'} by {type(job.plan.sampler).__name__}, "
        f"{len(job.levels) - 1} steps, {'' if at_once == 1 else f'{at_once} slices in a batch, '}"
        f"data steps by {form.chosen}{f' (set up in {form.seconds:.1f} s a slice)' if form.seconds else ''}; "
        f"on {job.machine.place}; "
        + about(minutes)
    )


def _counted_in(scan: KSpaceFile, slices: int) -> str:
    """How many of its slices, and of how many frames each."""
    said = f"{slices // scan.frames} of {len(scan) // scan.frames} slices"
    return said if scan.frames == 1 else f"{said} of {scan.frames} frames"


def _seconds_a_call(ready: Prepared, job: Job, at_once: int) -> float:
    """Seconds that the network takes for the images of so many slices, measured: one call, or more where memory is short."""
    size = padded_size(job.prior, image_size(ready.problem))
    images = images_of(job.plan, at_once)

    def called(numbers: Sequence[int]) -> Tensor:
        return job.prior(torch.zeros(len(numbers), job.prior.channels, *size, device=job.machine.place), 1.0)

    def all_called() -> None:
        for denoised in in_batches(called, range(images), images):
            denoised.sum().item()  # waits for the device

    return seconds_of(all_called, job.machine.place)


def is_done(source: Path, target: Path, job: Job) -> bool:
    """Whether `target` is whole, with all that belongs to it, and was made from this scan by this plan.

    Its data are compared with their digests, so that damaged ones are made anew.
    """
    if not all(path.exists() for path in job.outputs(target)):
        return False
    made = _provenance_of(target)
    scan = made.get("input")
    if made.get("config_hash") != job.config_hash or not isinstance(scan, dict):
        return False
    if scan.get("name") != job.writing.name_of(source):  # it tells more, or less, than it shall
        return False
    try:
        return scan.get("fingerprint") == fingerprint(source) and not damaged(target, max_gb=job.reading.max_gb)
    except (OSError, InputError):  # which is reported when the scan is read
        return False


def _provenance_of(path: Path) -> dict[str, Any]:
    """How an output was made; empty for any other file, and for none."""
    try:
        return read_provenance(path)
    except InputError:
        return {}
