"""Scenes through `inpainting.frame`: streamed frame by frame, whole outputs or none, resumed where they stopped."""

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError
from ..evaluation import FrameScore, SceneScore, score_scene, write_frames_csv
from ..files import new_output, unfinished
from ..io.frames.masks import GrownMasks, Survey
from ..io.frames.video import H264_WARNING
from ..io.scenes.base import Scene
from ..io.scenes.writer import SceneWriter, encode_png, output_kind, provenance_place
from ..priors import Prior
from ..report.overlay import write_overlay
from .frame import inpaint_frame
from .frame import windows as windows_of
from .plan import Plan
from .temporal import stretches, view

LARGEST_JSON = 1 << 28  # bytes of a provenance


@dataclass(frozen=True)
class InpaintJob:
    """What to do with each scene.

    Args:
        plan: all that decides the fill.
        prior: the loaded prior.
        config: plain values that rebuild `plan`, `prior` and the reading options; stored in the output.
        prior_hash: sha256 of the prior's weights.
        device: where to compute.
        allow_large_hole: go on where more than half of a scene is hidden.
        overwrite: replace existing outputs.
        resume: go on with what a killed run has left; replace outputs that another plan, or this plan from other frames, made.
        say: told one line per event, for people.
        progress: `(label, total) -> advance`, for a progress bar.
    """

    plan: Plan
    prior: Prior
    config: dict[str, Any]
    prior_hash: str
    device: str = "cpu"
    allow_large_hole: bool = False
    overwrite: bool = False
    resume: bool = False
    say: Callable[[str], None] = lambda line: None
    progress: Callable[[str, int], Callable[[], None]] = lambda label, total: lambda: None

    def key(self, look: "Look") -> str:
        """sha256 of everything that decides an output but the machine."""
        prior = [self.prior_hash, repr(getattr(self.prior, "parametrisation", "")), repr(self.prior.recipe)]
        decides = json.dumps([self.config, prior, look.fingerprint, version("medrestore")], sort_keys=True)
        return hashlib.sha256(decides.encode()).hexdigest()


@dataclass(frozen=True)
class Look:
    """What one pass over a scene, before any work, has seen.

    Attributes:
        survey: the hidden share of every frame.
        fingerprint: sha256 of all frames and masks as decoded.
        windows: how many windows of the prior the holes take, all frames together.
    """

    survey: Survey
    fingerprint: str
    windows: int

    @property
    def fullest(self) -> int:
        """The frame of which most is hidden."""
        return max(range(len(self.survey.fractions)), key=self.survey.fractions.__getitem__)


@dataclass
class Told:
    """What is recorded of each frame: the share that was hidden, and of that the share that other frames have shown."""

    hidden: list[float] = field(default_factory=list)
    seen_elsewhere: list[float] = field(default_factory=list)


def inpaint_scene(opened: Callable[[], Scene], out: Path, job: InpaintJob, *, source: Path, mask: Path | None = None) -> bool:
    """One scene to one output, with a picture of the mask, a table of its frames and a JSON of how it was made beside it.

    Args:
        opened: opens the scene; called twice, for two readers, so that video is read in order by each.
        out: a folder, .mha, .mkv or .mp4; .png for a scene of one frame.
        source, mask: what it was read from, for the record.

    Returns:
        False when the output was whole already.

    Raises:
        InputError: anything that is wrong with the scene, in one sentence; nothing is left behind then.
    """
    check_output(out, source, mask)
    with opened() as given, opened() as given_ahead:
        scene, ahead = (_grown(one, job.plan.grow) for one in (given, given_ahead))
        if out.suffix == ".png" and scene.count > 1:
            raise InputError(f"{out} is one picture, and {scene.name} has {scene.count} frames; "
                             "give a folder, or a name ending in .mha or .mkv")
        look = look_through(scene, job)
        key = job.key(look)
        if job.resume and is_done(out, key):
            job.say(f"{out} is whole already")
            return False
        _may_write(out, job)
        for line in (*scene.notes, *_summary(scene, look, out, job)):
            job.say(line)
        with _writer(out, scene, key, job) as writer:
            try:
                table_place(out).unlink(missing_ok=True)  # so that no mix of two runs is ever complete
                write_overlay(preview_place(out), scene.frame(look.fullest), scene.mask(look.fullest)[0])
                told = _restore(scene, ahead, writer, job)
                scores, rows = _scores(given, writer)  # by the masks as given, so that numbers compare
                write_frames_csv(table_place(out), rows)
            except BaseException as error:
                if isinstance(error, InputError) or out.suffix == ".png":  # nothing is left that could be resumed
                    for place in (preview_place(out), table_place(out)):
                        place.unlink(missing_ok=True)
                raise
            writer.provenance = _provenance(scene, look, key, told, scores, job, source, mask)
        for line in _report(scene, scores, rows, told if job.plan.temporal_fill else None):
            job.say(line)
        job.say(f"{out}  {preview_place(out).name}  {table_place(out).name}")
    return True


