"""Runs of every kind that are killed at random times: `PYTHONPATH=tests python benchmarks/kills.py [--kills 20 --seed 0]`.

Each run is a process of its own, killed by SIGKILL at a time drawn over about the length of a run, up to `STREAK` times in
a row; then the same command is let through. Counted are outputs that are not those of the unbroken run, files that are there in
part, files of others that are gone, and temporary files that stay. Tiny sizes and a tiny prior; POSIX only.
"""

import argparse
import hashlib
import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from helpers.frames import picture
from helpers.runs import NETWORK
from helpers.scans import SHAPE, fastmri, kspace, save_prior
from helpers.studies import TINY
from PIL import Image

from medrestore import priors
from medrestore.cli.main import main as medrestore
from medrestore.codecs import Interval
from medrestore.priors import EDM

RESULTS = Path(__file__).parent / "results" / "kills.json"
STREAK = 3
DATED = "/tensorboard/"  # logs named by the time at which a run begins
BYSTANDERS = ("mine.txt", ".mine.part", "out.old")  # files of the user beside the outputs


@dataclass(frozen=True)
class Kind:
    """A kind of run.

    Args:
        name: for the table.
        words: of the command line; OUT stands for a fresh folder.
        published: patterns of outputs below OUT that appear complete: whatever is there has the bytes of an unbroken run.
        timed: names of files that hold the hours of the run.
    """

    name: str
    words: Sequence[str]
    published: Sequence[str]
    timed: Sequence[str] = ()


@dataclass
class Row:
    """What is counted for a kind."""

    kills: int = 0
    resumed: int = 0
    different: list[str] = field(default_factory=list)
    in_part: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


def kinds(inputs: Path) -> list[Kind]:
    """Makes the inputs; the runs."""
    prior, grey = save_prior(inputs / "prior", 2), picture_prior(inputs / "pictures-prior")
    recon = ["--prior", str(prior), "--apart", "false", "--method", "diffpir", "--steps", "4", "--noise-std", "0.01", "--resume"]
    np.save(inputs / "maps2.npy", np.ones((2, 4, *SHAPE), np.complex64))
    np.save(inputs / "maps6.npy", np.ones((6, 4, *SHAPE), np.complex64))
    (inputs / "scans").mkdir()
    for seed, name in enumerate("abc"):
        data, images = kspace(2, seed=seed)
        fastmri(inputs / "scans" / f"{name}.h5", data, reference=images)
    fastmri(inputs / "volume.h5", kspace(6)[0])
    (inputs / "frames").mkdir()
    for number in range(5):
        Image.fromarray(picture(number).permute(1, 2, 0).numpy()).save(inputs / "frames" / f"{number:03d}.png")
    hole = np.zeros((48, 64), np.uint8)
    hole[12:24, 20:34] = 255
    Image.fromarray(hole).save(inputs / "mask.png")
    noisy = np.random.default_rng(0).integers(0, 256, (4, 16, 24, 3), dtype=np.uint8)
    write_tiff(inputs / "noisy.tif", noisy)
    (inputs / "train.yaml").write_text(yaml.safe_dump(recipe(), sort_keys=False))
    (inputs / "study.yaml").write_text(json.dumps(TINY))
    return [
        Kind("recon of a folder", ["recon", f"{inputs}/scans", "-o", "OUT/images", "--maps", f"{inputs}/maps2.npy", *recon],
             ["images/*.h5"]),
        Kind("recon of a volume", ["recon", f"{inputs}/volume.h5", "-o", "OUT/out.h5", "--maps", f"{inputs}/maps6.npy", *recon],
             ["out.h5"]),
        Kind("inpaint", ["inpaint", f"{inputs}/frames", "--mask", f"{inputs}/mask.png", "--mask-means", "hole",
                         "-o", "OUT/filled", "--prior", str(grey), "--steps", "3", "--resume"], ["filled/*"]),
        Kind("restore", ["restore", f"{inputs}/noisy.tif", "--task", "denoise", "--noise-std", "20", "-o", "OUT/clean.tif",
                         "--prior", str(grey), "--steps", "6", "--resume"], ["clean.tif*"]),
        Kind("train", ["train", f"{inputs}/train.yaml", "out=OUT/run"], ["run/prior/**/*.safetensors"],
             ["CARD.md", "prior.json"]),
        Kind("study", ["evaluate", f"{inputs}/study.yaml", "-o", "OUT/study"], ["study/tasks/**/*", "study/*.csv"]),
    ]


def write_tiff(path: Path, pixels: np.ndarray) -> None:
    """RGB pictures (page, height, width, 3) uint8 as TIFF."""
    import tifffile

    tifffile.imwrite(path, pixels, photometric="rgb")


def picture_prior(folder: Path) -> Path:
    """A prior of RGB windows with a network of a few thousand random weights."""
    from diffusers import UNet2DModel

    net = UNet2DModel(in_channels=3, out_channels=3, block_out_channels=(8, 8), layers_per_block=1, norm_num_groups=4,
                      down_block_types=("DownBlock2D",) * 2, up_block_types=("UpBlock2D",) * 2, add_attention=False)
    generator = torch.Generator().manual_seed(3)
    for weights in net.parameters():
        weights.data = 0.03 * torch.randn(weights.shape, generator=generator)
    priors.save(folder, net, parametrisation=EDM(sigma_data=0.5, sigmas=(0.005, 40.0)), recipe=Interval(), channels=3, multiple=2,
                card={"name": "tiny"})
    return folder


