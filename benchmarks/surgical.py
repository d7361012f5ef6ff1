"""Inpainting of rendered scenes that the surgical starter prior has never seen, against what needs no prior.

    python benchmarks/surgical.py run        # every method on every scene, benchmarks/results/surgical.csv
    python benchmarks/surgical.py page       # the table, into the prior's card and docs/inpainting.md

Each case is a 256 x 256 part of a 270 x 480 frame, around the middle of what instruments and gloves hide. Scores are those of the
hole alone. The diffusion methods make equally many network calls a sample.
`--part i/n` does every n-th scene.
"""

import argparse
import csv
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from fill import fill
from skimage.restoration import inpaint_biharmonic
from torch import Tensor

from medrestore import Problem, methods
from medrestore.datasets.scenes import render_frame
from medrestore.evaluation import score_scene
from medrestore.levels import karras, time_travel
from medrestore.operators import Mask
from medrestore.priors import Prior, load
from medrestore.restoration import restore

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"
TEST, FRAME, SEED = range(1000, 1010), 300, 0  # scenes, the frame of each, and their seed
SIDE, CALLS, SAMPLES = 256, 48, 4
HOLES = (0.02, 0.35)  # shares of the part that count as a case


def cases() -> Iterator[tuple[int, Tensor, Tensor]]:
    """Scene, truth (1, 3, side, side) in [0, 1] and known (side, side) float, for each scene with a hole."""
    for scene in TEST:
        frame = render_frame(SEED, scene, FRAME, size=(270, 480))
        rows, columns = (~frame.known).nonzero(as_tuple=True)
        if not len(rows):
            continue
        top, left = (int(min(max(at.float().mean() - SIDE / 2, 0), size - SIDE))
                     for at, size in ((rows, 270), (columns, 480)))
        part = (..., slice(top, top + SIDE), slice(left, left + SIDE))
        known = frame.known[part].float()
        if HOLES[0] <= 1 - known.mean() <= HOLES[1]:
            yield scene, frame.truth[part][None], known


def mean_fill(seen: Tensor, known: Tensor) -> Tensor:
    """Every hidden pixel the mean colour of the known ones."""
    return torch.where(known > 0, seen, (seen * known).sum((-2, -1), keepdim=True) / known.sum())


def biharmonic(seen: Tensor, known: Tensor) -> Tensor:
    """Smooth continuation (Damelin & Hoang 2018), scikit-image's."""
    filled = inpaint_biharmonic(seen[0].permute(1, 2, 0).numpy(), known.numpy() == 0, channel_axis=-1)
    return torch.from_numpy(np.ascontiguousarray(filled.transpose(2, 0, 1)))[None].float().clamp(0, 1)


BASELINES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "hole left grey": lambda seen, known: torch.where(known > 0, seen, 0.5), "mean fill": mean_fill, "biharmonic": biharmonic,
}
DIFFUSION = {"DDNM+": methods.DDNMPlus(), "DDNM": methods.DDNM(), "RePaint": methods.RePaint(), "DiffPIR": methods.DiffPIR()}


class Case:
    """One part of one scene, as `score_scene` wants it."""

    count = 1

    def __init__(self, scene: int, truth: Tensor, known: Tensor) -> None:
        self.name, self._truth, self._known = str(scene), truth[0], known > 0

    def mask(self, index: int) -> Tensor:
        return self._known[None]

    def truth(self, index: int) -> Tensor:
        return as_bytes(self._truth)


class Counted(Prior):
    """A prior that counts its calls."""

    def __init__(self, prior: Prior) -> None:
        self.prior, self.calls = prior, 0
        self.channels, self.multiple, self.size = prior.channels, prior.multiple, prior.size
        self.recipe, self.sigma_range = prior.recipe, prior.sigma_range

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        self.calls += 1
        return self.prior(x, sigma)