def inpaint_scenes(scenes: Mapping[str, Scene], places: Mapping[str, Path], job: InpaintJob, *, source: Path,
                   mask: Path | None = None) -> dict[str, str]:
    """Every scene of a set to its place; returns what failed, name to sentence. A failure does not keep the others."""
    failed: dict[str, str] = {}
    for name in scenes:
        try:
            inpaint_scene(lambda name=name: scenes[name], places[name], job, source=source, mask=mask)
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
    return out.with_name(out.name + ".json") if out.suffix == ".png" else provenance_place(out, output_kind(out))


def check_output(out: Path, *inputs: Path | None) -> None:
    """Refuses names that stand for nothing that is written, and places among the inputs."""
    if out.name in ("", ".."):
        raise InputError(f"{out} is no name to write to; name a new folder, or a file ending in .png, .mha, .mkv or .mp4")
    if out.suffix.lower() in (".jpg", ".jpeg"):
        raise InputError(f"{out}: jpg would change the known pixels; give a name ending in .png")
    if out.suffix != ".png":
        output_kind(out)
    for given in inputs:
        if given is None or not given.exists():
            continue
        if out.exists() and out.samefile(given):
            raise InputError(f"{out} is the input itself, which is never replaced; give another -o")
        if out.resolve() in given.resolve().parents:
            raise InputError(f"{out} holds the input {given}, and an output takes the place of the whole folder; give another -o")
        if given.is_dir() and out.parent.exists() and out.parent.samefile(given):
            raise InputError(f"{out} lies among the pictures of {given}, and would be read as one of them; give another -o")


def look_through(scene: Scene, job: InpaintJob) -> Look:
    """Reads every frame and mask once, so that what is damaged is found before any work.

    Raises:
        InputError: a frame or mask that cannot be read, nothing or everything hidden, more than half without leave.
    """
    digest, fractions, windows = hashlib.sha256(repr((scene.count, scene.size)).encode()), [], 0
    for index in range(scene.count):
        frame, known = scene.frame(index), scene.mask(index)[0]
        digest.update(frame.numpy().tobytes())
        digest.update(known.numpy().tobytes())
        fractions.append(float((~known).double().mean()))
        if fractions[-1] > 0:
            windows += windows_of(known, job.prior, job.plan)
    survey = Survey(scene.masks.where, tuple(fractions))
    survey.check(allow_full=job.allow_large_hole and min(fractions) < 1)
    if survey.mostly_hole and not job.allow_large_hole:
        raise InputError(f"{survey.where} hides {survey.hole_fraction:.0%} of {scene.name}, more than half: "
                         "check --mask-means, or pass --allow-large-hole if it is so")
    return Look(survey, digest.hexdigest(), windows)


def _grown(scene: Scene, by: int) -> Scene:
    return scene if by == 0 else replace(scene, masks=GrownMasks(scene.masks, by))


def is_done(out: Path, key: str) -> bool:
    """Whether an output is whole, with all that belongs to it, and was made by this very plan from these frames."""
    return all(place.exists() for place in _outputs(out)) and read_record(out).get("key") == key


def _outputs(out: Path) -> tuple[Path, ...]:
    return out, record_place(out), preview_place(out), table_place(out)


