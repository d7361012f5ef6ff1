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
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from fill import fill
from torch import Tensor

import medrestore as mr
from medrestore.images.blind import with_kernel
from medrestore.images.degradation import Degradation
from medrestore.images.degrading import degraded
from medrestore.images.noise import can_be_estimated
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


@dataclass(frozen=True)
class Task:
    """What is done to white-about-1 slices, and what is said of it.

    Attributes:
        given: of the degradation.
        noise: std, of white.
        said: of the degradation when it is undone, where that is less than what was done.
    """

    given: dict[str, Any]
    noise: float = 0.0
    said: dict[str, Any] | None = None


TASKS: dict[str, Task] = {
    "denoise": Task(dict(task="denoise"), 0.1),
    "sr 2": Task(dict(task="sr", factor=2)),
    "sr 2, noise": Task(dict(task="sr", factor=2), 0.02),
    "sr 2, bicubic": Task(dict(task="sr", factor=2, filter="bicubic")),
    "sr 4": Task(dict(task="sr", factor=4)),
    "deblur, Gaussian 1.5": Task(dict(task="deblur", blur_std=(1.5,)), 0.01),
    "deblur, Gaussian 3 and 0.5": Task(dict(task="deblur", blur_std=(3.0, 0.5)), 0.01),
    "deblur, motion 9": Task(dict(task="deblur", motion=(9.0, 30.0)), 0.01),
    "blind-deblur, motion 9": Task(
        dict(task="deblur", motion=(9.0, 30.0)), 0.01, dict(task="blind-deblur", kernel_size=13)
    ),
    "inpaint": Task(dict(operators=({"kind": "pixels", "keep": 0.7},))),
    "cs, pixels 25 %": Task(dict(task="cs", keep=0.25)),
    "cs, pixels 5 %": Task(dict(task="cs", keep=0.05)),
    "cs, pixels 1 %": Task(dict(task="cs", keep=0.01)),
    "cs, Walsh-Hadamard 25 %": Task(dict(task="cs", keep=0.25, pattern="walsh-hadamard")),
    "old photo": Task(dict(task="old-photo", factor=2, keep=0.9)),
    "blur, then sr 2": Task(
        dict(operators=({"kind": "gaussian", "std": (1.0,)}, {"kind": "pool", "factor": 2})), 0.005
    ),
    "jpeg, quality 10": Task(dict(task="jpeg", quality=10, white=1.0)),
    "saturation, gain 2": Task(dict(task="saturation", gain=2.0, white=1.0), 0.01),
    "phase-retrieval": Task(dict(task="phase-retrieval"), 0.005),
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
    clean: Tensor, task: Task, plan: Plan, prior: mr.priors.Prior
) -> tuple[dict[str, float], list[Column]]:
    """Means over the slices, and the first slice: given, without a prior, restored, and the truth."""
    done, said = Degradation(**task.given), Degradation(**(task.said or task.given))
    by = grain(done.steps)
    clean = clean[..., : clean.shape[-2] // by * by, : clean.shape[-1] // by * by]
    found: dict[str, list[float]] = {}
    shown: list[Column] = []
    for number, truth in enumerate(clean.split(1)):
        y = degraded(truth, DegradePlan(done, noise_std=task.noise), numbers=[number])
        told = replace(plan, degradation=said, noise_std=task.noise)
        setting = with_kernel(prepare(Measured(y), told, prior), Measured(y), told, prior)
        made = restore_slice(setting, y, number, prior, told)
        row = {"restored": psnr(made.mean, truth[0])} | without_prior(y, made.simple, truth, said)
        for name, value in row.items():
            found.setdefault(name, []).append(value)
        if not shown:
            seen = F.interpolate(y, truth.shape[-2:])[0]
            images = {given_name(done): seen, "without a prior": seen if made.simple is None else made.simple}
            images |= {f"restored, {row['restored']:.1f} dB": made.mean, "truth": truth[0]}
            shown = [Column(name, image[0], 1.0) for name, image in images.items()]
    return {name: sum(values) / len(values) for name, values in found.items()}, shown


def without_prior(y: Tensor, simple: Tensor | None, truth: Tensor, said: Degradation) -> dict[str, float]:
    """PSNR of what one has of a slice without a prior: as it is given, A^+ y where that is another, and interpolated."""
    shows = y.shape == truth.shape and can_be_estimated(said.steps)
    row = {"given": psnr(y[0], truth[0])} if shows else {}
    if simple is not None and not (shows and torch.equal(simple, y[0])):
        row["simple"] = psnr(simple, truth[0])
    if y.shape[-1] < truth.shape[-1]:
        for mode in ("bilinear", "bicubic"):
            row[mode] = psnr(F.interpolate(y, truth.shape[-2:], mode=mode, align_corners=False)[0], truth[0])
    return row


def given_name(done: Degradation) -> str:
    """A task in few words."""
    return {"sr": f"coarser by {done.factor}", "cs": f"{100 * (done.keep or 0):g} % {done.pattern}"}.get(
        done.task or "", done.name
    )


def table(path: Path) -> str:
    """What is stored, Markdown."""
    stored = json.loads(path.read_text())
    columns = {"simple": "A+ y", "given": "as given", "bilinear": "bilinear", "bicubic": "bicubic", "restored": "restored"}
    head = ["task", "noise", *columns.values()]
    lines = [stored["about"], "", f"| {' | '.join(head)} |", "|---|" + "---|" * (len(head) - 1)]
    for name, row in stored["tasks"].items():
        cells = [f"{row[key]:.1f}" if key in row else "" for key in columns]
        best = max(float(cell) for cell in cells if cell)
        cells = [f"**{cell}**" if cell and float(cell) == best else cell for cell in cells]
        lines.append(f"| {name} | {TASKS[name].noise or '0'} | {' | '.join(cells)} |")
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
        stored[task], shown = scores(clean, TASKS[task], plan, prior)
        if task in GALLERY and options.gallery is not None:
            rows += shown
            panel(rows, options.gallery, rows=len(rows) // 4)
        print(task, {key: round(value, 2) for key, value in stored[task].items()}, flush=True)
        RESULTS.mkdir(parents=True, exist_ok=True)
        ordered = {key: stored[key] for key in TASKS if key in stored}
        place.write_text(json.dumps({"about": about, "tasks": ordered}, indent=1) + "\n")


if __name__ == "__main__":
    main()
