"""The main jobs on what ships, with picture and numbers: a simulated 8-coil brain scan at 4x, or a simulated operation.

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
    from torch import Tensor

WEIGHTS = (1e-3, 2e-3, 5e-3, 1e-2, 2e-2)
SCENE, MOMENTS, SIZE = 1010, (0, 100), (270, 480)  # of the simulated operation; scenes from 1000 on train no shipped prior
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
    from ..recon.records import score
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
        images[f"{name}, best weight"] = max(tried, key=lambda image: score([image], [truth]).psnr)
    for name, plan in plans.items():
        advance = progress(name, plan.steps * -(-plan.samples // plan.batch_size))
        result = restore(ready.problem, prior, plan.sampler, levels=plan.levels(prior), samples=plan.samples,
                         batch_size=plan.batch_size, on_step=_stepped(advance))
        images[name] = shown(result.mean[0])
        if plan is sampled:
            spread = shown(result.std[0])
    say(f"{'':24s} {'PSNR dB':>8s} {'SSIM':>7s} {'NMSE':>8s}")
    for name, image in images.items():
        value = score([image], [truth])
        say(f"{name:24s} {value.psnr:8.2f} {value.ssim:7.4f} {value.nmse:8.5f}")
    peak = float(truth.max())
    columns = [Column(name, image, peak) for name, image in (images | {"truth": truth}).items()]
    columns.append(Column("DDS, spread x 10", spread, peak / 10))
    panel(columns, Path(options.out), title=f"{ready.sampling.acceleration:.1f}x undersampled, 8 coils. Research use only.")
    say(f"{options.out}  ({time.monotonic() - started:.0f} s)")
    return 0


def _stepped(advance: Callable[[], None]) -> "Callable[[int, Tensor], None]":
    """`advance` as what a loop calls after each step."""
    return lambda step, x: advance()


class _Operation:
    """Some moments of a simulated operation, as the scores take a scene."""

    name, count = f"simulated scene {SCENE}", len(MOMENTS)

    def __init__(self) -> None:
        import torch

        from ..datasets.scenes import render_frame

        self._frames = [render_frame(0, SCENE, moment, size=SIZE) for moment in MOMENTS]
        self._shown, self._truth = ([(255 * picture).round().to(torch.uint8) for picture in pictures] for pictures in (
            [frame.obstructed for frame in self._frames], [frame.truth for frame in self._frames]))

    def frame(self, index: int) -> "Tensor":
        return self._shown[index]

    def truth(self, index: int) -> "Tensor":
        return self._truth[index]

    def mask(self, index: int) -> "Tensor":
        return self._frames[index].known[None]


def _surgical(options: Options) -> int:
    from .. import shipped
    from ..priors import load

    if "surgical-starter" not in shipped.priors():
        raise InputError("the prior surgical-starter does not come with this copy of medrestore; "
                         "train it with medrestore train surgical-starter and use medrestore inpaint --prior")

    import torch

    from ..devices import default_device
    from ..evaluation import score_scene
    from ..inpainting.frame import inpaint_frame, smooth_fill
    from ..inpainting.plan import Plan as InpaintPlan
    from ..report import frames_panel

    started = time.monotonic()
    device, scene = default_device(), _Operation()
    prior = load("surgical-starter", device=device, bf16=True)
    plan = InpaintPlan(steps=options.steps, window=WINDOW, start_sigma=START)
    fills: dict[str, list[Tensor]] = {"obstructed": [], "mean fill": [], "smooth fill": [], "DDNM+": []}
    advance = progress("DDNM+", scene.count)
    for index in range(scene.count):
        frame, known = scene.frame(index), scene.mask(index)[0]
        mean = frame.float()[:, known].mean(1).round().to(torch.uint8)[:, None, None]
        fills["obstructed"].append(frame)
        fills["mean fill"].append(torch.where(known, frame, mean))
        fills["smooth fill"].append(smooth_fill(frame, known))
        fills["DDNM+"].append(inpaint_frame(frame, known, prior, plan, device=device))
        advance()
    hidden = sum(float((~scene.mask(index)).double().mean()) for index in range(scene.count)) / scene.count
    say(f"{scene.name}: {scene.count} frames of {SIZE[1]} x {SIZE[0]}, {hidden:.1%} hidden, {options.steps} steps, "
        f"begun at noise level {START:g} from the smooth fill; on {device}")
    say(f"{'':16s} {'hole PSNR dB':>12s} {'hole SSIM':>10s} {'PSNR dB':>8s} {'SSIM':>7s} {'known changed':>14s}")
    for name, frames in fills.items():
        score, rows = score_scene(frames, scene)
        changed = sum(row.known_changed or 0 for row in rows)
        say(f"{name:16s} {score.hole_psnr:12.2f} {score.hole_ssim:10.4f} {score.psnr:8.2f} {score.ssim:7.4f} {changed:14d}")
    shown = [[("obstructed", scene.frame(index)), ("restored", fills["DDNM+"][index]), ("truth", scene.truth(index))]
             for index in range(scene.count)]
    frames_panel(shown, Path(options.out), title="A simulated operation. Research use only: the fill is imagined.")
    say(f"{options.out}  ({time.monotonic() - started:.0f} s)")
    return 0


COMMAND = Command("demo", Options, run, __doc__)
