"""Scenes from files to files: outputs published atomically, stopped runs resumed, a record of each."""

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from ..errors import InputError
from ..evaluation import FrameScore, SceneScore, score_scene, write_frames_csv
from ..files import altered, check_own, digest, digest_of, new_output, unfinished
from ..io.frames.masks import runs
from ..io.frames.video import H264_WARNING
from ..io.scenes.base import Scene
from ..io.scenes.writer import SceneWriter, encode_png, output_kind, provenance_place
from ..jobs import PriorJob, PriorMachine
from ..priors.store import shipped
from ..report.overlay import write_overlay
from ..settings import plain
from .frame import check_inpaint_plan, check_rgb
from .plan import Machine, Plan, Reading, Writing
from .scene import Coverage, Inspection, fill_frames, fingerprint, grown, inspect_scene

LARGEST_JSON = 1 << 28  # bytes of a provenance


@dataclass(frozen=True)
class Job(PriorJob[Plan]):
    """What to do with each scene; see `PriorJob`.

    Args:
        machine, reading, writing: what does not decide the fill.
    """

    machine: Machine = field(default_factory=Machine)
    reading: Reading = field(default_factory=Reading)
    writing: Writing = field(default_factory=Writing)

    @classmethod
    def load(cls, plan: Plan, machine: PriorMachine, **rest: Any) -> Self:
        """The job with the prior that the plan names; `rest` are its other fields.

        Raises:
            InputError: there is no such prior, its files are damaged, or it does not suit frames or the plan.
        """
        job = super().load(plan, machine, **rest)
        check_inpaint_plan(plan, job.prior)
        return job

    @classmethod
    def check_described(cls, about: Mapping[str, Any], plan: Plan) -> None:
        """Refuses a prior that is not one of pictures."""
        check_rgb(about["channels"], (about["recipe"] or {}).get("kind") == "interval", plan.prior)

    def key(self, fingerprint: str) -> str:
        """sha256 of all that decides an output: plan, prior, version, and the frames by their `fingerprint`."""
        return digest_of([plain(replace(self.plan, prior="")), self.prior_key(), fingerprint])


def inpaint_scene(
    opened: Callable[[], Scene], out: Path, job: Job, *, source: Path, mask: Path | None = None
) -> bool:
    """One scene to one output, with a picture of the mask, a table of its frames and a JSON record beside.

    Args:
        opened: opens the scene; called for each reader, so that video is read in order by all.
        out: a folder, .mha, .mkv or .mp4; .png for a scene of one frame.
        source, mask: what it was read from, for the record.

    Returns:
        False when the output was complete already.

    Raises:
        InputError: anything that is wrong with the scene, in one sentence; no new file is left then.
    """
    check_output(out, source, mask)
    with opened() as given, opened() as ahead:
        scene = grown(given, job.plan.grow)
        if out.suffix == ".png" and scene.count > 1:
            raise InputError(f"{out} is one picture, and {scene.name} has {scene.count} frames; "
                             "give a folder, or a name ending in .mha or .mkv")
        inspection = inspect_scene(scene, job.prior, job.plan, allow_large_hole=job.reading.allow_large_hole)
        key = job.key(inspection.fingerprint)
        if job.writing.resume and is_done(out, key) and _tells(out) == job.writing.name_of(source):
            job.say(f"{out} is complete already")
            return False
        _may_write(out, job)
        for line in (*scene.notes, *_dropped(scene, out), *_summary(scene, inspection, out, job)):
            job.say(line)
        with _writer(out, scene, key, job) as writer:
            try:
                table_place(out).unlink(missing_ok=True)  # so that no mix of two runs is ever complete
                write_overlay(
                    preview_place(out), scene.frame(inspection.fullest), scene.mask(inspection.fullest)[0]
                )
                coverages = _fill(given, ahead, writer, job)
                with opened() as again:
                    if fingerprint(grown(again, job.plan.grow)) != inspection.fingerprint:
                        raise InputError(f"{source} was changed while it was read; run again once it is complete")
                scores, rows = _scores(given, writer)  # by the masks as given, so that numbers compare
                named = [replace(row, scene=job.writing.name_of(row.scene)) for row in rows]
                write_frames_csv(table_place(out), named)
            except BaseException:
                if not writer.done:  # nothing is left that could be resumed
                    for place in (preview_place(out), table_place(out)):
                        place.unlink(missing_ok=True)
                raise
            writer.provenance = _provenance(scene, inspection, key, coverages, scores, job, source, mask)
            writer.provenance["beside"] = {place.name: digest(place) for place in (preview_place(out), table_place(out))}
        for line in _report(scene, scores, rows, coverages if job.plan.temporal_fill else []):
            job.say(line)
        job.say(f"{out}  {preview_place(out).name}  {table_place(out).name}")
    return True


