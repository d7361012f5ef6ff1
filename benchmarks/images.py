"""Every task of `medrestore restore` on MR slices, by its default: PSNR against the image without a prior and interpolation.

    python benchmarks/images.py                          the slice that ships (data/samples), the middle 128 x 128 pixels
    python benchmarks/images.py --size 300 417           resampled to another size
    python benchmarks/images.py --volumes volumes.npz --subjects 52 54    slices of subjects that the prior has not seen
    python benchmarks/images.py --method ddnm+ --task denoise
    python benchmarks/images.py page                     writes docs/images.md anew from what is stored

Results go to benchmarks/results/images/, a JSON file for each set of slices, size and method.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch.nn.functional as F
from fill import fill
from torch import Tensor

import medrestore as mr
from medrestore.images.degradation import Degradation
from medrestore.images.degrading import degraded
from medrestore.images.operators import grain
from medrestore.images.plan import DegradePlan, Plan
from medrestore.images.restore import Measured, prepare, restore_slice
from medrestore.report.panel import Column, panel

ROOT = Path(__file__).parents[1]
RESULTS, PAGE = ROOT / "benchmarks" / "results" / "images", ROOT / "docs" / "images.md"
GALLERY = (
    "denoise",
    "sr 4",
    "deblur, Gaussian 1.5",
    "cs, pixels 25 %",
    "cs, Walsh-Hadamard 25 %",
    "old photo",
)
SLICE = 9  # of a volume of 18
TASKS: dict[str, tuple[dict[str, Any], float]] = {  # and the noise, of white
    "denoise": (dict(task="denoise"), 0.1),
    "sr 2": (dict(task="sr", factor=2), 0.0),
    "sr 2, noise": (dict(task="sr", factor=2), 0.02),
    "sr 2, bicubic": (dict(task="sr", factor=2, filter="bicubic"), 0.0),
    "sr 4": (dict(task="sr", factor=4), 0.0),
    "deblur, Gaussian 1.5": (dict(task="deblur", blur_std=(1.5,)), 0.01),
    "deblur, Gaussian 3 and 0.5": (dict(task="deblur", blur_std=(3.0, 0.5)), 0.01),
    "deblur, motion 9": (dict(task="deblur", motion=(9.0, 30.0)), 0.01),
    "inpaint": (dict(operators=({"kind": "pixels", "keep": 0.7},)), 0.0),
    "cs, pixels 25 %": (dict(task="cs", keep=0.25), 0.0),
    "cs, pixels 5 %": (dict(task="cs", keep=0.05), 0.0),
    "cs, pixels 1 %": (dict(task="cs", keep=0.01), 0.0),
    "cs, Walsh-Hadamard 25 %": (dict(task="cs", keep=0.25, pattern="walsh-hadamard"), 0.0),
    "old photo": (dict(task="old-photo", factor=2, keep=0.9), 0.0),
    "blur, then sr 2": (
        dict(operators=({"kind": "gaussian", "std": (1.0,)}, {"kind": "pool", "factor": 2})),
        0.005,
    ),
}


def slices(volumes: Path | None, subjects: list[int], size: tuple[int, int]) -> Tensor:
    """(slice, 1, height, width), white about 1."""
    if volumes is None:
        scan = mr.io.read_kspace(ROOT / "data" / "samples" / "brain-scan.h5")[0]
        given = scan.reference.abs().reshape(1, 1, *scan.reference.shape[-2:]).float()
    else:
        given = mr.datasets.brain.load_volumes(volumes)[subjects, SLICE][:, None]
    given = given / given.flatten(1).quantile(0.995, dim=1)[:, None, None, None]
    if all(n >= m for n, m in zip(given.shape[-2:], size, strict=True)):
        top, left = ((n - m) // 2 for n, m in zip(given.shape[-2:], size, strict=True))
        return given[..., top : top + size[0], left : left + size[1]]
    return F.interpolate(given, size, mode="bicubic", align_corners=False).clamp(min=0)


def psnr(image: Tensor, truth: Tensor) -> float:
    return mr.metrics.psnr(image, truth, data_range=float(truth.max()))


def scores(
    clean: Tensor, given: dict[str, Any], noise: float, plan: Plan, prior: mr.priors.Prior
) -> tuple[dict[str, float], list[Column]]:
    """Means over the slices, and the first slice: given, without a prior, restored, and the truth."""
    done = Degradation(**given)
    by = grain(done.steps)
    clean = clean[..., : clean.shape[-2] // by * by, : clean.shape[-1] // by * by]
    found: dict[str, list[float]] = {}
    shown: list[Column] = []
    for number, truth in enumerate(clean.split(1)):
        y = degraded(truth, DegradePlan(done, noise_std=noise), numbers=[number])
        told = replace(plan, degradation=done, noise_std=noise)
        made = restore_slice(prepare(Measured(y), told, prior), y, number, prior, told)
        row = {"restored": psnr(made.mean, truth[0])}
        if made.simple is not None:
            row["simple"] = psnr(made.simple, truth[0])
        if y.shape[-1] < truth.shape[-1]:
            for mode in ("bilinear", "bicubic"):
                row[mode] = psnr(
                    F.interpolate(y, truth.shape[-2:], mode=mode, align_corners=False)[0], truth[0]
                )
        for name, value in row.items():
            found.setdefault(name, []).append(value)
        if not shown:
            seen = F.interpolate(y, truth.shape[-2:])[0]
            images = {given_name(done): seen, "without a prior": seen if made.simple is None else made.simple}
            images |= {f"restored, {row['restored']:.1f} dB": made.mean, "truth": truth[0]}
            shown = [Column(name, image[0], 1.0) for name, image in images.items()]
    return {name: sum(values) / len(values) for name, values in found.items()}, shown


def given_name(done: Degradation) -> str:
    """A task in few words."""
    return {"sr": f"coarser by {done.factor}", "cs": f"{100 * (done.keep or 0):g} % {done.pattern}"}.get(
        done.task or "", done.name
    )


def table(path: Path) -> str:
    """What is stored, Markdown."""
    stored = json.loads(path.read_text())
    head = ["task", "noise", "A+ y", "bilinear", "bicubic", "restored"]
    lines = [stored["about"], "", f"| {' | '.join(head)} |", "|---|" + "---|" * (len(head) - 1)]
    for name, row in stored["tasks"].items():
        cells = [
            f"{row[key]:.1f}" if key in row else "" for key in ("simple", "bilinear", "bicubic", "restored")
        ]
        best = max(float(cell) for cell in cells if cell)
        cells = [f"**{cell}**" if cell and float(cell) == best else cell for cell in cells]
        lines.append(f"| {name} | {TASKS[name][1] or '0'} | {' | '.join(cells)} |")
    return "\n".join(lines)


def page() -> None:
    """Puts the tables between the marks of the page."""
    fill(PAGE, "tasks", "\n\n".join(table(path) for path in sorted(RESULTS.glob("*.json"))))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="?", choices=("run", "page"), default="run")
    parser.add_argument("--volumes", type=Path)
    parser.add_argument("--subjects", type=int, nargs="*", default=[])
    parser.add_argument("--size", type=int, nargs=2, default=(128, 128))
    parser.add_argument("--method")
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--task", nargs="*", default=list(TASKS))
    parser.add_argument("--gallery", type=Path, help="a PNG of some of the tasks")
    parser.add_argument("--prior", default="brain-mr-starter")
    options = parser.parse_args()
    if options.what == "page":
        page()
        return
    prior = mr.priors.load(options.prior, bf16=True)
    plan = Plan(method=options.method, steps=options.steps)
    clean = slices(options.volumes, options.subjects, tuple(options.size))
    source = (
        "the slice that ships"
        if options.volumes is None
        else f"subjects {', '.join(map(str, options.subjects))}"
    )
    height, width = options.size
    about = f"PSNR (dB), {source}, {height} x {width} pixels, {type(plan.sampler).__name__}, {options.steps} network calls."
    name = (
        f"{'sample' if options.volumes is None else 'subjects'}-{height}x{width}-{plan.method_name}".replace(
            "+", "-plus"
        )
    )
    place = RESULTS / f"{name}.json"
    stored = json.loads(place.read_text())["tasks"] if place.is_file() else {}
    rows: list[Column] = []
    for task in options.task:
        stored[task], shown = scores(clean, *TASKS[task], plan, prior)
        if task in GALLERY and options.gallery is not None:
            rows += shown
            panel(rows, options.gallery, rows=len(rows) // 4)
        print(task, {key: round(value, 2) for key, value in stored[task].items()}, flush=True)
        RESULTS.mkdir(parents=True, exist_ok=True)
        ordered = {key: stored[key] for key in TASKS if key in stored}
        place.write_text(json.dumps({"about": about, "tasks": ordered}, indent=1) + "\n")


if __name__ == "__main__":
    main()
