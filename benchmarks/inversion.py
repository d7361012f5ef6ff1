"""The numbers of docs/inversion.md: inversion of the sampler, operators that are not linear, coil maps found with the image.

Each part writes benchmarks/results/inversion-PART.json; `figures` draws docs/inversion-*.png from them and from what they kept.

    python benchmarks/inversion.py nonlinear --volumes V.npz    # JPEG, saturation, varying blur, phase retrieval
    python benchmarks/inversion.py trajectory                   # SHRED's estimate by iteration
    python benchmarks/inversion.py blind --volumes V.npz        # unknown kernels, beside SelfDeblur, on MR slices
    python benchmarks/inversion.py blind                        # the same on scenes
    python benchmarks/inversion.py frames --images 4            # blurred frames, filled with and without their blur
    python benchmarks/inversion.py maps --scan FILE.mat         # coil maps from few calibration lines
    python benchmarks/inversion.py figures
    python benchmarks/inversion.py page                         # tables of unknown kernels and of frames, from what is stored
"""

import argparse
import json
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fill import fill
from torch import Tensor

from medrestore.baselines import SelfDeblur, rss
from medrestore.codecs import ComplexChannels, Interval, OneChannel
from medrestore.datasets.brain import load_volumes
from medrestore.datasets.scenes import render_frame
from medrestore.inpainting import Plan, inpaint_frame
from medrestore.inpainting.blur import kernel_of_frame
from medrestore.inpainting.frame import smooth_fill
from medrestore.inversion import Blind, kernel_correlation, restore_blind
from medrestore.inversion.trajectory import Gradient
from medrestore.io import read_kspace
from medrestore.levels import karras
from medrestore.methods import HQS, SHRED
from medrestore.metrics import psnr
from medrestore.mri import sampling_mask
from medrestore.operators import (
    JPEG,
    CircularBlur,
    Operator,
    PhaseRetrieval,
    ReflectingBlur,
    Saturation,
    motion_kernel,
    sample_pixels,
    varying_blur,
)
from medrestore.priors import Prior, load
from medrestore.problem import Problem
from medrestore.recon import reconstruct
from medrestore.restoration import restore

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
SIDE, WIDE = 64, 128  # pixels; of unknown kernels, which reach far, the second
FRAME = (144, 256)  # pixels, of frames
BLIND = ["DiffusionEM", "blind SHRED, shortcut", "SelfDeblur"]
HELD_OUT = 5000  # seed of scenes that no training used
SUBJECTS = range(52, 60)  # of the volumes, that no training used
KEPT = ROOT / "benchmarks" / "kept"  # images for the figures, not committed


def scene(number: int, size: int = SIDE) -> Tensor:
    """A held-out scene (1, 3, h, w) in [0, 1]."""
    return render_frame(HELD_OUT, number, 0, size=(size, size)).truth[None]


def slice_of(volumes: Tensor, number: int, size: int = SIDE) -> Tensor:
    """The middle of a held-out slice (1, 1, h, w), bright tissue about 1."""
    image = volumes[SUBJECTS[number % len(SUBJECTS)], 9]
    top, left = ((side - size) // 2 for side in image.shape)
    image = image[top : top + size, left : left + size]
    return (image / image.quantile(0.99))[None, None]


def noise_like(x: Tensor, seed: int) -> Tensor:
    return torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))


def quality(image: Tensor, truth: Tensor) -> float:
    """PSNR; the images are laid over one another first, as kernels and Fourier magnitudes leave a shift open."""
    a, b = image.abs() if image.is_complex() else image, truth
    match = torch.fft.ifft2(torch.fft.fft2(b).mul(torch.fft.fft2(a).conj()).sum((0, 1))).real
    at = divmod(int(match.argmax()), a.shape[-1])
    return psnr(a.roll(at, (-2, -1)).numpy(), b.numpy(), data_range=float(b.max()))


def write(part: str, rows: list[dict[str, Any]]) -> None:
    """Stored after every row, so that a run that is stopped leaves what it measured."""
    (RESULTS / f"inversion-{part}.json").write_text(json.dumps(rows, indent=1) + "\n")


def store(part: str, row: dict[str, Any], *keys: str) -> None:
    """A row beside those that are stored, in place of the one with the same values of the keys."""
    path = RESULTS / f"inversion-{part}.json"
    rows = json.loads(path.read_text()) if path.is_file() else []
    write(part, [*(one for one in rows if any(one[key] != row[key] for key in keys)), row])


