"""What pictures of any size cost, in time and memory, and whether their windows show.

    python benchmarks/tiling.py run      # a few minutes on one core; benchmarks/results/tiling.json
    python benchmarks/tiling.py page     # the tables, into docs/tiling.md

Time is that of the processor, one thread, so that what else the machine does counts little. Memory is the peak of a process of
its own, with the frame and the prior loaded, before and after the restoration.
"""

import argparse
import importlib
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from unittest import mock

import torch
from fill import fill
from torch import Tensor

from medrestore import Noise, methods
from medrestore.datasets.scenes import render_frame
from medrestore.inpainting.frame import inpaint_frame, windows_of_frame
from medrestore.inpainting.plan import Plan as InpaintPlan
from medrestore.levels import karras
from medrestore.methods import Method
from medrestore.priors import Prior, load
from medrestore.tiling import generate, plan, raster, seam_ratio, settled_by

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "tiling.json"
PLAN = InpaintPlan(window=128, factor=1)  # the default's number of network calls
HOLES = (0.01, 0.05, 0.2)  # of the frame
FRAMES = ((360, 640), (720, 1280), (1440, 2560))
SCENES, STEPS = (1000, 1004), 16  # of the seams in rendered frames
GAUSSIAN: dict[str, Method] = {
    "DDNM, eta 0.85": methods.DDNM(), "DDNM, eta 0.5": methods.DDNM(0.5), "DDS, eta 1": methods.DDS(eta=1.0),
    "DiffPIR": methods.DiffPIR(), "RePaint": methods.RePaint(),
}