def inpaint_scenes(scenes: Mapping[str, Scene], places: Mapping[str, Path], job: Job, *, source: Path,
                   mask: Path | None = None) -> dict[str, str]:
    """Every scene of a set to its place; returns those that failed, name to sentence."""
    failed: dict[str, str] = {}
    for name in scenes:
        try:
            inpaint_scene(partial(scenes.__getitem__, name), places[name], job, source=source, mask=mask)
        except InputError as error:
            failed[name] = str(error)
            job.say(f"failed: {name}: {error}")
    return failed


def preview_place(out: Path) -> Path:
    """Where the picture of what the mask hides goes."""
    return out.with_name(out.name + ".preview.png")


def table_place(out: Path) -> Path:
    """Where the table of the frames goes."""
    return out.with_name(out.name + ".frames.csv")


def record_place(out: Path) -> Path:
    """Where the JSON of how an output was made lies."""
    return (
        out.with_name(out.name + ".json") if out.suffix == ".png" else provenance_place(out, output_kind(out))
    )


def check_output(out: Path, *inputs: Path | None) -> None:
    """Refuses names that stand for nothing that is written, and places among the inputs."""
    if out.name in ("", ".."):
        raise InputError(
            f"{out} is no name to write to; name a new folder, or a file ending in .png, .mha, .mkv or .mp4"
        )
    if out.suffix.lower() in (".jpg", ".jpeg"):
        raise InputError(f"{out}: jpg would change the known pixels; give a name ending in .png")
    if out.suffix != ".png":
        output_kind(out)
    for given in inputs:
        if given is None or not given.exists():
            continue
        if out.exists() and out.samefile(given):
            raise InputError(f"{out} is the input itself, which is never replaced; give another `out`")
        if out.resolve() in given.resolve().parents:
            raise InputError(
                f"{out} holds the input {given}, and an output takes the place of the whole folder; "
                "give another `out`"
            )
        if given.is_dir() and out.parent.exists() and out.parent.samefile(given):
            raise InputError(
                f"{out} lies among the pictures of {given}, and would be read as one of them; give another `out`"
            )


def is_done(out: Path, key: str) -> bool:
    """Whether an output, with all that belongs to it, has this key, and is complete and as it was written."""
    try:
        return all(place.exists() for place in _outputs(out)) and read_record(out).get("key") == key and not damaged(out)
    except InputError:
        return False


def damaged(out: Path) -> list[str]:
    """The files of an output, by name, that are missing or not as they were written; empty when it is whole.

    Raises:
        InputError: there is no record of its files.
    """
    record = read_record(out)
    parts = [(out if out.is_dir() else out.parent, record.get("files")), (out.parent, record.get("beside"))]
    wrong: list[str] = []
    for folder, digests in parts:
        if not isinstance(digests, dict) or any(Path(name).name != name for name in digests):
            raise InputError(f"{out} has no record of its files that can be read; make it again")
        wrong += altered(folder, digests)
    return wrong


def _outputs(out: Path) -> tuple[Path, ...]:
    return out, record_place(out), preview_place(out), table_place(out)


def read_record(out: Path) -> dict[str, Any]:
    """How an output was made; empty for any other file, and for none."""
    place = record_place(out)
    try:
        if place.stat().st_size > LARGEST_JSON:
            return {}
        record = json.loads(place.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) and "key" in record else {}


def _tells(out: Path) -> object:
    """What an output stores of the name of its input."""
    given = read_record(out).get("input")
    return given.get("name") if isinstance(given, dict) else None


def _may_write(out: Path, job: Job) -> None:
    """Refuses to replace outputs without leave, and a folder of other files in any case."""
    if out.is_dir() and any(out.iterdir()) and not read_record(out):
        raise InputError(
            f"{out} is a folder and no output of inpaint, so it is never replaced; give another `out`"
        )
    if out.is_dir():
        check_own(out)
    if job.writing.overwrite:
        return
    if not (job.writing.resume or out.exists()) and unfinished(out):
        raise InputError(f"{out} was begun by another run; pass `resume` to go on where that stopped, "
                         "`overwrite` to begin again, or another `out`")
    stopped = job.writing.resume and not out.exists()  # the files beside it are of a run that was killed
    for place in _outputs(out):
        if place.exists() and not stopped and not (job.writing.resume and read_record(out)):
            raise InputError(f"{place} exists{' and is no output of inpaint' if job.writing.resume else ''}; "
                             "pass `overwrite` to replace it, or another `out`")