def keep(name: str, **images: Tensor) -> None:
    """Arrays for the figures."""
    KEPT.mkdir(exist_ok=True)
    np.savez(KEPT / f"{name}.npz", **{key: image.detach().numpy() for key, image in images.items()})


def anisotropic(seed: int, side: int = 41) -> Tensor:
    """A random Gaussian kernel: std 1.5 to 3.5 pixels along one direction, 0.6 to 1.6 across."""
    turn, long, short = torch.rand(3, generator=torch.Generator().manual_seed(seed)).tolist()
    at = torch.arange(side) - side // 2
    along = at * math.cos(math.pi * turn) + at[:, None] * math.sin(math.pi * turn)
    across = at[:, None] * math.cos(math.pi * turn) - at * math.sin(math.pi * turn)
    kernel = torch.exp(-0.5 * ((along / (1.5 + 2 * long)) ** 2 + (across / (0.6 + short)) ** 2))
    return kernel / kernel.sum()


def moving(seed: int, side: int = 41) -> Tensor:
    """A random straight motion of 5 to 11 pixels, in a field of zeros."""
    angle, length = torch.rand(2, generator=torch.Generator().manual_seed(seed)).tolist()
    kernel = motion_kernel(5 + 6 * length, 180 * angle)
    margin = (side - kernel.shape[-1]) // 2
    return torch.nn.functional.pad(kernel, (margin,) * 4)