def boxed(size: tuple[int, int], hole: tuple[int, int]) -> Tensor:
    """(height, width) bool: known but for a box in the middle."""
    known = torch.ones(size, dtype=torch.bool)
    top, left = ((n - side) // 2 for n, side in zip(size, hole, strict=True))
    known[top : top + hole[0], left : left + hole[1]] = False
    return known


def restored(frame: Tensor, known: Tensor, prior: Prior, how: InpaintPlan) -> Tensor:
    return inpaint_frame(torch.where(known, frame, 0), known, prior, how)


def frame_of(scene: int, size: tuple[int, int]) -> Tensor:
    """(3, height, width) uint8, nothing in front of the patient."""
    return (255 * render_frame(0, scene, 300, size=size).truth).round().to(torch.uint8)


def cost(prior: Prior) -> list[dict]:
    """Processor seconds of a 1280 x 720 frame by the share that is hidden."""
    size = (720, 1280)
    frame, rows = frame_of(SCENES[0], size), []
    restored(frame, boxed(size, (96, 96)), prior, PLAN)  # the first call is slower
    for share in HOLES:
        side = round((share * size[0] * size[1]) ** 0.5)
        known = boxed(size, (side, side))
        started = time.process_time()
        restored(frame, known, prior, PLAN)
        rows.append({"hidden": share, "windows": windows_of_frame(known, prior, PLAN), "seconds": time.process_time() - started})
    mean = sum(row["seconds"] for row in rows) / sum(row["windows"] for row in rows)
    return [row | {"of_proportional": row["seconds"] / row["windows"] / mean} for row in rows]


def peak_of(height: int, width: int) -> None:
    """Prints, in MiB, the peak memory of this process before and after a frame of this size is restored."""
    prior = load("surgical-starter", bf16=True)
    frame, known = torch.full((3, height, width), 128, dtype=torch.uint8), boxed((height, width), (96, 96))  # one window
    before = peak()
    inpaint_frame(frame, known, prior, PLAN)
    print(json.dumps({"before_mib": before, "peak_mib": peak()}))


def peak() -> float:
    """The most memory that this process has held, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def memory() -> list[dict]:
    rows = []
    for height, width in FRAMES:
        command = [sys.executable, __file__, "peak", "--size", str(height), str(width)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        rows.append({"height": height, "width": width, "frame_mib": 3 * height * width / 2**20} | json.loads(done.stdout))
    return rows


def as_in_the_paper() -> mock._patch:
    """Settled pixels are fixed in the estimate, and nothing else learns of them."""
    module = importlib.import_module("medrestore.tiling.mask_shift")
    return mock.patch.object(module, "Settled", lambda prior, *_: prior)


def three_ways(draw: Callable[[bool], float]) -> dict[str, float]:
    """Windows drawn apart, mask-shift as in its paper, and as it is here."""
    with as_in_the_paper():
        apart, fixed = draw(True), draw(False)
    return {"apart": apart, "fixed": fixed, "continued": draw(False)}


class Window(Prior):
    """Windows of a Gaussian field of power 1 / frequency^2 and std 1 that is 12 times as large."""

    channels = 1

    def __init__(self, side: int) -> None:
        f = torch.fft.fftfreq(12 * side, dtype=torch.float64) * 12 * side
        covariance = torch.fft.ifft2(1 / (0.25 + f[:, None] ** 2 + f**2)).real
        y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
        dy, dx = (at.flatten()[:, None] - at.flatten() for at in (y, x))
        values, vectors = torch.linalg.eigh(covariance[dy, dx] / covariance[0, 0])
        self.values, self.vectors = values.clamp(min=0).float(), vectors.float()

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        z = x.flatten(2) @ self.vectors
        return (z * (self.values / (self.values + sigma**2)) @ self.vectors.T).reshape(x.shape)


def gaussian_seams() -> Iterator[dict]:
    """Nothing is known."""
    size, window, levels = (32, 48), (16, 16), karras(25, 10.0, 0.05)
    prior = Window(16)
    everything = torch.ones(size, dtype=torch.bool)
    for name, method in GAUSSIAN.items():
        def draw(apart: bool, method: Method = method) -> float:
            shift = window if apart else (8, 8)
            z = generate(prior, method, levels, size=size, window=window, shift=shift, noise=Noise(range(96)), batch=400)
            return seam_ratio(z, settled_by(raster(size, window, shift), everything))
        yield {"method": name, "calls": len(levels) - 1} | three_ways(draw)


def surgical_seams(prior: Prior) -> dict:
    """Holes many windows wide in rendered frames that the prior has not seen; root mean square over the scenes."""
    size, side = (270, 480), 64
    known = boxed(size, (140, 240))
    frames = [frame_of(scene, size) for scene in SCENES]
    how = InpaintPlan(steps=STEPS, window=side, factor=1, feather=0)

    def ratio(images: list[Tensor], shift: int) -> float:
        _, _, step = how.grid(prior)
        height, width = (n // step * step for n in size)
        order = plan(~known[:height, :width], (side, side), (shift, shift), grain=step)
        owner = settled_by(order, ~known[:height, :width])
        values = [seam_ratio(image[..., :height, :width].float(), owner) for image in images]
        return (sum(value**2 for value in values) / len(values)) ** 0.5

    def draw(apart: bool) -> float:
        shift = side if apart else side // 2
        return ratio([restored(frame, known, prior, replace(how, shift=shift)) for frame in frames], shift)

    return {"scenes": len(frames), "calls": STEPS, "truth": ratio(frames, side // 2)} | three_ways(draw)


def run() -> None:
    torch.set_num_threads(1)
    held = memory()  # first: the system counts for a new process what the one that starts it holds
    prior = load("surgical-starter", bf16=True)
    found = {"cost": cost(prior), "memory": held, "gaussian": list(gaussian_seams()), "surgical": surgical_seams(prior),
             "steps": PLAN.steps, "window": PLAN.window}
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(cost_table(found), seam_table(found), sep="\n\n")


def cost_table(found: dict) -> str:
    lines = [
        f"A 1280 x 720 frame, a square hole, windows of {found['window']} x {found['window']}, {found['steps']} network calls a "
        "window, one processor thread, bf16. Written by `python benchmarks/tiling.py page`.", "",
        "| hidden | windows | seconds | seconds a window, of the mean |", "|---" * 4 + "|",
        *(f"| {row['hidden']:.0%} | {row['windows']} | {row['seconds']:.1f} | {row['of_proportional']:.2f} |"
          for row in found["cost"]), "",
        "| frame, one hole of one window | its 8-bit pixels, MiB | peak of the process, MiB | added by the restoration, MiB |",
        "|---" * 4 + "|",
        *(f"| {row['width']} x {row['height']} | {row['frame_mib']:.1f} | {row['peak_mib']:.0f} | "
          f"{row['peak_mib'] - row['before_mib']:.0f} |" for row in found["memory"]),
    ]
    return "\n".join(lines)


def seam_table(found: dict) -> str:
    surgical = found["surgical"]
    lines = [
        "Seam ratio. *Apart*: windows that do not overlap. *Fixed*: as in the paper. *Continued*: as it is here. Written by "
        "`python benchmarks/tiling.py page`.", "",
        "| | calls a window | apart | fixed | continued |", "|---" * 5 + "|",
        *(f"| Gaussian field, {row['method']} | {row['calls']} | {row['apart']:.2f} | {row['fixed']:.2f} | "
          f"{row['continued']:.2f} |" for row in found["gaussian"]),
        f"| {surgical['scenes']} rendered frames, surgical-starter, DDNM+ (the truth has {surgical['truth']:.2f} there) | "
        f"{surgical['calls']} | {surgical['apart']:.2f} | {surgical['fixed']:.2f} | {surgical['continued']:.2f} |",
    ]
    return "\n".join(lines)


def page() -> None:
    """Writes what was measured into docs/tiling.md."""
    found = json.loads(RESULTS.read_text(encoding="utf-8"))
    fill(ROOT / "docs/tiling.md", "cost", cost_table(found))
    fill(ROOT / "docs/tiling.md", "seams", seam_table(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "page", "peak"))
    parser.add_argument("--size", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"), default=FRAMES[0])
    args = parser.parse_args()
    if args.what == "peak":
        torch.set_num_threads(1)
        peak_of(*args.size)
    else:
        {"run": run, "page": page}[args.what]()


if __name__ == "__main__":
    main()
