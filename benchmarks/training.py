"""Whether reading keeps training busy, and memory flat: `python benchmarks/training.py [CONFIG.yaml] [key=value ...]`.

Throughput: the images per second of a run as its config says it, over those of the same run on crops that lie in memory; the two
take turns. Memory: what the run and its workers hold after each of many epochs. On a CPU a worker takes a core from the network.
"""

import argparse
import json
import os
import statistics
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil
import torch
import yaml
from torch import Tensor

from medrestore import datasets
from medrestore.datasets.base import Augment, Images
from medrestore.settings import assign
from medrestore.training import Callbacks, Config, read, train
from medrestore.training.runtime import hardware

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "training.json"


class Still(Images):
    """One image, whichever is asked for, in the place of others."""

    def __init__(self, images: Images) -> None:
        self.images, self.first = images, images[0]
        self.channels, self.recipe = images.channels, images.recipe

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        return self.first

    def group_of(self, index: int) -> str:
        return self.images.group_of(index)


class Kept:
    """The first crops of each side that an augmentation makes, again and again."""

    def __init__(self, augment: Augment, count: int) -> None:
        self.augment, self.count, self.channels = augment, count, augment.channels
        self.crops: dict[int, list[Tensor]] = {}
        self.turn = 0

    def __call__(self, image: Tensor, side: int, generator: torch.Generator) -> Tensor:
        kept = self.crops.setdefault(side, [])
        if len(kept) < self.count:
            kept.append(self.augment(image, side, generator))
            return kept[-1]
        self.turn += 1
        return kept[self.turn % self.count]


class Listener(Callbacks):
    """Keeps the rates of the checkpoints, and asks something after every step."""

    def __init__(self, ask: Callable[[int], None] = lambda images: None) -> None:
        self.rates: list[float] = []
        self.ask = ask

    def on_step(self, images: int) -> None:
        self.ask(images)

    def on_checkpoint(self, row: Mapping[str, float]) -> None:
        self.rates.append(row["images_per_second"])


def configured(path: Path, settings: list[str], **changes: Any) -> Config:
    """The config of a file, changed."""
    given = yaml.safe_load(path.read_text(encoding="utf-8"))
    for setting in settings:
        key, _, value = setting.partition("=")
        assign(given, key, yaml.safe_load(value))
    for key, value in changes.items():
        assign(given, key.replace("__", "."), value)
    return read(given, str(path))


def throughput(path: Path, settings: list[str], *, images: int, rounds: int) -> dict[str, Any]:
    """Images per second as configured and from memory, and the ratio of each round."""
    changes = {"images": 2 * images, "checkpoint_images": images, "sample_images": 0, "snapshots": [], "keep": 1}
    config = configured(path, settings, **changes)
    real, augment = datasets.images(config.data.train), datasets.augmentation(config.data.augment)
    real.prepare()
    rates: dict[str, list[float]] = {"real": [], "memory": []}
    for _ in range(rounds):
        for name in rates:
            listener = Listener()
            with tempfile.TemporaryDirectory() as folder:
                if name == "real":
                    run = configured(path, settings, **changes, out=folder)
                    train(run, images=real, augment=augment, callbacks=listener)
                else:
                    run = configured(path, settings, **changes, out=folder, data__workers=0)
                    train(run, images=Still(real), augment=Kept(augment, 2 * config.optim.batch), callbacks=listener)
            rates[name].append(listener.rates[-1])  # the first stretch starts the workers and fills the memory
    ratios = [mine / best for mine, best in zip(rates["real"], rates["memory"], strict=True)]
    return {"images_per_second": statistics.median(rates["real"]), "from_memory": statistics.median(rates["memory"]),
            "ratio": statistics.median(ratios), "ratios": ratios}


def memory(path: Path, settings: list[str], *, epochs: int) -> dict[str, Any]:
    """MiB held by the run and its workers after each epoch."""
    config = configured(path, settings)
    real = datasets.images(config.data.train)
    smallest = min(side for side, _ in config.data.sides)
    held: dict[int, float] = {}

    def ask(images: int) -> None:
        epoch = images // len(real)
        if epoch not in held:
            me = psutil.Process(os.getpid())
            held[epoch] = sum(one.memory_info().rss for one in (me, *me.children(recursive=True))) / 2**20

    with tempfile.TemporaryDirectory() as folder:
        changes = {"images": epochs * len(real), "checkpoint_images": epochs * len(real), "sample_images": 0, "snapshots": [],
                   "data__sides": [[smallest, 1.0]], "data__validation_side": smallest}
        train(configured(path, settings, **changes, out=folder), images=real, callbacks=Listener(ask))
    after = [held[epoch] for epoch in sorted(held)][2:]  # the first two fill caches
    return {"epochs": epochs, "mib_after_epoch_2": after[0], "mib_at_the_end": after[-1], "growth": after[-1] / after[0] - 1,
            "mib": [round(value, 1) for value in after]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=Path, nargs="?", default=ROOT / "configs" / "train" / "quick.yaml")
    parser.add_argument("settings", nargs="*", help="key=value, as for medrestore train")
    parser.add_argument("--images", type=int, default=1000, help="of a timed stretch")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=20)
    args = parser.parse_args()
    found = throughput(args.config, args.settings, images=args.images, rounds=args.rounds)
    held = memory(args.config, args.settings, epochs=args.epochs)
    device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")
    result = {"config": args.config.name, "settings": args.settings, "device": hardware(device),
              "threads": torch.get_num_threads(), "throughput": found, "memory": held}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print("| | |\n|---|---|")
    print(f"| images/s, as configured | {found['images_per_second']:.1f} |")
    print(f"| images/s, crops in memory | {found['from_memory']:.1f} |")
    print(f"| ratio, median of {args.rounds} | {found['ratio']:.3f} |")
    print(f"| memory after 2 epochs | {held['mib_after_epoch_2']:.0f} MiB |")
    print(f"| memory after {args.epochs} epochs | {held['mib_at_the_end']:.0f} MiB ({held['growth']:+.1%}) |")


if __name__ == "__main__":
    main()