class PictureWriter:
    """Takes the frame of a scene of one picture, as `SceneWriter` takes those of longer scenes."""

    done: frozenset[int] = frozenset()

    def __init__(self) -> None:
        self.provenance: dict[str, Any] = {}
        self._frame: Tensor | None = None

    def put(self, index: int, frame: Tensor) -> None:
        """The frame, (3, height, width) uint8."""
        self._frame = frame

    def read(self, index: int) -> Tensor:
        """The frame again."""
        if self._frame is None:
            raise RuntimeError("no frame was put")
        return self._frame


@contextmanager
def _one_picture(out: Path, *, replace: bool) -> Iterator[PictureWriter]:
    """Publishes the picture and its JSON when all went well."""
    with new_output(out, replace=replace) as folder:
        writer = PictureWriter()
        yield writer
        (folder / out.name).write_bytes(encode_png(writer.read(0).permute(1, 2, 0).contiguous().numpy()))
        writer.provenance["files"] = {out.name: digest(folder / out.name)}
        text = json.dumps(writer.provenance, allow_nan=False, sort_keys=True, indent=1) + "\n"
        (folder / record_place(out).name).write_text(text, "utf-8")


def _writer(
    out: Path, scene: Scene, key: str, job: Job
) -> AbstractContextManager[SceneWriter | PictureWriter]:
    if out.suffix == ".png":
        return _one_picture(out, replace=True)
    return SceneWriter(
        out,
        size=scene.size,
        count=scene.count,
        names="{:06d}".format if job.writing.anonymous else scene.frame_name,
        fps=scene.fps,
        times=scene.times,
        geometry=scene.geometry,
        key=key,
        overwrite=True,
        resume=job.writing.resume,
    )


def _fill(given: Scene, ahead: Scene, writer: SceneWriter | PictureWriter, job: Job) -> list[Coverage]:
    """Fills all frames and writes those that no earlier run has written."""
    done, advance = writer.done, job.progress(given.name, given.count)
    coverages: list[Coverage] = []
    for one in fill_frames(given, job.prior, job.plan, ahead=ahead, device=job.machine.place,
                           stored=lambda index: writer.read(index) if index in done else None):
        if one.computed:
            writer.put(one.index, one.frame)
        coverages.append(one.coverage)
        advance()
    return coverages


def _scores(scene: Scene, writer: SceneWriter | PictureWriter) -> tuple[SceneScore | None, list[FrameScore]]:
    """Scores where there is a truth, and how much the fill changes from frame to frame in any case."""
    if scene.reference is not None:
        return score_scene(
            (writer.read(index) for index in range(scene.count)), scene, protocol="dreaming-corrected"
        )
    rows: list[FrameScore] = []
    before: tuple[Tensor, Tensor] | None = None
    for index in range(scene.count):
        frame, hole = writer.read(index).float(), ~scene.mask(index)
        change = None
        if before is not None and bool((region := (hole | before[1])[0]).any()):
            change = float((frame - before[0]).abs()[:, region].mean())
        rows.append(FrameScore(scene.name, index, float(hole.double().mean()), change=change))
        before = frame, hole
    return None, rows