def as_bytes(image: Tensor) -> Tensor:
    """An image in [0, 1] as a picture keeps it."""
    return (255 * image.clamp(0, 1)).round().to(torch.uint8)


def ladder(method: methods.Method) -> list[float]:
    """Levels that make CALLS network calls; RePaint walks each stretch twice, as it must."""
    if isinstance(method, methods.RePaint):
        return time_travel(karras(CALLS // 2 + 1, 40.0, 0.01), length=4, repeat=2)
    return karras(CALLS, 40.0, 0.01)


def run(part: str) -> None:
    """One CSV row a scene and method."""
    index, count = (int(number) for number in part.split("/"))
    prior = load("surgical-starter", bf16=True)
    with (RESULTS / f"surgical-{index}of{count}.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["scene", "hole", "method", "calls", "seconds", "psnr", "ssim", "changed"])
        for scene, truth, known in list(cases())[index - 1 :: count]:
            for name, calls, seconds, image in compare(truth, known, prior):
                _, (row,) = score_scene([as_bytes(image[0])], Case(scene, truth, known))
                rows.writerow([scene, row.hole_fraction, name, calls, seconds, row.hole_psnr, row.hole_ssim, row.known_changed])
                print(scene, name, calls, row.hole_psnr, row.hole_ssim, row.known_changed, f"{seconds:.1f} s", flush=True)
            file.flush()


def compare(truth: Tensor, known: Tensor, prior: Prior) -> Iterator[tuple[str, int, float, Tensor]]:
    """Name, network calls, seconds and image (1, 3, h, w) of each method."""
    truth = as_bytes(truth).float() / 255
    seen = truth * known
    for name, baseline in BASELINES.items():
        started = time.monotonic()
        image = baseline(seen, known)
        yield name, 0, time.monotonic() - started, image
    for name, method in DIFFUSION.items():
        counted, samples = Counted(prior), SAMPLES if name == "DDNM+" else 1
        started = time.monotonic()
        result = restore(Problem(Mask(known), seen), counted, method, levels=ladder(method), samples=samples)
        seconds = time.monotonic() - started
        yield name, counted.calls, seconds / samples, result.samples[:1]
        if samples > 1:
            yield f"{name}, mean of {samples}", samples * counted.calls, seconds, result.mean[None]


def table() -> str:
    """Means over the scenes, a line a method."""
    rows = [row for path in sorted(RESULTS.glob("surgical-*of*.csv")) for row in csv.DictReader(path.open())]
    scenes = {row["scene"]: float(row["hole"]) for row in rows}
    least, most = 100 * min(scenes.values()), 100 * max(scenes.values())
    lines = [
        f"{len(scenes)} rendered scenes that the prior has not seen, {SIDE} x {SIDE} pixels of each, {least:.0f} to {most:.0f} % "
        "hidden; means over the hole alone, 8 bit. Written by `python benchmarks/surgical.py page`.",
        "",
        "| method | network calls | PSNR in the hole, dB | SSIM in the hole | known pixels changed |", "|---" * 5 + "|",
    ]
    for name in dict.fromkeys(row["method"] for row in rows):
        own = [row for row in rows if row["method"] == name]
        psnr, ssim = (sum(float(row[key]) for row in own) / len(own) for key in ("psnr", "ssim"))
        changed = sum(int(row["changed"]) for row in own)
        lines.append(f"| {name} | {own[0]['calls']} | {psnr:.2f} | {ssim:.3f} | {changed} |")
    return "\n".join(lines)


def page() -> None:
    """Writes the table where it belongs."""
    for path in ("data/priors/surgical-starter/CARD.md", "docs/inpainting.md"):
        fill(ROOT / path, "inpainting", table())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "page"))
    parser.add_argument("--part", default="1/1", help="i/n: every n-th scene, beginning with the i-th")
    args = parser.parse_args()
    if args.what == "run":
        run(args.part)
    else:
        page()


if __name__ == "__main__":
    main()
