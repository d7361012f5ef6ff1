"""The main jobs on what ships, with picture and numbers: a simulated 8-coil brain scan at 4x, or a clip of an operation.

Examples:
  medrestore demo
  medrestore demo --accel 8 -o demo8.png
  medrestore demo surgical
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from ..errors import InputError
from ..settings import Bounds
from .command import Command
from .options import POSITIONAL
from .terminal import progress, say

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from ..io.scenes.base import Scene

WEIGHTS = (1e-3, 2e-3, 5e-3, 1e-2, 2e-2)
SCENE, SIZE = 1010, (270, 480)  # of the simulated operation; scenes from 1000 on train no shipped prior
FRAMES, PACE = 8, 20  # frames of the clip, and moments of the scene from one to the next
WINDOW, START = 128, 1.0  # pixels; noise level at which DDNM+ goes on from the smooth fill


@dataclass(frozen=True)
class Options:
    """The options of `demo`.

    Args:
        what: which of them
        out: the picture
        accel: mri: acceleration, along the phase-encode axis
        steps: network calls a sample of DDS (HQS takes twice as many, once), or a window of DDNM+
        samples: mri: posterior samples of DDS; its image is their mean
        overwrite: replace an existing picture
    """

    what: Annotated[Literal["mri", "surgical"], POSITIONAL] = "mri"
    out: str = "medrestore-demo.png"
    accel: Annotated[float, Bounds(at_least=1)] = 4.0
    steps: Annotated[int, Bounds(at_least=2)] = 25
    samples: Annotated[int, Bounds(at_least=1)] = 4
    overwrite: bool = False


def run(options: Options) -> int:
    """Restores the sample and prints a table."""
    if Path(options.out).suffix.lower() != ".png":
        raise InputError(f"{options.out} is no .png file name; the demo writes a picture")
    if Path(options.out).is_dir():
        raise InputError(f"{options.out} is a folder; give -o the name of a picture")
    if Path(options.out).exists() and not options.overwrite:
        raise InputError(f"{options.out} exists; pass --overwrite to replace it, or another -o")
    return _surgical(options) if options.what == "surgical" else _mri(options)


def _mri(options: Options) -> int:
    from ..baselines import CGSense, L1Wavelet
    from ..devices import default_device
    from ..io import read_kspace
    from ..priors import load
    from ..recon.plan import Plan, Undersampling
    from ..recon.preparation import prepare
    from ..recon.records import volume_scores
    from ..report import Column, panel
    from ..restoration import restore
    from ..shipped import samples

    started, device = time.monotonic(), default_device()
    scan = read_kspace(samples()["brain-scan"])[0]
    asked = Undersampling("uniform1d", options.accel)
    sampled = Plan("dds", steps=options.steps, samples=options.samples, undersample=asked)
    single = replace(sampled, method="hqs", steps=2 * options.steps, samples=1)
    plans = {f"DDS, mean of {options.samples}": sampled, "HQS": single}
    prior = load("brain-mr-starter", device=device, bf16=True)
    ready = prepare(scan, sampled, device=device)
    sense, truth = ready.sense, ready.reference
    assert truth is not None  # the sample is fully sampled
    say(f"8 simulated coils, {tuple(truth.shape)} pixels, {ready.sampling.acceleration:.2f}x along one axis, "
        f"{ready.sampling.acs} calibration lines, noise {ready.problem.sigma:.3g} ({ready.noise_source}); on {device}")

    def shown(image: "Tensor") -> "Tensor":
        return ready.shown(image).abs().cpu()

    images = {"zero-filled": shown(ready.sense.adjoint(ready.kspace)[0, 0])}
    for name, kind in (("CG-SENSE", CGSense), ("L1-wavelet", L1Wavelet)):
        tried = [shown(kind(lam=lam).reconstruct(ready.kspace, sense.maps, sense.mask)[0, 0]) for lam in WEIGHTS]
        images[f"{name}, best weight"] = max(tried, key=lambda image: volume_scores([image], [truth]).psnr)
    for name, plan in plans.items():
        advance = progress(name, plan.steps * -(-plan.samples // plan.batch_size))
        result = restore(ready.problem, prior, plan.sampler, levels=plan.levels(prior), samples=plan.samples,
                         batch_size=plan.batch_size, on_step=_stepped(advance))
        images[name] = shown(result.mean[0])
        if plan is sampled:
            spread = shown(result.std[0])
    say(f"{'':24s} {'PSNR dB':>8s} {'SSIM':>7s} {'NMSE':>8s}")
    scores = {name: volume_scores([image], [truth]) for name, image in images.items()}
    for name, score in scores.items():
        say(f"{name:24s} {score.psnr:8.2f} {score.ssim:7.4f} {score.nmse:8.5f}")
    peak = float(truth.max())
    columns = [Column(f"{name}: {scores[name].psnr:.1f} dB", image, peak) for name, image in images.items()]
    columns.insert(len(images) - len(plans), Column("truth", truth, peak))
    columns += [Column("HQS, error x 5", (images["HQS"] - truth).abs(), peak / 5), Column("DDS, spread x 10", spread, peak / 10)]
    title = f"{ready.sampling.acceleration:.1f}x undersampled, 8 coils. Research use only."
    panel(columns, Path(options.out), title=title, rows=2)
    say(f"{options.out}  ({time.monotonic() - started:.0f} s)")
    return 0


def _stepped(advance: Callable[[], None]) -> "Callable[[int, Tensor], None]":
    """`advance` as what a loop calls after each step."""
    return lambda step, x: advance()


def _clip(frames: int) -> "Scene":
    """A rendered clip: the camera stands still, and instruments and hands move in front of the site."""
    import numpy as np
    import torch

    from ..datasets.scenes import render_frame
    from ..inpainting.arrays import ArrayFrames
    from ..io.frames.masks import Masks
    from ..io.scenes.base import Scene

    def pixels(picture: "Tensor") -> "np.ndarray":
        return np.ascontiguousarray((255 * picture).round().to(torch.uint8).permute(1, 2, 0).numpy())

    advance, taken = progress("rendering", frames), []
    for index in range(frames):
        taken.append(render_frame(0, SCENE, PACE * index, size=SIZE))
        advance()
    masks = ArrayFrames([255 * one.known.numpy().astype(np.uint8) for one in taken], "the masks")
    return Scene(f"simulated scene {SCENE}", ArrayFrames([pixels(one.obstructed) for one in taken], "the clip"),
                 Masks(masks, "keep"), ArrayFrames([pixels(one.truth) for one in taken], "the truth"))


def _surgical(options: Options) -> int:
    from .. import shipped
    from ..priors import load

    if "surgical-starter" not in shipped.priors():
        raise InputError("the prior surgical-starter does not come with this copy of medrestore; "
                         "train it with medrestore train surgical-starter and use medrestore inpaint --prior")

    from ..devices import default_device
    from ..evaluation import score_scene
    from ..inpainting.frame import smooth_fill
    from ..inpainting.plan import Plan as InpaintPlan
    from ..inpainting.scene import fill_frames
    from ..report import frames_panel

    started, device = time.monotonic(), default_device()
    scene = _clip(FRAMES)
    prior = load("surgical-starter", device=device, bf16=True)
    plan = InpaintPlan(steps=options.steps, window=WINDOW, start_sigma=START)
    advance, filled = progress("filling", scene.count), []
    for one in fill_frames(scene, prior, plan, device=device):
        filled.append(one)
        advance()
    hidden = sum(one.coverage.hidden for one in filled)
    seen = sum(one.coverage.hidden * one.coverage.seen_elsewhere for one in filled) / hidden
    say(f"{scene.name}: {scene.count} frames of {SIZE[1]} x {SIZE[0]}, {hidden / scene.count:.1%} hidden; {seen:.1%} of that is "
        f"seen in other frames and taken from there, the rest is filled by DDNM+, {options.steps} steps; on {device}")
    truths = [truth for index in range(scene.count) if (truth := scene.truth(index)) is not None]
    fills = {"obstructed": list(scene.frames()),
             "smooth fill": [smooth_fill(scene.frame(index), scene.mask(index)[0]) for index in range(scene.count)],
             "restored": [one.frame for one in filled]}
    say(f"{'':16s} {'hole PSNR dB':>12s} {'hole SSIM':>10s} {'PSNR dB':>8s} {'SSIM':>7s} {'flicker':>8s} {'known changed':>14s}")
    for name, frames in fills.items():
        score, rows = score_scene(frames, scene)
        changed = sum(row.known_changed or 0 for row in rows)
        say(f"{name:16s} {score.hole_psnr:12.2f} {score.hole_ssim:10.4f} {score.psnr:8.2f} {score.ssim:7.4f} "
            f"{score.flicker or 0:+8.2f} {changed:14d}")
    say("the gain is what other frames show, as the camera stands still here; what no frame shows is imagined, and no nearer to "
        "the truth than a smooth fill (docs/inpainting.md)")
    shown = [[("obstructed", scene.frame(index)), ("smooth fill", fills["smooth fill"][index]), ("restored", filled[index].frame),
              ("truth", truths[index])] for index in (0, scene.count // 2)]
    frames_panel(shown, Path(options.out), title="A simulated operation, camera at rest. Research use only.")
    say(f"{options.out}  ({time.monotonic() - started:.0f} s)")
    return 0


COMMAND = Command("demo", Options, run, __doc__)
