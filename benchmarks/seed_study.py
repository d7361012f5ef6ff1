"""How much a prior of other images saves when a prior learns from few scenes: pre-trained first, or on the scenes alone.

    python benchmarks/seed_study.py run                          # simulated scenes, hours without a GPU
    python benchmarks/seed_study.py run --dreaming FOLDER        # DREAMING: six scenes to learn from, three to test on
    python benchmarks/seed_study.py run --init PRIOR optim.lr=1e-4 images=7200
    python benchmarks/seed_study.py run --quick                  # everything small, a few minutes on one core
    python benchmarks/seed_study.py page                         # table and figure, into docs/seed-study.md

Two runs of configs/train/seed-study.yaml see the same crops in the same order; one begins at random weights, the other at
`--init` or, without it, at the same network trained on scikit-image's photographs. After 4, 8, 12 and 15 epochs each restores
held-out scenes by DDNM+. Runs that were stopped go on.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import yaml
from fill import fill
from torch import Tensor

from medrestore.datasets import images
from medrestore.datasets.dreaming import split_numbers
from medrestore.datasets.scenes import render_frame
from medrestore.evaluation import score_scene
from medrestore.inpainting.frame import inpaint_frame, smooth_fill
from medrestore.inpainting.plan import Plan as InpaintPlan
from medrestore.io.scenes.open import open_scenes
from medrestore.priors import load
from medrestore.settings import assign
from medrestore.training import Config, read, train

ROOT = Path(__file__).parents[1]
RECIPE = ROOT / "configs/train/seed-study.yaml"
RESULTS = Path(__file__).parent / "results" / "seed-study.json"
HELD_OUT, SPAN = (8, 9, 10), 1000  # simulated scenes that no run sees, and how many frames each has
LOOKS = ("psnr", "ssim", "hole_psnr", "hole_ssim")
SELF, PRE = "scenes alone", "pre-trained"
QUICK: dict[str, Any] = {
    "network.block_out_channels": [16, 24, 32, 48], "network.norm_num_groups": 4, "data.sides": [[48, 1.0]],
    "data.train": [{"kind": "scenes", "scenes": [0, 6], "frames": 16, "seed": 0, "size": [112, 192]}],
    "data.validation": [{"kind": "scenes", "scenes": [6, 8], "frames": 2, "seed": 0, "size": [112, 192]}],
    "optim.lr": 1e-3, "optim.warmup_images": 80, "optim.decay_images": 0, "ema_images": [200], "checkpoint_images": 480,
}
QUICK_PLAN = InpaintPlan(steps=10, window=64)


@dataclass(frozen=True)
class Scene:
    """A few frames of a held-out scene, as `score_scene` wants them.

    Attributes:
        frames, truths: (3, height, width) uint8.
        masks: (1, height, width) bool, True where known.
    """

    name: str
    frames: tuple[Tensor, ...]
    masks: tuple[Tensor, ...]
    truths: tuple[Tensor, ...]

    @property
    def count(self) -> int:
        return len(self.frames)

    def mask(self, index: int) -> Tensor:
        return self.masks[index]

    def truth(self, index: int) -> Tensor:
        return self.truths[index]


def evenly(count: int, frames: int) -> list[int]:
    """Numbers of so many frames out of `count`, spread evenly."""
    frames = min(frames, count)
    return [(2 * k + 1) * count // (2 * frames) for k in range(frames)]


def simulated(size: tuple[int, int], frames: int, seed: int) -> Iterator[Scene]:
    for number in HELD_OUT:
        shown = [render_frame(seed, number, at, size=size) for at in evenly(SPAN, frames)]
        shown = [one for one in shown if not bool(one.known.all())]
        if shown:
            pictures = ([(255 * picture).round().to(torch.uint8) for picture in (one.obstructed, one.truth)] for one in shown)
            obstructed, truths = zip(*pictures, strict=True)
            yield Scene(f"scene {number}", obstructed, tuple(one.known[None] for one in shown), truths)


def dreaming(folder: Path, frames: int) -> Iterator[Scene]:
    """The scenes 7 to 9, whose frames' truth is a jpg."""
    with open_scenes(folder, dataset="dreaming") as scenes:
        for number in split_numbers("part1-test"):
            with scenes[f"scene_{number:04d}"] as scene:
                at = evenly(scene.count, frames)
                yield Scene(scene.name, *(tuple(take(index) for index in at) for take in (scene.frame, scene.mask, scene.truth)))


def mean_scores(held_out: list[Scene], fill_in: Callable[[Tensor, Tensor], Tensor]) -> dict[str, float]:
    """Means over the scenes of their scores."""
    scored = []
    for scene in held_out:
        filled = (fill_in(frame, mask[0]) for frame, mask in zip(scene.frames, scene.masks, strict=True))
        scored.append(score_scene(filled, scene)[0])
    return {look: sum(getattr(one, look) for one in scored) / len(scored) for look in LOOKS}


def configured(settings: Mapping[str, Any], folder: Path | None) -> Config:
    """The recipe with what is set in it; as many images as its last snapshot asks for."""
    given = yaml.safe_load(RECIPE.read_text(encoding="utf-8"))
    if folder is not None:
        source = {"kind": "dreaming", "folder": str(folder)}
        given["data"] |= {"train": [source | {"split": "part1-train"}], "validation": [source | {"scenes": [0]}]}
    for key, value in settings.items():
        assign(given, key, value)
    config = read(given, str(RECIPE))
    return config if "images" in settings else replace(config, images=config.snapshots[-1] * len(images(config.data.train)))


