"""Files and folders of scans through `jobs.recon`: whole outputs or none, resumed where they stopped."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError
from ..io import KSpaceFile, ReconstructionWriter, read_provenance, write_nifti
from ..metrics import Scores
from ..priors import Prior
from ..report import Column, panel
from ..restore import image_size, padded_size
from .recon import Plan, Prepared, Slice, check_plan, open_scan, plan_levels, prepare, reconstruct, score

SUFFIXES = (".h5", ".hdf5", ".mrd", ".mat", ".npy", ".cfl", ".dat")
HASHED = 2**22  # bytes at each end of a file that its fingerprint covers


@dataclass(frozen=True)
class Job:
    """What to do with each scan.

    Args:
        plan: all that decides the image.
        prior: the loaded prior.
        config: plain values that rebuild `plan`, `prior` and the reading options; stored in the output.
        prior_hash: sha256 of the prior's weights.
        dataset, axes: how to read files that do not say.
        slices: (first, last + 1), or None for all.
        device: where to compute.
        cache: folder of coil maps, or None.
        keep_samples: store every sample.
        nifti: write NIfTI beside.
        overwrite: replace existing outputs.
        say: told one line per event, for people.
        progress: `(label, total) -> advance`, for a progress bar.
    """

    plan: Plan
    prior: Prior
    config: dict[str, Any]
    prior_hash: str
    dataset: str | None = None
    axes: tuple[str, ...] | None = None
    slices: tuple[int, int] | None = None
    device: str = "cpu"
    cache: Path | None = None
    keep_samples: bool = False
    nifti: bool = False
    overwrite: bool = False
    say: Callable[[str], None] = lambda line: None
    progress: Callable[[str, int], Callable[[], None]] = lambda label, total: lambda: None

    @property
    def config_hash(self) -> str:
        """sha256 of everything that decides an output but the scan."""
        decides = json.dumps([self.config, self.prior_hash, version("medrestore")], sort_keys=True)
        return hashlib.sha256(decides.encode()).hexdigest()


@dataclass
class Volume:
    """What is gathered of a volume for its scores: magnitudes (h, w) as shown, one a slice."""

    zero_filled: list[Tensor] = field(default_factory=list)
    cg_sense: list[Tensor] = field(default_factory=list)
    mean: list[Tensor] = field(default_factory=list)
    one_sample: list[Tensor] = field(default_factory=list)
    reference: list[Tensor] = field(default_factory=list)

    def add(self, done: Slice) -> None:
        """Keeps the magnitudes of one slice that has a reference."""
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
        names = ("zero_filled", "cg_sense", "one_sample", "mean")
        return {name: score(getattr(self, name), self.reference, data_range=data_range) for name in names}


def fingerprint(path: Path) -> str:
    """sha256 of a file's size, first and last 4 MiB; of the .cfl for a BART pair."""
    path = path.with_suffix(".cfl") if path.suffix == ".hdr" else path
    digest = hashlib.sha256(str(path.stat().st_size).encode())
    with path.open("rb") as file:
        digest.update(file.read(HASHED))
        file.seek(max(0, path.stat().st_size - HASHED))
        digest.update(file.read(HASHED))
    return digest.hexdigest()


def recon_file(source: Path, out: Path, job: Job) -> dict[str, Scores]:
    """One scan to one HDF5 file and a picture beside it; returns the scores, empty without a reference.

    Raises:
        InputError: anything that is wrong with the scan or the plan; nothing is left behind then.
    """
    if out.exists() and not job.overwrite:
        raise InputError(f"{out} exists; pass --overwrite to replace it, or another -o")
    try:
        with open_scan(source, job.plan, dataset=job.dataset, axes=job.axes) as (scan, maps):
            return _write(scan, maps, source, out, job)
    except InputError as error:
        message = str(error)
        raise (error if str(source) in message or source.name in message else InputError(f"{source}: {message}")) from error