def nonlinear(images: int, volumes: Path, *, steps: int = 25, longer: int = 60) -> None:
    """MR slices behind what is not linear or has no spectrum: HQS as `restore` takes it, beside what one sees without."""
    kernels = torch.zeros(2, 2, 15, 15)
    for k, kernel in enumerate(motion_kernel(*each) for each in ((9.0, 20.0), (7.0, 70.0), (5.0, 120.0), (9.0, 160.0))):
        margin = (15 - kernel.shape[-1]) // 2
        kernels[k // 2, k % 2] = torch.nn.functional.pad(kernel, (margin,) * 4)
    white = 1.2  # bright tissue is about 1
    tasks: dict[str, tuple[Operator, float, Callable[[Tensor], Tensor]]] = {
        "JPEG, quality 10": (JPEG(10, high=white), 0.0, lambda y: y),
        "JPEG, quality 40": (JPEG(40, high=white), 0.0, lambda y: y),
        "saturation, gain 2": (Saturation(2.0), 0.01, lambda y: y / 2),
        "varying motion blur": (varying_blur(kernels, (WIDE, WIDE)), 0.01, lambda y: y),
        "phase retrieval": (PhaseRetrieval(), 0.005, without_phase),
    }
    stored, prior = load_volumes(volumes), load("brain-mr-starter", device="cpu", bf16=False)
    for number in range(images):
        truth = slice_of(stored, number, WIDE)
        for name, (operator, sigma, naive) in tasks.items():
            clean = operator(truth)
            seen = naive(y := clean + sigma * noise_like(clean, number))
            phaseless = isinstance(operator, PhaseRetrieval)
            began = time.perf_counter()
            made = restore(Problem(operator, y, sigma), prior, HQS(order=2), codec=OneChannel.magnitude(1.0), size=(WIDE, WIDE),
                           seed=number, levels=karras(longer if phaseless else steps, 2.0, 0.005), samples=2 if phaseless else 1)
            restored = made.best[None]
            keep(f"nonlinear {name} {number}", truth=truth, naive=seen, restored=restored)
            scored = alike if phaseless else direct
            row = {"task": name, "image": number, "naive": round(scored(seen, truth), 2),
                   "HQS": round(scored(restored, truth), 2), "misfit": round(float(made.misfit.min()), 2),
                   "seconds": round(time.perf_counter() - began, 1)}
            print(row, flush=True)
            store("nonlinear", row, "task", "image")


def without_phase(y: Tensor) -> Tensor:
    """The image of which the moduli are the transform, all phases zero."""
    return torch.fft.ifft2(y.to(torch.complex64), norm="ortho")[..., :WIDE, :WIDE].real


def direct(image: Tensor, truth: Tensor) -> float:
    """PSNR in place."""
    return psnr(image.numpy(), truth.numpy(), data_range=float(truth.max()))


def alike(image: Tensor, truth: Tensor) -> float:
    """PSNR of whichever of the images with the same Fourier moduli is nearest: shifted, negative, turned by half."""
    return max(quality(one, truth) for some in (image, -image) for one in (some, some.flip(2, 3)))


def trajectory(iterations: int) -> None:
    """A scene of which half of the pixels are left out: what the estimate is after 1, 2, 4, 8, ... iterations."""
    prior, truth = load("surgical-starter", device="cpu", bf16=False), scene(0)
    operator = sample_pixels((SIDE, SIDE), 0.5, generator=torch.Generator().manual_seed(0))
    problem = Problem(operator, operator(truth), 0.0)
    gradients: tuple[Gradient, ...] = ("shortcut", "full")
    for gradient in gradients:
        seen: dict[str, Tensor] = {}

        def look(i: int, x: Tensor, seen: dict[str, Tensor] = seen) -> None:
            if (i + 1) & i == 0:
                image = Interval(0.0, 1.0).decode(x)
                seen[f"{i + 1}, {psnr(image.clamp(0, 1).numpy(), truth.numpy(), data_range=1.0):.1f} dB"] = image

        began = time.perf_counter()
        method = SHRED(lr=0.05, iterations=iterations, gradient=gradient)
        restore(problem, prior, method, levels=karras(5, 20.0, 0.005), on_step=look)
        row = {"gradient": gradient, "seen": list(seen), "seconds": round(time.perf_counter() - began, 1)}
        print(row, flush=True)
        keep(f"trajectory {gradient}", truth=truth, data=problem.y, **seen)
        store("trajectory", row, "gradient")


def blind(images: int, iterations: int, steps: int, volumes: Path | None, methods: Sequence[str]) -> None:
    """Images blurred by random kernels of size 41: MR slices of the volumes, or scenes where there are none."""
    part = "blind-scenes" if volumes is None else "blind"
    prior = load("surgical-starter" if volumes is None else "brain-mr-starter", device="cpu", bf16=False)
    stored = None if volumes is None else load_volumes(volumes)
    for number in range(images):
        truth = scene(number, WIDE) if stored is None else slice_of(stored, number, WIDE)
        kernel = anisotropic(number) if number % 2 == 0 else moving(number)
        y = blurred(truth, kernel, number, is_complex=stored is not None)
        for name in methods:
            began = time.perf_counter()
            image, found = deblurred(name, y, prior, number, iterations, steps)
            row = {"method": name, "image": number, "kernel": "gaussian" if number % 2 == 0 else "motion",
                   "blurred": round(quality(y, truth), 2), "PSNR": round(quality(image, truth), 2),
                   "correlation": round(kernel_correlation(found, kernel), 3),
                   "seconds": round(time.perf_counter() - began, 1)}
            print(row, flush=True)
            keep(f"{part} {name} {number}", truth=truth, data=y.abs(), restored=image.abs(), kernel=kernel, found=found)
            store(part, row, "method", "image")


def blurred(truth: Tensor, kernel: Tensor, seed: int, *, is_complex: bool) -> Tensor:
    """An image behind a kernel, the image repeating beyond its edges, and noise of std 0.01 in every real number."""
    noise = noise_like(truth, seed)
    if is_complex:
        truth, noise = truth.to(torch.complex64), torch.complex(noise, noise_like(noise, 100 + seed))
    return CircularBlur(kernel, (truth.shape[-2], truth.shape[-1]))(truth) + 0.01 * noise


def deblurred(name: str, y: Tensor, prior: Prior, seed: int, iterations: int, steps: int) -> tuple[Tensor, Tensor]:
    """Image and kernel as a method finds them."""
    if name == "SelfDeblur":  # of magnitudes: its network then draws images that are not negative, as the paper's does
        return SelfDeblur(steps=steps, seed=seed).deblur(y.abs() if y.is_complex() else y.clamp(min=0))
    codec = ComplexChannels(1.0) if y.is_complex() else None
    if name == "DiffusionEM":
        made = restore_blind(y, prior, sigma=0.01, codec=codec, seed=seed)
    else:
        method = Blind(lr=0.02, kernel_lr=2e-3, iterations=iterations, gradient="shortcut")
        made = restore_blind(y, prior, method, sigma=0.01, codec=codec, levels=karras(5, 5.0, 0.01), seed=seed)
    return made.best[None], made.kernel


def frames(images: int) -> None:
    """Blurred frames of held-out scenes behind hands and instruments, and behind a bar: `inpaint` with and without `blur`."""
    prior = load("surgical-starter", device="cpu", bf16=False)
    kinds = {"ddnm+": Plan(bf16=False), "diffpir": Plan(method="diffpir", bf16=False),
             "diffpir, blur 21": Plan(method="diffpir", blur=21, bf16=False)}
    bar = torch.ones(FRAME, dtype=torch.bool)
    bar[:110, 90:104] = False
    for number in range(images):
        shown = render_frame(HELD_OUT, number % 3, 120 + number // 3 * 180, size=FRAME)
        kernel = anisotropic(number, 21) if number % 2 == 0 else moving(number, 21)
        grey = ReflectingBlur(kernel, FRAME)(255 * shown.truth[None])[0]
        truth = (grey + noise_like(grey, number)).round().clamp(0, 255).to(torch.uint8)
        for hole, known in (("hands and instruments", shown.known), ("bar", bar)):
            frame = torch.where(known, truth, 0)
            found = kernel_of_frame(frame, known, 21, prior, Interval(0.0, 1.0), kinds["diffpir, blur 21"])
            row: dict[str, Any] = {"image": number, "hole": hole, "kernel": "gaussian" if number % 2 == 0 else "motion",
                                   "hidden": round(float((~known).float().mean()), 3),
                                   "correlation": round(kernel_correlation(found, kernel), 3),
                                   "smooth": in_hole(smooth_fill(frame, known), truth, ~known)}
            for name, plan in kinds.items():
                began = time.perf_counter()
                filled = inpaint_frame(frame, known, prior, plan)
                assert torch.equal(filled[:, known], frame[:, known])
                row[name] = in_hole(filled, truth, ~known) | {"seconds": round(time.perf_counter() - began, 1)}
                keep(f"frames {name} {hole} {number}", truth=truth, frame=frame, filled=filled)
            print(row, flush=True)
            store("frames", row, "image", "hole")


def in_hole(filled: Tensor, truth: Tensor, hidden: Tensor) -> dict[str, float]:
    """PSNR of what was filled in, and how steep it is there by what is true."""
    a, b = filled.float(), truth.float()

    def steep(image: Tensor) -> float:
        down, along = image.diff(dim=1)[:, :, :-1], image.diff(dim=2)[:, :-1]
        return float((down.square() + along.square()).sqrt()[:, hidden[:-1, :-1]].mean())

    return {"PSNR": round(psnr(a[:, hidden].numpy(), b[:, hidden].numpy(), data_range=255.0), 2),
            "gradient": round(steep(a) / steep(b), 2)}


def maps(scan: Path) -> None:
    """The real 16-coil scan at 3x: ESPIRiT from 10 and 16 calibration lines, and maps refined with the image."""
    with read_kspace(scan, dataset="raw", axes=("coil", "slice", "row", "col")) as file:
        kspace = file[0].kspace
    reference = rss(kspace)[0, 0].numpy()
    prior = load("brain-mr-starter", device="cpu", bf16=False)
    rows: list[dict[str, Any]] = []
    for lines in (10, 16):
        mask = sampling_mask("uniform1d", (kspace.shape[-2], kspace.shape[-1]), 3, acs=lines, seed=0).mask
        for refined in (False, True):
            began = time.perf_counter()
            made = reconstruct((kspace * mask)[0].numpy(), mask.numpy(), prior=prior, refine_maps=refined)
            peak = float(reference.max())
            rows.append({"lines": lines, "refined": refined,
                         "HQS": round(psnr(np.abs(made.image), reference, data_range=peak), 2),
                         "CG-SENSE": round(psnr(np.abs(made.cg_sense), reference, data_range=peak), 2),
                         "notes": list(made.slices[0].prepared.notes), "seconds": round(time.perf_counter() - began, 1)})
            print(rows[-1], flush=True)
            keep(f"maps {lines} {refined}", reference=torch.from_numpy(reference), restored=torch.from_numpy(np.abs(made.image)))
            write("maps", rows)


def figures() -> None:
    """What is kept of each part, truth, data and results side by side."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    for part in ("nonlinear", "trajectory", "blind", "blind-scenes", "maps"):
        files = sorted(KEPT.glob(f"{part} *.npz"))[:4]
        if not files:
            continue
        stored = [dict(np.load(path)) for path in files]
        columns = max(map(len, stored))
        figure, axes = plt.subplots(len(files), columns, figsize=(1.4 * columns, 1.5 * len(files)), squeeze=False)
        for row, path, images in zip(axes, files, stored, strict=True):
            for axis in row:
                axis.axis("off")
            for axis, (name, image) in zip(row, images.items(), strict=False):
                shown = image.reshape(-1, *image.shape[-2:])
                rgb = len(shown) == 3
                axis.imshow(shown.transpose(1, 2, 0).clip(0, 1) if rgb else shown[0], cmap=None if rgb else "gray")
                axis.set_title(name, fontsize=6)
            row[0].text(-0.05, 0.5, path.stem.removeprefix(f"{part} "), fontsize=5, rotation=90, va="center", ha="right",
                        transform=row[0].transAxes)
        figure.tight_layout(pad=0.2)
        figure.savefig(ROOT / "docs" / f"inversion-{part}.png", dpi=80)
        plt.close(figure)


def page() -> None:
    """Puts the tables between the marks of docs/inversion.md."""
    stored = {part: json.loads((RESULTS / f"inversion-{part}.json").read_text()) for part in ("blind", "blind-scenes", "frames")}
    said = {"blind": "MR slices of held-out subjects 52 to 59:",
            "blind-scenes": "Rendered scenes of a seed that no training used, in colour:"}
    tables = [f"{about}\n\n{blind_table(stored[part])}" for part, about in said.items()]
    fill(ROOT / "docs" / "inversion.md", "blind", "\n\n".join(tables))
    fill(ROOT / "docs" / "inversion.md", "frames", frames_table(stored["frames"]))


def blind_table(rows: list[dict[str, Any]]) -> str:
    """An image a line, "-" where a method was not run."""
    by = {(row["method"], row["image"]): row for row in rows}
    lines = ["| kernel | image | blurred, dB | DiffusionEM, dB | kernel correlation | SelfDeblur, dB | kernel correlation |",
             "|---" * 7 + "|"]
    for (method, number), row in sorted(by.items(), key=lambda one: one[0][1]):
        if method != "DiffusionEM":
            continue
        other = by.get(("SelfDeblur", number))
        compared = "- | -" if other is None else f"{other['PSNR']:.2f} | {other['correlation']:.3f}"
        lines.append(f"| {row['kernel']} | {number} | {row['blurred']:.2f} | {row['PSNR']:.2f} | {row['correlation']:.3f} | "
                     f"{compared} |")
    return "\n".join(lines)


def frames_table(rows: list[dict[str, Any]]) -> str:
    """A frame a line: PSNR in the hole, and the mean gradient there by that of the truth."""
    methods = [name for name, value in rows[0].items() if isinstance(value, dict)]
    lines = [f"| hole | kernel | hidden | kernel correlation | {' | '.join(methods)} |", "|---" * (4 + len(methods)) + "|"]
    for row in sorted(rows, key=lambda one: one["hole"]):
        cells = [f"{row[name]['PSNR']:.1f} dB, {row[name]['gradient']:.2f}" for name in methods]
        lines.append(f"| {row['hole']} | {row['kernel']} | {row['hidden']:.0%} | {row['correlation']:.2f} | "
                     f"{' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("nonlinear", "trajectory", "blind", "frames", "maps", "figures", "page"))
    parser.add_argument("--images", type=int, default=2)
    parser.add_argument("--iterations", type=int, default=60)
    parser.add_argument("--steps", type=int, default=800, help="of SelfDeblur")
    parser.add_argument("--methods", nargs="+", default=BLIND, choices=BLIND, help="of unknown kernels")
    parser.add_argument("--volumes", type=Path, help="npz of the volumes whose subjects 52 to 59 are held out")
    parser.add_argument("--scan", type=Path, help="the 16-coil scan")
    args = parser.parse_args()
    if args.part == "nonlinear" and args.volumes is None:
        parser.error(f"{args.part} needs --volumes")
    if args.part == "nonlinear":
        nonlinear(args.images, args.volumes)
    elif args.part == "trajectory":
        trajectory(args.iterations)
    elif args.part == "blind":
        blind(args.images, args.iterations, args.steps, args.volumes, args.methods)
    elif args.part == "frames":
        frames(args.images)
    elif args.part == "maps":
        maps(args.scan)
    elif args.part == "figures":
        figures()
    else:
        page()


if __name__ == "__main__":
    main()