def on_photographs(config: Config, out: Path) -> str:
    """The folder of a prior trained as the others are, on photographs."""
    photographs = replace(config.data, train=({"kind": "photographs"},))
    return str(train(replace(config, out=str(out / "photographs"), data=photographs, snapshots=())))


def run(config: Config, plan: InpaintPlan, held_out: list[Scene], init: str | None, out: Path) -> None:
    """Trains, restores with every snapshot, and keeps the scores."""
    def restoring(folder: str | Path) -> Callable[[Tensor, Tensor], Tensor]:
        prior = load(folder, bf16=True)
        return lambda frame, known: inpaint_frame(torch.where(known, frame, 0), known, prior, plan)

    begin = on_photographs(config, out) if init is None else init
    rows = [{"prior": "none: smooth fill", "epoch": None} | mean_scores(held_out, smooth_fill),
            {"prior": PRE, "epoch": 0} | mean_scores(held_out, restoring(begin))]
    print(*rows, sep="\n", flush=True)
    for name, one in {PRE: replace(config, init=begin, network={}), SELF: config}.items():
        one = replace(one, out=str(out / name.replace(" ", "-")))
        train(one)
        for epoch in one.snapshots:
            folder = Path(one.out) / "snapshots" / f"epoch-{epoch:02d}"
            rows.append({"prior": name, "epoch": epoch} | mean_scores(held_out, restoring(folder)))
            print(rows[-1], flush=True)
    about = {"data": list(config.data.train), "images_an_epoch": len(images(config.data.train)), "images": config.images,
             "widths": config.network["block_out_channels"], "crop": config.data.sides[0][0], "steps": plan.steps,
             "scenes": len(held_out), "frames": sum(scene.count for scene in held_out),
             "size": list(held_out[0].frames[0].shape[1:]), "init": "photographs" if init is None else init}
    RESULTS.write_text(json.dumps({"about": about, "rows": rows}, indent=1) + "\n", encoding="utf-8")


def table(found: dict) -> str:
    about, rows = found["about"], found["rows"]
    kind = "DREAMING" if about["data"][0]["kind"] == "dreaming" else "simulated scenes"
    height, width = about["size"]
    lines = [
        f"Trained on {kind}: {about['images_an_epoch']} frames an epoch, {about['images']:,} crops of {about['crop']} pixels in "
        f"all, network widths {'-'.join(map(str, about['widths']))}; pre-trained on {about['init']}. Scored on {about['frames']} "
        f"frames of {width} x {height} from {about['scenes']} held-out scenes, DDNM+, {about['steps']} network calls a window, "
        "protocol `dreaming-corrected`, means over scenes. Written by `python benchmarks/seed_study.py page`.", "",
        "| prior | epochs on scenes | PSNR, dB | SSIM | PSNR in the hole, dB | SSIM in the hole |", "|---" * 6 + "|",
        *(f"| {row['prior']} | {'' if row['epoch'] is None else row['epoch']} | {row['psnr']:.2f} | {row['ssim']:.4f} | "
          f"{row['hole_psnr']:.2f} | {row['hole_ssim']:.3f} |" for row in rows), "",
        "![Scores in the hole by epoch](seed-study.png)",
    ]
    return "\n".join(lines)


def figure(found: dict, path: Path) -> None:
    from matplotlib.figure import Figure

    from medrestore.report.figure import save_png

    drawn = Figure(figsize=(8, 3.2), layout="constrained")
    for place, look, label in zip(drawn.subplots(1, 2), LOOKS[2:], ("PSNR in the hole, dB", "SSIM in the hole"), strict=True):
        for name in (PRE, SELF):
            line = [(row["epoch"], row[look]) for row in found["rows"] if row["prior"] == name]
            place.plot(*zip(*line, strict=True), marker="o", label=name)
        place.axhline(found["rows"][0][look], color="grey", linestyle="--", label="smooth fill")
        place.set_xlabel("epochs on scenes")
        place.set_ylabel(label)
    place.legend(fontsize=8)
    save_png(drawn, path)


def page() -> None:
    """Writes what was measured into docs/seed-study.md, and its figure beside."""
    found = json.loads(RESULTS.read_text(encoding="utf-8"))
    figure(found, ROOT / "docs/seed-study.png")
    fill(ROOT / "docs/seed-study.md", "seed-study", table(found))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("run", "page"))
    parser.add_argument("settings", nargs="*", help="key=value, as for medrestore train")
    parser.add_argument("--dreaming", type=Path, metavar="FOLDER", help="DREAMING, unpacked; else simulated scenes")
    parser.add_argument("--init", help="the prior to begin at; else one of photographs is trained first")
    parser.add_argument("--out", type=Path, default=Path("runs/seed-study"))
    parser.add_argument("--frames", type=int, default=4, help="of each held-out scene")
    parser.add_argument("--steps", type=int, help="network calls a window")
    parser.add_argument("--quick", action="store_true", help="a small network, small frames, few steps")
    args = parser.parse_args()
    if args.what == "page":
        page()
        return
    settings = {key: yaml.safe_load(value) for key, _, value in (setting.partition("=") for setting in args.settings)}
    config = configured((QUICK if args.quick else {}) | settings, args.dreaming)
    plan = QUICK_PLAN if args.quick else InpaintPlan(window=128)
    plan = plan if args.steps is None else replace(plan, steps=args.steps)
    if args.dreaming is None:
        source = config.data.train[0]
        held_out = list(simulated(tuple(source["size"]), args.frames, source["seed"]))
    else:
        held_out = list(dreaming(args.dreaming, args.frames))
    run(config, plan, held_out, args.init, args.out)


if __name__ == "__main__":
    main()
