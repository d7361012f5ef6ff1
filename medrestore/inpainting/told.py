"""What is said of a scene before and after the work, for people."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from ..evaluation import FrameScore, SceneScore
from ..io.frames.masks import runs
from ..io.frames.video import H264_WARNING
from ..io.scenes.base import Scene
from ..jobs import about, seconds_of
from .job import Job
from .scene import FrameCoverage, Inspection


def lines_before(scene: Scene, inspection: Inspection, out: Path, job: Job) -> Iterator[str]:
    """The lines before the work."""
    plan, survey, (height, width) = job.plan, inspection.survey, scene.size
    levels = scene.masks.hole_values
    meaning = f"the levels {runs(levels)} hide" if levels else f"white means {scene.masks.meaning}"
    x = torch.zeros(1, job.prior.channels, *job.plan.grid(job.prior)[0], device=job.machine.place)
    seconds = seconds_of(lambda: job.prior(x, 1.0).sum().item(), job.machine.place)  # a window; `item` waits for the device
    minutes = seconds * window_count(inspection, job) / 60
    yield (
        f"{scene.name}: {scene.count} {'frame' if scene.count == 1 else 'frames'} of {width} x {height}, "
        f"{survey.hole_fraction:.1%} hidden ({f'masks grown by {plan.grow} pixels, ' if plan.grow else ''}{meaning}; "
        f"at most {max(survey.fractions):.1%} of a frame); "
        f"prior {job.prior_name}, {type(plan.sampler).__name__}, {plan.steps} steps, at most {inspection.windows} "
        f"{'window' if inspection.windows == 1 else 'windows'}, on {job.machine.place}, "
        + about(minutes)
    )
    if survey.empty and scene.count > 1:
        yield f"{scene.name}: {len(survey.empty)} frames with nothing hidden pass through as they are"
    if out.suffix == ".mp4":
        yield H264_WARNING


def window_count(inspection: Inspection, job: Job) -> int:
    """How many windows the network is given at most, those of coarser pictures left out."""
    plan = job.plan
    calls = plan.sampler.calls(len(plan.levels(job.prior, plan.start_sigma)) - 1)
    return calls * inspection.windows * plan.samples


def dropped(scene: Scene, out: Path) -> Iterator[str]:
    """What the frames know that the output has no place for."""
    if scene.geometry is not None and scene.geometry.fields and out.suffix.lower() != ".mha":
        yield (f"{scene.name}: spacing, origin and orientation are not carried over, which {out.suffix or 'png'} has no place "
               "for; name the output .mha to have them")
    if scene.times is not None and out.suffix.lower() not in (".mkv", ".mp4"):
        yield (f"{scene.name}: the frames are not evenly spaced in time, which {out.suffix or 'png'} has no place for; name the "
               "output .mkv or .mp4 to have their times")


def lines_after(scene: Scene, scores: SceneScore | None, rows: Sequence[FrameScore],
            coverages: Sequence[FrameCoverage]) -> Iterator[str]:
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