def _write(scan: KSpaceFile, maps: KSpaceFile | None, source: Path, out: Path, job: Job) -> dict[str, Scores]:
    first, last = _slice_range(scan, job.slices)
    volume, misfits, pictured = Volume(), [], first + (last - first) // 2
    provenance = _provenance(source, job)
    writer = None
    try:
        for index in range(first, last):
            ready = _prepare(scan, maps, index, source, job)
            if writer is None:
                check_plan(ready, job.prior, job.plan)
                job.say(_summary(scan, ready, job, last - first))
                advance = job.progress(source.name, job.plan.steps * -(-job.plan.samples // job.plan.batch_size) * (last - first))
                writer = _writer(out, ready, job, last - first, provenance)
            done = reconstruct(ready, job.prior, job.plan, slice_index=index, on_step=lambda step, x: advance())
            writer.put(
                index - first, reconstruction=done.image.abs(), complex_image=done.image,
                std=done.std if job.plan.samples > 1 else None, samples=done.samples if job.keep_samples else None,
            )
            volume.add(done)
            misfits.append(float(done.restoration.misfit.mean()))
            if index == pictured:
                picture(done, out.with_suffix(".png"), title=source.name)
        scores = volume.scores(scan.reference_max)
        provenance |= {
            "sampling": _sampling(ready), "noise_std": ready.problem.sigma, "noise_source": ready.noise_source,
            "misfit": misfits, "scores": {name: _numbers(value) for name, value in scores.items()},
        }
        writer.close()
    except BaseException:
        if writer is not None:
            writer.discard()
            out.with_suffix(".png").unlink(missing_ok=True)
        raise
    job.say(f"data misfit {sum(misfits) / len(misfits):.2f} (1 = the data are explained to their noise)")
    if job.nifti:
        _write_nifti(out, scan, first, job)
    return scores


def _prepare(scan: KSpaceFile, maps: KSpaceFile | None, index: int, source: Path, job: Job) -> Prepared:
    given = None if maps is None else maps[index].kspace
    return prepare(scan[index], job.plan, file_name=source.name, maps=given, cache=job.cache, device=job.device)


def _slice_range(scan: KSpaceFile, slices: tuple[int, int] | None) -> tuple[int, int]:
    first, last = (0, len(scan)) if slices is None else slices
    if not 0 <= first < last <= len(scan):
        raise InputError(f"{scan.path} has slices 0 to {len(scan) - 1}, and --slices {first}:{last} asks for others")
    return first, last


def _writer(out: Path, ready: Prepared, job: Job, slices: int, provenance: dict[str, Any]) -> ReconstructionWriter:
    height, width = ready.shown(ready.problem.back_projected[0, 0]).shape
    return ReconstructionWriter(
        out, slices=slices, height=height, width=width, mask=ready.sampling.mask.cpu(), std=job.plan.samples > 1,
        samples=job.plan.samples if job.keep_samples else 0, provenance=provenance, overwrite=job.overwrite,
        attributes={"acceleration": ready.sampling.acceleration},
    )


def _write_nifti(out: Path, scan: KSpaceFile, first: int, job: Job) -> None:
    from ..io import read_reconstruction

    with read_reconstruction(out) as result:
        volume = torch.stack([result[i] for i in range(len(result))])
    one = scan[first]
    write_nifti(out.with_suffix(".nii.gz"), volume, pixel_mm=one.pixel_mm, affine=one.affine, overwrite=job.overwrite)


def _provenance(source: Path, job: Job) -> dict[str, Any]:
    return {
        "medrestore": version("medrestore"), "torch": torch.__version__, "device": job.device, "config": job.config,
        "config_hash": job.config_hash, "input": {"path": str(source), "fingerprint": fingerprint(source)},
        "prior_sha256": job.prior_hash, "levels": plan_levels(job.plan, job.prior), "method": repr(job.plan.method),
    }


def _sampling(ready: Prepared) -> dict[str, Any]:
    sampling = ready.sampling
    return {"kind": sampling.kind, "acceleration": sampling.acceleration, "calibration": sampling.acs}


def _numbers(scores: Scores) -> dict[str, float | str]:
    return {"psnr": scores.psnr, "ssim": scores.ssim, "nmse": scores.nmse, "protocol": scores.protocol}


def _summary(scan: KSpaceFile, ready: Prepared, job: Job, slices: int) -> str:
    """The one line before sampling."""
    _, coils, height, width = scan.shape
    sampling = ready.sampling
    minutes = _seconds_a_call(ready, job) * job.plan.steps * -(-job.plan.samples // job.plan.batch_size) * slices / 60
    return (
        f"{scan.path.name}: {slices} of {len(scan)} slices, {coils} coils, {height} x {width}; "
        f"{sampling.kind} {sampling.acceleration:.2f}x, calibration {sampling.acs}; "
        f"noise {ready.problem.sigma:.3g} ({ready.noise_source}); prior {job.config['prior']}; about {minutes:.1f} min"
    )


def _seconds_a_call(ready: Prepared, job: Job) -> float:
    """What one network call on a full batch takes here, measured."""
    size = padded_size(job.prior, image_size(ready.problem))
    batch = min(job.plan.samples, job.plan.batch_size)
    x = torch.zeros(batch, job.prior.channels, *size, device=job.device)
    started = time.monotonic()
    with torch.no_grad():
        job.prior(x, 1.0)
    return time.monotonic() - started


def picture(done: Slice, path: Path, *, title: str) -> None:
    """Zero-filled | CG-SENSE | restored | spread of the samples, or reference and error where there is a reference."""
    peak = float((done.image if done.reference is None else done.reference).abs().max())
    columns = [Column("zero-filled", done.zero_filled.abs(), peak), Column("CG-SENSE", done.cg_sense.abs(), peak),
               Column("restored", done.image.abs(), peak)]
    if done.reference is not None:
        error = (done.image.abs() - done.reference).abs()
        columns += [Column("reference", done.reference, peak), Column("error x 10", error, peak / 10)]
    if len(done.samples) > 1:
        columns.append(Column("spread x 10", done.std, peak / 10))
    panel(columns, path, title=title)


def recon_folder(folder: Path, out: Path, job: Job, *, resume: bool) -> dict[str, str]:
    """Every scan of a folder to a file of the same stem; returns what failed, name to sentence.

    Args:
        resume: skip outputs that are whole and were made with this very plan and scan.

    Raises:
        InputError: no scans, or outputs that exist and may neither be replaced nor resumed; before any work.
    """
    pairs = [(source, out / f"{source.stem}.h5") for source in scans(folder)]
    waiting = [(source, target) for source, target in pairs if not (resume and is_done(source, target, job))]
    job.say(f"{len(waiting)} of {len(pairs)} scans to do")
    if not job.overwrite and not resume and (existing := [target for _, target in pairs if target.exists()]):
        raise InputError(f"{existing[0]} exists; pass --resume to do the rest, --overwrite to replace it, or another -o")
    failed = {}
    for source, target in waiting:
        try:
            recon_file(source, target, job if not resume else _replacing(job))
        except InputError as error:
            failed[source.name] = str(error)
            job.say(f"failed: {error}")
    return failed


def _replacing(job: Job) -> Job:
    """The job that may replace what a different plan has left."""
    from dataclasses import replace

    return replace(job, overwrite=True)


def scans(folder: Path) -> Sequence[Path]:
    """The scans of a folder, by suffix, sorted by name."""
    found = sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES and path.is_file())
    if not found:
        raise InputError(f"{folder} holds no scan ({', '.join(SUFFIXES)}); give the folder that does")
    stems: dict[str, Path] = {}
    for path in found:
        if path.stem in stems:
            raise InputError(f"{path} and {stems[path.stem]} would both become {path.stem}.h5; rename one")
        stems[path.stem] = path
    return found


def is_done(source: Path, target: Path, job: Job) -> bool:
    """Whether `target` is whole and was made from this scan by this plan."""
    if not target.exists():
        return False
    try:
        made = read_provenance(target)
    except InputError:
        return False
    return made.get("config_hash") == job.config_hash and made.get("input", {}).get("fingerprint") == fingerprint(source)


def printed(scores: dict[str, Scores]) -> Iterator[str]:
    """The scores as lines of a table."""
    if scores:
        yield f"{'':12s} {'PSNR dB':>8s} {'SSIM':>7s} {'NMSE':>8s}   (fastMRI protocol)"
        for name, value in scores.items():
            yield f"{name.replace('_', ' '):12s} {value.psnr:8.2f} {value.ssim:7.4f} {value.nmse:8.5f}"
