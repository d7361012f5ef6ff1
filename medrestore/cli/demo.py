"""The main job on what ships: a simulated 8-coil brain scan at 4x, restored, with picture and numbers.

Examples:
  medrestore demo
  medrestore demo --accel 8 -o demo8.png
"""

import time
from dataclasses import replace
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from ..errors import InputError
from .terminal import Help, progress, say

WEIGHTS = (1e-3, 2e-3, 5e-3, 1e-2, 2e-2)


def parser() -> ArgumentParser:
    """The options of `demo`."""
    p = ArgumentParser(description=__doc__, formatter_class=Help, exit_on_error=False)
    p.add_argument("-o", "--out", type=str, default="medrestore-demo.png", help="the picture")
    p.add_argument("--accel", type=float, default=4.0, help="acceleration, along the phase-encode axis")
    p.add_argument("--steps", type=int, default=25, help="network calls a sample of DDS; HQS takes twice as many, once")
    p.add_argument("--samples", type=int, default=4, help="posterior samples of DDS; its image is their mean")
    return p


def run(options: Namespace) -> int:
    """Restores the sample scan and prints a table."""
    if options.steps < 2 or options.samples < 1:
        raise InputError("--steps must be at least 2 and --samples at least 1")
    if Path(options.out).suffix != ".png":
        raise InputError(f"{options.out} is no .png file name; the demo writes a picture")

    from importlib.resources import files

    from .. import methods
    from ..baselines import CGSense, L1Wavelet
    from ..io import read_kspace
    from ..jobs.recon import Plan, Undersampling, plan_levels, prepare, score
    from ..priors import load
    from ..report import Column, panel
    from ..restoration import restore

    started = time.monotonic()
    scan = read_kspace(Path(str(files("medrestore.data"))) / "samples" / "brain-scan.h5")[0]
    asked = Undersampling("uniform1d", options.accel)
    sampled = Plan(methods.DDS(), steps=options.steps, samples=options.samples, undersample=asked)
    single = replace(sampled, method=methods.HQS(), steps=2 * options.steps, samples=1)
    plans = {f"DDS, mean of {options.samples}": sampled, "HQS": single}
    prior = load("brain-mr-starter", bf16=True)
    ready = prepare(scan, sampled)
    sense, truth = ready.sense, ready.reference
    say(f"8 simulated coils, {tuple(truth.shape)} pixels, {ready.sampling.acceleration:.2f}x along one axis, "
        f"{ready.sampling.acs} calibration lines, noise {ready.problem.sigma:.3g} ({ready.noise_source})")

    images = {"zero-filled": ready.shown(ready.sense.adjoint(ready.problem.y)[0, 0]).abs()}
    for name, kind in (("CG-SENSE", CGSense), ("L1-wavelet", L1Wavelet)):
        tried = [ready.shown(kind(lam=lam).reconstruct(ready.problem.y, sense.maps, sense.mask)[0, 0]).abs() for lam in WEIGHTS]
        images[f"{name}, best weight"] = max(tried, key=lambda image: score([image], [truth]).psnr)
    for name, plan in plans.items():
        advance = progress(name, plan.steps * -(-plan.samples // plan.batch_size))
        result = restore(ready.problem, prior, plan.method, levels=plan_levels(plan, prior), samples=plan.samples,
                         batch_size=plan.batch_size, on_step=lambda step, x, advance=advance: advance())
        images[name] = ready.shown(result.mean[0]).abs()
        if plan is sampled:
            spread = ready.shown(result.std[0])
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