def read_record(out: Path) -> dict[str, Any]:
    """How an output was made; empty for any other file, and for none."""
    place = record_place(out)
    try:
        if place.stat().st_size > LARGEST_JSON:
            return {}
        made = json.loads(place.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return made if isinstance(made, dict) and "key" in made else {}


def _may_write(out: Path, job: InpaintJob) -> None:
    """Refuses to replace what may not be replaced: without leave anything, and a folder of other things in any case."""
    if out.is_dir() and any(out.iterdir()) and not read_record(out):
        raise InputError(f"{out} is a folder and no output of inpaint, so it is never replaced; give another -o")
    if job.overwrite:
        return
    if not (job.resume or out.exists()) and unfinished(out):
        raise InputError(f"{out} was begun by another run; pass --resume to go on where that stopped, "
                         "--overwrite to begin again, or another -o")
    stopped = job.resume and not out.exists()  # what stands beside is of a run that was killed
    for place in _outputs(out):
        if place.exists() and not stopped and not (job.resume and read_record(out)):
            raise InputError(f"{place} exists{' and is no output of inpaint' if job.resume else ''}; "
                             "pass --overwrite to replace it, or another -o")


class _Picture:
    """The one frame of a scene that becomes one picture; what `SceneWriter` is for more."""

    done: frozenset[int] = frozenset()

    def __init__(self) -> None:
        self.provenance: dict[str, Any] = {}

    def put(self, index: int, frame: Tensor) -> None:
        self.frame = frame

    def read(self, index: int) -> Tensor:
        return self.frame


@contextmanager
def _one_picture(out: Path) -> Iterator[_Picture]:
    """Writes the picture and its JSON when all went well."""
    with new_output(out) as folder:
        picture = _Picture()
        yield picture
        (folder / out.name).write_bytes(encode_png(picture.frame.permute(1, 2, 0).contiguous().numpy()))
        text = json.dumps(picture.provenance, allow_nan=False, sort_keys=True, indent=1) + "\n"
        (folder / record_place(out).name).write_text(text, "utf-8")


def _writer(out: Path, scene: Scene, key: str, job: InpaintJob) -> Any:
    if out.suffix == ".png":
        return _one_picture(out)
    return SceneWriter(out, size=scene.size, count=scene.count, names=scene.frame_name, fps=scene.fps, key=key,
                       overwrite=True, resume=job.resume)


def _restore(scene: Scene, ahead: Scene, writer: SceneWriter | _Picture, job: InpaintJob) -> Told:
    """All frames in order. `ahead` gathers what a stretch shows before `scene` restores it; each reads in order."""
    told, plan = Told(), job.plan
    done, advance = writer.done, job.progress(scene.name, scene.count)
    for stretch in stretches(ahead):
        for index in range(stretch.first, stretch.last):
            now = view(scene, index)
            given = stretch.background.fill(now) if plan.temporal_fill else now
            hidden, left = (float((~one.known).double().mean()) for one in (now, given))
            told.hidden.append(hidden)
            told.seen_elsewhere.append(1 - left / hidden if hidden > 0 else 0.0)
            if index not in done:
                begins = plan.warm_start is None or (stretch.after_cut and index == stretch.first)
                restored = inpaint_frame(given.frame, given.known, job.prior, plan, device=job.device,
                                         before=None if begins else writer.read(index - 1))
                writer.put(index, torch.where(now.known, now.frame, restored))
            advance()
    return told


def _scores(scene: Scene, writer: SceneWriter | _Picture) -> tuple[SceneScore | None, list[FrameScore]]:
    """Scores where there is a truth, and how much the fill changes from frame to frame in any case."""
    if scene.reference is not None:
        return score_scene((writer.read(index) for index in range(scene.count)), scene, protocol="dreaming-corrected")
    rows, before = [], None
    for index in range(scene.count):
        frame, hole = writer.read(index).float(), ~scene.mask(index)
        change = None
        if before is not None and bool((region := (hole | before[1])[0]).any()):
            change = float((frame - before[0]).abs()[:, region].mean())
        rows.append(FrameScore(scene.name, index, float(hole.double().mean()), change=change))
        before = frame, hole
    return None, rows


def _provenance(scene: Scene, look: Look, key: str, told: Told, scores: SceneScore | None, job: InpaintJob, source: Path,
                mask: Path | None) -> dict[str, Any]:
    """How an output was made: nothing of the hour, so that a rerun gives the same bytes."""
    plan = job.plan
    return {
        "medrestore": version("medrestore"), "torch": torch.__version__, "device": job.device, "config": job.config, "key": key,
        "input": {"path": str(source), "mask": None if mask is None else str(mask), "scene": scene.name, "frames": scene.count,
                  "size": list(scene.size), "fingerprint": look.fingerprint, "notes": list(scene.notes)},
        "mask_means": scene.masks.meaning, "hole_fraction": look.survey.hole_fraction, "prior_sha256": job.prior_hash,
        "method": repr(plan.method), "levels": plan.levels(job.prior, plan.start_sigma),
        "warm_levels": None if plan.warm_start is None else plan.levels(job.prior, plan.warm_start),
        "seeds": list(range(plan.seed, plan.seed + plan.samples)), "frames": asdict(told),
        "scores": None if scores is None else {name: _finite(value) for name, value in asdict(scores).items()},
    }


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _summary(scene: Scene, look: Look, out: Path, job: InpaintJob) -> Iterator[str]:
    """The lines before the work."""
    plan, survey, (height, width) = job.plan, look.survey, scene.size
    calls = (len(plan.levels(job.prior, plan.start_sigma)) - 1) * look.windows * plan.samples
    minutes = _seconds_a_call(job) * calls / 60
    yield (
        f"{scene.name}: {scene.count} {'frame' if scene.count == 1 else 'frames'} of {width} x {height}, "
        f"{survey.hole_fraction:.1%} hidden ({f'masks grown by {plan.grow} pixels, ' if plan.grow else ''}white means "
        f"{scene.masks.meaning}; at most {max(survey.fractions):.1%} of a frame); "
        f"prior {job.config.get('prior', '')}, {type(plan.method).__name__}, {plan.steps} steps, at most {look.windows} "
        f"{'window' if look.windows == 1 else 'windows'}, " + ("under a minute" if minutes < 1 else f"about {minutes:.0f} min")
    )
    if survey.empty and scene.count > 1:
        yield f"{scene.name}: {len(survey.empty)} frames with nothing hidden pass through as they are"
    if out.suffix == ".mp4":
        yield H264_WARNING


def _seconds_a_call(job: InpaintJob) -> float:
    """What one network call on one window takes here, measured."""
    x = torch.zeros(1, job.prior.channels, *job.plan.grid(job.prior)[0], device=job.device)
    started = time.monotonic()
    with torch.no_grad():
        job.prior(x, 1.0).sum().item()  # waits for the device
    return time.monotonic() - started


def _report(scene: Scene, scores: SceneScore | None, rows: list[FrameScore], told: Told | None) -> Iterator[str]:
    """The lines after the work."""
    if scene.count > 1 and told is not None:
        shown = sum(h * s for h, s in zip(told.hidden, told.seen_elsewhere, strict=True)) / sum(told.hidden)
        yield f"{scene.name}: {shown:.1%} of what was hidden was seen in other frames and taken from there"
    if scores is not None:
        yield f"{'':16s} {'PSNR dB':>8s} {'SSIM':>7s}   (dreaming-corrected)"
        for name, psnr, ssim in (("whole frame", scores.psnr, scores.ssim), ("hole alone", scores.hole_psnr, scores.hole_ssim)):
            yield f"{name:16s} {psnr:8.2f} {'' if ssim is None else f'{ssim:7.4f}'}"
        if scores.flicker is not None:
            yield f"flicker {scores.flicker:+.2f} grey levels (change in the hole from frame to frame, less that of the truth)"
    elif changes := [row.change for row in rows if row.change is not None]:
        yield f"change in the hole from frame to frame {sum(changes) / len(changes):.2f} grey levels"