def recipe() -> dict[str, Any]:
    """A training run of 96 images that stores a checkpoint every 16."""
    phantoms = {"kind": "phantoms", "size": 32, "form": "complex"}
    return {
        "out": "run", "network": NETWORK, "objective": {"kind": "edm", "sigma_data": 0.3},
        "data": {"train": [{**phantoms, "count": 16}], "validation": [{**phantoms, "count": 4, "first": 16}],
                 "sides": [[16, 1.0]], "validation_side": 16},
        "optim": {"lr": 2e-3, "batch": 8, "warmup_images": 8, "decay_images": 32}, "images": 96, "ema_images": [16],
        "checkpoint_images": 16,
    }


def warm() -> None:
    """Imports what the commands import when they need it, once for all processes that are forked."""
    for name in ("accelerate", "h5py", "matplotlib.pyplot", "nibabel", "skimage.metrics", "tensorboardX", "medrestore.training",
                 "medrestore.recon.files", "medrestore.inpainting.scenes", "medrestore.study.mri", "medrestore.study.run"):
        with suppress(ImportError):
            import_module(name)


def start(words: Sequence[str], log: Path, before: Callable[[], None] = lambda: None) -> int:
    """The command in a process of its own, forked from this one, which has imported everything already.

    Args:
        before: called in that process.
    """
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        os.setsid()
        target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(target, 1)
        os.dup2(target, 2)
        before()
        code = medrestore(words)
    finally:
        sys.stdout.flush()
        os._exit(code)


def killed(words: Sequence[str], log: Path, after: float) -> bool:
    """Starts the command and kills it; False when it came to its end before."""
    pid, until = start(words, log), time.monotonic() + after
    while time.monotonic() < until:
        if os.waitpid(pid, os.WNOHANG)[0]:
            return False
        time.sleep(0.002)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return True


def through(words: Sequence[str], log: Path) -> float:
    """Runs the command to its end; seconds."""
    began = time.monotonic()
    _, status = os.waitpid(start(words, log), 0)
    if status != 0:
        raise RuntimeError(f"{' '.join(words)} ended with {status}: {log.read_text()}")
    return time.monotonic() - began


def digests(out: Path, patterns: Sequence[str] = ("**/*",)) -> dict[str, str]:
    """sha256 of the files that the patterns name."""
    found = {path for pattern in patterns for path in out.glob(pattern) if path.is_file()}
    return {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(found)
            if DATED not in str(path)}


def fresh(folder: Path) -> Path:
    """An empty folder but for files of the user."""
    folder.mkdir()
    for name in BYSTANDERS:
        (folder / name).write_text("mine")
    return folder


def trial(kind: Kind, folder: Path, count: int, draw: np.random.Generator, say: Callable[[str], None]) -> Row:
    """Kills runs of a kind `count` times."""
    row, log = Row(), folder.with_name(f"{folder.name}.log")
    folder.mkdir()

    def words(out: Path) -> list[str]:
        return [word.replace("OUT", str(out)) for word in kind.words]

    unbroken = [fresh(folder / name) for name in ("one", "two")]
    seconds = min(through(words(out), log) for out in unbroken)
    first, second = map(digests, unbroken)
    same = {name for name in first if first[name] == second.get(name) and Path(name).name not in kind.timed}
    number = 0
    while row.kills < count:
        out, number = fresh(folder / f"trial-{number}"), number + 1
        for _ in range(draw.integers(1, STREAK + 1)):
            if not killed(words(out), log, draw.uniform(0, seconds)):
                seconds *= 0.8  # the machine is quicker than it was
                break
            row.kills, seconds = row.kills + 1, seconds * 1.05
            there = digests(out, kind.published)
            row.in_part += [f"{number}: {name}" for name in there if name in same and there[name] != first[name]]
        through(words(out), log)
        row.resumed += 1
        found = digests(out)
        row.lost += [f"{number}: {name}" for name in BYSTANDERS if name not in found or found[name] != first[name]]
        row.different += [f"{number}: {name}" for name in same if found.get(name) != first[name]]
        row.left += [f"{number}: {name}" for name in found.keys() - first.keys()]
        say(f"{kind.name}: {row.kills} kills, {row.resumed} resumed, {len(row.different)} different, {len(row.in_part)} in part, "
            f"{len(row.lost)} lost, {len(row.left)} left")
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="of each kind of run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="kinds whose name begins so")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    torch.set_num_threads(1)  # a process with threads cannot be forked safely
    warm()
    draw, rows = np.random.default_rng(given.seed), {}
    with tempfile.TemporaryDirectory() as name:
        inputs = Path(name) / "inputs"
        inputs.mkdir()
        for number, kind in enumerate(kinds(inputs)):
            if kind.name.startswith(given.only):
                row = trial(kind, Path(name) / str(number), given.kills, draw, lambda line: print(line, flush=True))
                rows[kind.name] = vars(row)
    given.out.parent.mkdir(exist_ok=True, parents=True)
    given.out.write_text(json.dumps({"seed": given.seed, "kinds": rows}, indent=1) + "\n")
    wrong = [name for name, row in rows.items() if any(row[what] for what in ("different", "in_part", "lost", "left"))]
    if wrong:
        sys.exit(f"{', '.join(wrong)}: see {given.out}")


if __name__ == "__main__":
    main()
