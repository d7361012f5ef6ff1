"""One scene from files to files: the output published atomically, a stopped run resumed, a record of how it was made."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from ..errors import InputError
from ..evaluation import FrameScore, SceneScore, score_scene, write_frames_csv
from ..files import digest, preview_place, write_file
from ..io.scenes.base import Scene
from ..io.scenes.writer import SceneWriter
from ..jobs import made_with
from ..report.overlay import write_overlay
from ..settings import json_values, plain
from .job import Job
from .outputs import PictureWriter, check_output, check_replaced, is_done, one_picture, table_place, told_name
from .scene import FrameCoverage, Inspection, fill_frames, grown, inspect_scene, scene_fingerprint
from .told import dropped, lines_after, lines_before, window_count


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
        if job.writing.resume and is_done(out, key) and told_name(out) == job.writing.name_of(source):
            job.say(f"{out} is complete already")
            return False
        check_replaced(out, job.writing)
        for line in (*scene.notes, *dropped(scene, out), *lines_before(scene, inspection, out, job)):
            job.say(line)
        with _writer(out, scene, key, job) as writer:
            preview, table = (writer.beside / place(out).name for place in (preview_place, table_place))
            write_overlay(preview, scene.frame(inspection.fullest), scene.mask(inspection.fullest)[0])
            with _mask_shown(preview, preview_place(out), writer):
                coverages = _filled(given, ahead, writer, inspection, job)
                with opened() as again:
                    if scene_fingerprint(grown(again, job.plan.grow)) != inspection.fingerprint:
                        raise InputError(f"{source} was changed while it was read; run again once it is complete")
                shown = inspection.fullest
                truth = scene.truth(shown)
                write_overlay(preview, scene.frame(shown), scene.mask(shown)[0], writer.read(shown),
                              *(() if truth is None else (truth,)))
                scores, rows = _scene_scores(given, writer)  # by the masks as given, so that numbers compare
                write_frames_csv(table, [replace(row, scene=job.writing.name_of(row.scene)) for row in rows])
            writer.provenance = _scene_provenance(scene, inspection, key, coverages, scores, job, source, mask)
            writer.provenance["beside"] = {path.name: digest(path) for path in (preview, table)}
        for line in lines_after(scene, scores, rows, coverages if job.plan.temporal_fill else []):
            job.say(line)
        job.say(f"{out}  {preview_place(out).name}  {table_place(out).name}")
    return True


@contextmanager
def _mask_shown(preview: Path, place: Path, writer: SceneWriter | PictureWriter) -> Iterator[None]:
    """Has the picture of the mask at its place from the beginning, to look at, where it replaces nothing.

    It goes again where the block fails and leaves nothing to resume.
    """
    early = not os.path.lexists(place)
    if early:
        write_file(place, preview.read_bytes(), overwrite=False)
    try:
        yield
    except BaseException:
        if early and not writer.done:
            place.unlink(missing_ok=True)
        raise


def _writer(
    out: Path, scene: Scene, key: str, job: Job
) -> AbstractContextManager[SceneWriter | PictureWriter]:
    if out.suffix == ".png":
        return one_picture(out, replace=True)
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


def _filled(given: Scene, ahead: Scene, writer: SceneWriter | PictureWriter, inspection: Inspection,
            job: Job) -> list[FrameCoverage]:
    """Fills all frames and writes those that no earlier run has written."""
    done, coverages = writer.done, list[FrameCoverage]()
    alone = given.count == 1  # its progress is that of its windows
    job = job.watched(given.name, window_count(inspection, job)) if alone else job
    advance = (lambda: None) if alone else job.progress(given.name, given.count)
    for one in fill_frames(given, job.prior, job.plan, ahead=ahead, device=job.machine.place,
                           stored=lambda index: writer.read(index) if index in done else None):
        if one.computed:
            writer.put(one.index, one.frame)
        coverages.append(one.coverage)
        if job.show is not None:
            images = {"given": given.frame(one.index).permute(1, 2, 0), "restored": one.frame.permute(1, 2, 0)}
            job.show(one.index, images if one.spread is None else images | {"spread": one.spread})
        advance()
    return coverages


def _scene_scores(scene: Scene, writer: SceneWriter | PictureWriter) -> tuple[SceneScore | None, list[FrameScore]]:
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


def _scene_provenance(
    scene: Scene,
    inspection: Inspection,
    key: str,
    coverages: Sequence[FrameCoverage],
    scores: SceneScore | None,
    job: Job,
    source: Path,
    mask: Path | None,
) -> dict[str, Any]:
    """How an output was made; holds no time of day, so that a rerun gives the same bytes."""
    plan, names = job.plan, job.writing
    return {
        **made_with(job.machine.place),
        "config": plain(replace(plan, prior=job.recorded_prior(names), **plan.named(names))),
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
        "scores": None if scores is None else json_values(asdict(scores)),
    }