def _provenance(
    scene: Scene,
    inspection: Inspection,
    key: str,
    coverages: Sequence[Coverage],
    scores: SceneScore | None,
    job: Job,
    source: Path,
    mask: Path | None,
) -> dict[str, Any]:
    """How an output was made; holds no time of day, so that a rerun gives the same bytes."""
    plan, names = job.plan, job.writing
    prior = plan.prior if job.about and plan.prior in shipped() else names.name_of(plan.prior)
    return {
        "medrestore": version("medrestore"),
        "torch": torch.__version__,
        "device": job.machine.place,
        "config": plain(replace(plan, prior=prior)),
        "key": key,
        "input": {
            "name": names.name_of(source),
            "mask": None if mask is None else names.name_of(mask),
            "scene": names.name_of(scene.name),
            "frames": scene.count,
            "size": list(scene.size),
            "fingerprint": inspection.fingerprint,
            "notes": [] if names.anonymous else [names.told(note, source, mask) for note in scene.notes],
        },
        "mask_means": scene.masks.meaning,
        "hole_values": list(scene.masks.hole_values) or None,
        "hole_fraction": inspection.survey.hole_fraction,
        "prior_sha256": job.about.get("sha256"),
        "method": repr(plan.sampler),
        "levels": plan.levels(job.prior, plan.start_sigma),
        "warm_levels": None if plan.warm_start is None else plan.levels(job.prior, plan.warm_start),
        "seeds": list(range(plan.seed, plan.seed + plan.samples)),
        "frames": {
            "hidden": [one.hidden for one in coverages],
            "seen_elsewhere": [one.seen_elsewhere for one in coverages],
        },
        "scores": None
        if scores is None
        else {name: _finite(value) for name, value in asdict(scores).items()},
    }


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _summary(scene: Scene, inspection: Inspection, out: Path, job: Job) -> Iterator[str]:
    """The lines before the work."""
    plan, survey, (height, width) = job.plan, inspection.survey, scene.size
    calls = plan.sampler.calls(len(plan.levels(job.prior, plan.start_sigma)) - 1) * inspection.windows * plan.samples
    minutes = _seconds_a_call(job) * calls / 60
    yield (
        f"{scene.name}: {scene.count} {'frame' if scene.count == 1 else 'frames'} of {width} x {height}, "
        f"{survey.hole_fraction:.1%} hidden ({f'masks grown by {plan.grow} pixels, ' if plan.grow else ''}{_meaning(scene)}; "
        f"at most {max(survey.fractions):.1%} of a frame); "
        f"prior {job.prior_name}, {type(plan.sampler).__name__}, {plan.steps} steps, at most {inspection.windows} "
        f"{'window' if inspection.windows == 1 else 'windows'}, on {job.machine.place}, "
        + ("under a minute" if minutes < 1 else f"about {minutes:.0f} min")
    )
    if survey.empty and scene.count > 1:
        yield f"{scene.name}: {len(survey.empty)} frames with nothing hidden pass through as they are"
    if out.suffix == ".mp4":
        yield H264_WARNING


def _dropped(scene: Scene, out: Path) -> Iterator[str]:
    """What the frames know that the output has no place for."""
    if scene.geometry is not None and scene.geometry.fields and out.suffix.lower() != ".mha":
        yield (f"{scene.name}: spacing, origin and orientation are not carried over, which {out.suffix or 'png'} has no place "
               "for; name the output .mha to have them")
    if scene.times is not None and out.suffix.lower() not in (".mkv", ".mp4"):
        yield (f"{scene.name}: the frames are not evenly spaced in time, which {out.suffix or 'png'} has no place for; name the "
               "output .mkv or .mp4 to have their times")


def _meaning(scene: Scene) -> str:
    levels = scene.masks.hole_values
    return f"the levels {runs(levels)} hide" if levels else f"white means {scene.masks.meaning}"


def _seconds_a_call(job: Job) -> float:
    """What one network call on one window takes on this machine, measured."""
    x = torch.zeros(1, job.prior.channels, *job.plan.grid(job.prior)[0], device=job.machine.place)
    with torch.no_grad():
        if job.machine.place != "cpu":  # whose first call loads its kernels
            job.prior(x, 1.0)
        started = time.monotonic()
        job.prior(x, 1.0).sum().item()  # waits for the device
    return time.monotonic() - started


def _report(scene: Scene, scores: SceneScore | None, rows: Sequence[FrameScore],
            coverages: Sequence[Coverage]) -> Iterator[str]:
    """The lines after the work."""
    if scene.count > 1 and coverages:
        seen = sum(one.hidden * one.seen_elsewhere for one in coverages) / sum(
            one.hidden for one in coverages
        )
        yield f"{scene.name}: {seen:.1%} of what was hidden was seen in other frames and taken from there"
    if scores is not None:
        yield f"{'':16s} {'PSNR dB':>8s} {'SSIM':>7s}   (dreaming-corrected)"
        for name, psnr, ssim in (
            ("whole frame", scores.psnr, scores.ssim),
            ("hole alone", scores.hole_psnr, scores.hole_ssim),
        ):
            yield f"{name:16s} {psnr:8.2f} {'' if ssim is None else f'{ssim:7.4f}'}"
        if scores.flicker is not None:
            yield f"flicker {scores.flicker:+.2f} grey levels (change in the hole from frame to frame, less that of the truth)"
    elif changes := [row.change for row in rows if row.change is not None]:
        yield f"change in the hole from frame to frame {sum(changes) / len(changes):.2f} grey levels"
