"""Files and folders of scans through `recon.preparation`: whole outputs or none, resumed where they stopped."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..allocator import release_freed_memory
from ..errors import InputError
from ..files import Busy, digest, digest_of, files_in, has_suffix, new_output
from ..io import KSpaceFile, ReconstructionWriter, read_provenance, read_reconstruction, write_nifti
from ..io.guards import scan_files
from ..io.kspace.open import SUFFIXES
from ..metrics import Scores
from ..priors import NetworkPrior, Prior, load
from ..priors.store import describe
from ..report import Column, panel
from ..restoration import image_size, in_batches, padded_size
from ..settings import FieldError, plain
from .data_step import DataStep
from .plan import Machine, Plan, Reading, Writing
from .preparation import Prepared, Slice, check_noise, check_plan, check_prior, open_scan, prepare, restore_slices, score
from .slices import ahead, images_of, slices_at_once

OVERFITTED, UNEXPLAINED = 0.85, 1.3  # misfits beyond these say that an image is wrong; good ones have 0.9 to 1.15


@dataclass(frozen=True)
class Job:
    """What to do with each scan.

    Args:
        plan: all that decides the image.
        prior: the loaded prior; `Job.load` loads the one that the plan names.
        prior_hash: sha256 of the prior's weights; empty for a prior that was loaded from no file.
        machine, reading, writing: what does not decide the image.
        say: called with one line per event, for people.
        progress: `(label, total) -> advance`, for a progress bar.
    """

    plan: Plan
    prior: Prior
    prior_hash: str = ""
    machine: Machine = field(default_factory=Machine)
    reading: Reading = field(default_factory=Reading)
    writing: Writing = field(default_factory=Writing)
    say: Callable[[str], None] = lambda line: None
    progress: Callable[[str, int], Callable[[], None]] = lambda label, total: lambda: None

    @classmethod
    def load(cls, plan: Plan, machine: Machine, **rest: Any) -> "Job":
        """The job with the prior that the plan names; `rest` are its other fields.

        Raises:
            InputError: there is no such prior, its files are damaged, or it is not one of complex images.
        """
        about = describe(plan.prior)
        check_prior(about["channels"], plan.prior)
        prior = load(plan.prior, device=machine.place, bf16=plan.bf16, compiled=machine.compiled)
        return cls(plan, prior, about["sha256"], machine, **rest)

    @cached_property
    def maps_fingerprint(self) -> str | None:
        """`fingerprint` of the given coil maps."""
        return None if self.plan.maps is None else fingerprint(Path(self.plan.maps))

    @cached_property
    def config_hash(self) -> str:
        """sha256 of everything that decides an output but the scan and the machine: the whole plan, the prior and the maps."""
        parametrisation = repr(self.prior.parametrisation) if isinstance(self.prior, NetworkPrior) else ""
        prior = [self.prior_hash, parametrisation, repr(self.prior.recipe)]
        return digest_of([plain(self.plan), prior, self.maps_fingerprint, version("medrestore")])

    @property
    def prior_name(self) -> str:
        """The prior for people: as the plan names it, or by its class where it was loaded from no file."""
        return self.plan.prior if self.prior_hash else type(self.prior).__name__

    @property
    def levels(self) -> list[float]:
        """The noise levels of each sample."""
        return self.plan.sampled_levels(self.prior)

    @property
    def calls(self) -> int:
        """Network calls a slice, on a batch of samples each."""
        return (len(self.levels) - 1) * -(-self.plan.samples // self.plan.batch_size)

    def outputs(self, out: Path) -> tuple[Path, ...]:
        """All that is written for the output `out`."""
        return out, out.with_suffix(".png"), *([out.with_suffix(".nii.gz")] if self.writing.nifti else [])


@dataclass
class Volume:
    """What is gathered over the slices of a volume: magnitudes (h, w) as shown for the scores, and facts for the record."""

    zero_filled: list[Tensor] = field(default_factory=list)
    cg_sense: list[Tensor] = field(default_factory=list)
    mean: list[Tensor] = field(default_factory=list)
    one_sample: list[Tensor] = field(default_factory=list)
    reference: list[Tensor] = field(default_factory=list)
    misfit: list[float] = field(default_factory=list)
    noise_std: list[float] = field(default_factory=list)
    seeds: list[list[int]] = field(default_factory=list)

    def add(self, done: Slice) -> None:
        """Takes in one slice; its magnitudes only where there is a reference to score them by."""
        self.misfit.append(float(done.restoration.misfit.mean()))
        self.noise_std.append(float(done.prepared.problem.sigma))
        self.seeds.append(list(done.restoration.seeds))
        if done.reference is not None:
            self.zero_filled.append(done.zero_filled.abs())
            self.cg_sense.append(done.cg_sense.abs())
            self.mean.append(done.image.abs())
            self.one_sample.append(done.samples[0].abs())
            self.reference.append(done.reference)

    def scores(self, data_range: float | None) -> dict[str, Scores]:
        """fastMRI scores of every image that was gathered; empty without a reference."""
        if not self.reference:
            return {}
        names = ["zero_filled", "cg_sense", *(["one_sample"] if len(self.seeds[0]) > 1 else []), "mean"]
        return {name: score(getattr(self, name), self.reference, data_range=data_range) for name in names}


def fingerprint(path: Path) -> str:
    """sha256 of a scan or of coil maps; of header and data for a BART pair, by whichever of its three names."""
    return digest(*scan_files(path))


def recon_file(source: Path, out: Path, job: Job) -> dict[str, Scores]:
    """One scan to one HDF5 file and a picture beside it; returns the scores, empty without a reference.

    Raises:
        InputError: anything that is wrong with the scan or the plan; nothing is left behind then.
    """
    _may_write(source, out, job)
    try:
        with open_scan(source, job.plan, job.reading) as (scan, maps):
            return _recon(scan, maps, source, out, job)
    except FieldError:  # of the plan, not of the scan
        raise
    except InputError as error:
        message = str(error)
        if any(str(path) in message for path in (source, source.name, out, job.plan.maps) if path is not None):
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


def _recon(scan: KSpaceFile, maps: KSpaceFile | None, source: Path, out: Path, job: Job) -> dict[str, Scores]:
    first, last = _slice_range(scan, job.plan.slices)
    ready = _prepare(scan, maps, first, source, job)
    check_plan(ready, job.prior, job.plan)
    check_noise(ready, job.plan)
    count = slices_at_once(ready, job.plan, job.machine.place, last - first)
    job.say(_summary(scan, ready, job, last - first, count))
    notes = [*dict.fromkeys((*scan.notes, *ready.notes))]
    for note in notes:
        job.say(f"note: {note}")
    advance = job.progress(source.name, (len(job.levels) - 1) * job.plan.samples * (last - first))
    volume, provenance = Volume(), _provenance(source, ready, job) | {"notes": notes}
    with new_output(out) as folder:
        place = folder / out.name
        with _writer(place, ready, job, last - first, provenance) as writer:
            groups = _groups(scan, maps, [ready], range(first, last), count, source, job)
            del ready  # nothing may hold a slice's exact data step, hundreds of megabytes, while those of the next group are made
            index = first
            while group := next(groups, None):
                restored = _restored(group, index, job, advance)
                for done in restored:
                    writer.put(
                        index - first, reconstruction=done.image.abs(), complex_image=done.image,
                        std=done.std if job.plan.samples > 1 else None, samples=done.samples if job.plan.keep_samples else None,
                    )
                    volume.add(done)
                    if index == first + (last - first) // 2:
                        panel(columns(done), place.with_suffix(".png"), title=source.name)
                    index += 1
                del done, restored, group
                release_freed_memory()
            scores = volume.scores(scan.reference_max)
            provenance |= {"misfit": volume.misfit, "noise_std": volume.noise_std, "seeds": volume.seeds,
                           "scores": {name: _numbers(value) for name, value in scores.items()}}
        if job.writing.nifti:
            _write_nifti(place, scan, first)
    job.say(f"data misfit {_explained(sum(volume.misfit) / len(volume.misfit), noisy=min(volume.noise_std) > 0)}")
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


def _groups(scan: KSpaceFile, maps: KSpaceFile | None, made: list[Prepared], numbers: range, count: int, source: Path,
            job: Job) -> Iterator[list[Prepared]]:
    """Slices made ready, `count` at a time; the first is in `made`, and is taken out of it."""

    def make(first: int) -> list[Prepared]:
        group = range(first, min(first + count, numbers.stop))
        return [made.pop() if made else _prepare(scan, maps, index, source, job) for index in group]

    return ahead(make, numbers[::count], threaded=job.machine.place != "cpu")


def _restored(group: Sequence[Prepared], first: int, job: Job, advance: Callable[[], None]) -> list[Slice]:
    """Slices from `first` on, restored in one batch."""

    def stepped(step: int, x: Tensor) -> None:
        for _ in range(len(x)):
            advance()

    return restore_slices(group, job.prior, job.plan, first=first, batch_size=images_of(job.plan, len(group)), on_step=stepped)


def _prepare(scan: KSpaceFile, maps: KSpaceFile | None, index: int, source: Path, job: Job) -> Prepared:
    given = None if maps is None else maps[index].kspace
    return prepare(scan[index], job.plan, file_name=source.name, maps=given, cache=job.machine.cache, device=job.machine.place)


def _slice_range(scan: KSpaceFile, slices: tuple[int, int] | None) -> tuple[int, int]:
    first, last = (0, len(scan)) if slices is None else slices
    if not 0 <= first < last <= len(scan):
        raise InputError(f"{scan.path} has slices 0 to {len(scan) - 1}, and `slices` {first}:{last} asks for others")
    return first, last


def _writer(out: Path, ready: Prepared, job: Job, slices: int, provenance: dict[str, Any]) -> ReconstructionWriter:
    height, width = ready.shown(ready.problem.back_projected[0, 0]).shape
    return ReconstructionWriter(
        out, slices=slices, height=height, width=width, mask=ready.sampling.mask.cpu(), std=job.plan.samples > 1,
        samples=job.plan.samples if job.plan.keep_samples else 0, provenance=provenance,
        attributes={"acceleration": ready.sampling.acceleration},
    )


def _write_nifti(out: Path, scan: KSpaceFile, first: int) -> None:
    with read_reconstruction(out) as result:
        volume = torch.stack([result[i] for i in range(len(result))])
    one = scan[first]
    write_nifti(out.with_suffix(".nii.gz"), volume, pixel_mm=one.pixel_mm, affine=one.affine)


def _provenance(source: Path, ready: Prepared, job: Job) -> dict[str, Any]:
    """What is known of how an output is made before it is: nothing of the hour, so that a rerun gives the same bytes."""
    sampling = ready.sampling
    return {
        "medrestore": version("medrestore"), "torch": torch.__version__, "device": job.machine.place, "config": plain(job.plan),
        "config_hash": job.config_hash, "input": {"path": str(source), "fingerprint": fingerprint(source)},
        "prior_sha256": job.prior_hash, "maps_fingerprint": job.maps_fingerprint, "levels": job.levels,
        "method": repr(job.plan.sampler), "noise_source": ready.noise_source,
        "sampling": {"kind": sampling.kind, "acceleration": sampling.acceleration, "calibration": sampling.acs},
    }


def _numbers(scores: Scores) -> dict[str, float | str]:
    return {"psnr": scores.psnr, "ssim": scores.ssim, "nmse": scores.nmse, "protocol": scores.protocol}


def _summary(scan: KSpaceFile, ready: Prepared, job: Job, slices: int, at_once: int) -> str:
    """The one line before sampling."""
    _, coils, height, width = scan.shape
    sampling = ready.sampling
    lines = sampling.acs if isinstance(sampling.acs, int) else "{} x {}".format(*sampling.acs)
    minutes = _seconds_a_call(ready, job, at_once) * job.calls * -(-slices // at_once) / 60
    return (
        f"{scan.path.name}: {slices} of {len(scan)} slices, {coils} coils, {height} x {width}; "
        f"{sampling.kind} {sampling.acceleration:.2f}x, calibration {lines}; "
        f"noise {ready.problem.sigma:.3g} ({ready.noise_source}); prior {job.prior_name}; "
        f"{job.plan.samples} {'sample' if job.plan.samples == 1 else 'samples'} by {type(job.plan.sampler).__name__}, "
        f"{len(job.levels) - 1} steps, {'' if at_once == 1 else f'{at_once} slices in a batch, '}"
        f"data steps by {_words(ready.data_step)}; on {job.machine.place}; "
        + ("under a minute" if minutes < 1 else f"about {minutes:.0f} min")
    )


def _words(form: DataStep) -> str:
    return f"{form.chosen} (set up in {form.seconds:.1f} s a slice)" if form.seconds else form.chosen


def _seconds_a_call(ready: Prepared, job: Job, at_once: int) -> float:
    """Seconds that the network takes for the images of so many slices, measured: one call, or more where memory is short."""
    size = padded_size(job.prior, image_size(ready.problem))
    images = images_of(job.plan, at_once)

    def called(numbers: Sequence[int]) -> Tensor:
        return job.prior(torch.zeros(len(numbers), job.prior.channels, *size, device=job.machine.place), 1.0)

    with torch.no_grad():
        if job.machine.place != "cpu":  # whose first call loads its kernels
            list(in_batches(called, range(images), images))
        started = time.monotonic()
        for denoised in in_batches(called, range(images), images):
            denoised.sum().item()  # waits for the device
    return time.monotonic() - started


def columns(done: Slice) -> list[Column]:
    """Zero-filled | CG-SENSE | restored | spread of the samples, or reference and error where there is a reference.

    Images alone: whoever draws them, and leaves cycles of references behind, holds no slice with its exact data step.
    """
    peak = float((done.image if done.reference is None else done.reference).abs().max())
    shown = [Column("zero-filled", done.zero_filled.abs(), peak), Column("CG-SENSE", done.cg_sense.abs(), peak),
             Column("restored", done.image.abs(), peak)]
    if done.reference is not None:
        error = (done.image.abs() - done.reference).abs()
        shown += [Column("reference", done.reference, peak), Column("error x 10", error, peak / 10)]
    if len(done.samples) > 1:
        shown.append(Column("spread x 10", done.std, peak / 10))
    return shown


def recon_folder(folder: Path, out: Path, job: Job) -> dict[str, str]:
    """Every scan of a folder to a file of the same stem; returns what failed, name to sentence.

    A scan that fails does not keep the others from being done. Several runs may share a folder: with `job.writing.resume` each
    leaves alone what is whole and what another is at.

    Raises:
        InputError: no scans, or outputs that exist and may neither be replaced nor resumed; before any work.
    """
    if out.exists() and out.samefile(folder):
        raise InputError(f"{out} is the folder of the scans; give another place")
    pairs = [(source, out / f"{source.stem}.h5") for source in scans(folder)]
    existing = [target for _, target in pairs if target.exists()]
    if existing and not (job.writing.overwrite or job.writing.resume):
        raise InputError(f"{existing[0]} exists; pass `resume` to do the rest, `overwrite` to replace it, or give another place")
    waiting = [pair for pair in pairs if not (job.writing.resume and is_done(*pair, job))]
    job.say(f"{len(waiting)} of {len(pairs)} scans to do")
    if others := [path.name for path in files_in(folder) if not has_suffix(path, (*SUFFIXES, ".hdr"))]:
        job.say(f"passed over, by their suffix no scans: {', '.join(others[:5])}{', ...' if len(others) > 5 else ''}")
    failed: dict[str, str] = {}
    for source, target in waiting:
        try:
            if not (job.writing.resume and is_done(source, target, job)):  # another run may have done it in the meantime
                recon_file(source, target, job)
        except Busy as busy:
            job.say(f"left alone: {busy}")
        except InputError as error:
            failed[source.name] = str(error)
        except Exception as error:  # whatever it is, the other scans are not to blame
            failed[source.name] = f"{source}: {type(error).__name__}: {error}; do it alone to see more"
        if source.name in failed:
            job.say(f"failed: {failed[source.name]}")
    return failed


def scans(folder: Path) -> Sequence[Path]:
    """The scans of a folder, by suffix in capitals or not, in natural order; hidden files are left out."""
    found = files_in(folder, SUFFIXES)
    if not found:
        raise InputError(f"{folder} holds no scan ({', '.join(SUFFIXES)}); give the folder that does")
    stems: dict[str, Path] = {}
    for path in found:
        if path.stem in stems:
            raise InputError(f"{path} and {stems[path.stem]} would both become {path.stem}.h5; rename one")
        stems[path.stem] = path
    return found


def is_done(source: Path, target: Path, job: Job) -> bool:
    """Whether `target` is whole, with all that belongs to it, and was made from this scan by this plan."""
    if not all(path.exists() for path in job.outputs(target)):
        return False
    made = _provenance_of(target)
    scan = made.get("input")
    if made.get("config_hash") != job.config_hash or not isinstance(scan, dict):
        return False
    try:
        return scan.get("fingerprint") == fingerprint(source)
    except (OSError, InputError):  # which is reported when the scan is read
        return False


def _provenance_of(path: Path) -> dict[str, Any]:
    """How an output was made; empty for any other file, and for none."""
    try:
        return read_provenance(path)
    except InputError:
        return {}


def printed(scores: dict[str, Scores]) -> Iterator[str]:
    """The scores as lines of a table."""
    if scores:
        yield f"{'':12s} {'PSNR dB':>8s} {'SSIM':>7s} {'NMSE':>8s}   (fastMRI protocol)"
        for name, value in scores.items():
            yield f"{name.replace('_', ' '):12s} {value.psnr:8.2f} {value.ssim:7.4f} {value.nmse:8.5f}"
