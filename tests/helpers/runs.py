"""Small runs for the tests of training: smooth waves as images, and a network of a few thousand weights.

`python -m helpers.runs OUT [key=value ...]`, started in the folder of the tests, trains; with DIE=rank,reads,marker in the
environment that process of the run kills itself when it has read so many images, unless the marker is there already.
"""

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import yaml
from helpers.trained import SMALL
from torch import Tensor

from medrestore.codecs import CalibratedComplex
from medrestore.datasets.base import Images
from medrestore.settings import assign
from medrestore.training import BaselineConfig, Callbacks, Config, Summary, read, train

NETWORK: dict[str, Any] = {
    "in_channels": 2, "out_channels": 2, "block_out_channels": [8, 16], "layers_per_block": 1, "norm_num_groups": 4,
    "down_block_types": ["DownBlock2D"] * 2, "up_block_types": ["UpBlock2D"] * 2, "add_attention": False,
}


class Waves(Images):
    """Smooth complex images of 24 x 24 pixels, three to a patient."""

    channels = 2
    recipe = CalibratedComplex()

    def __init__(self, first: int = 0, count: int = 12) -> None:
        self.first, self.count = first, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Tensor:
        phase = torch.rand(2, 1, 1, generator=torch.Generator().manual_seed(self.first + index)) * 6
        return 0.7 * (phase + torch.linspace(0, 4, 24)).sin().expand(2, 24, 24)

    def group_of(self, index: int) -> str:
        return f"patient {(self.first + index) // 3}"


class EdgedWaves(Waves):
    """Waves with an edge."""

    def __getitem__(self, index: int) -> Tensor:
        image = super().__getitem__(index).clone()
        image[:, 14:] *= 0.3
        return image


class Deadly(Waves):
    """The same, until they kill the process that reads them."""

    reads = 0

    def __getitem__(self, index: int) -> Tensor:
        rank, reads, marker = os.environ["DIE"].split(",")
        self.reads += 1
        if os.environ.get("RANK", "0") == rank and self.reads >= int(reads) and not Path(marker).exists():
            Path(marker).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(index)


class Crop:
    """A crop anywhere."""

    channels = None

    def __call__(self, image: Tensor, side: int, generator: torch.Generator) -> Tensor:
        top, left = (int(torch.randint(image.shape[-1] - side + 1, (), generator=generator)) for _ in range(2))
        return image[:, top : top + side, left : left + side].contiguous()


class Recorder(Callbacks):
    """Stores what it is called with."""

    summary: Summary

    def __init__(self) -> None:
        self.rows: list[dict[str, float]] = []
        self.warnings: list[str] = []

    def on_start(self, summary: Summary) -> None:
        self.summary = summary

    def on_warning(self, message: str) -> None:
        self.warnings.append(message)

    def on_checkpoint(self, row: Mapping[str, float]) -> None:
        self.rows.append(dict(row))


def prior_config(out: Path, **changes: Any) -> Config:
    """A run of 96 images that checkpoints every 32; __ in a name stands for the dot in a key."""
    given: dict[str, Any] = {
        "out": str(out), "seed": 3, "network": dict(NETWORK), "objective": {"sigma_data": 0.5},
        "data": {"sides": [[8, 0.5], [16, 0.5]], "validation_crops": 4},
        "optim": {"lr": 2e-3, "batch": 8, "warmup_images": 8, "decay_images": 32},
        "images": 96, "ema_images": [16], "checkpoint_images": 32,
    }
    for name, value in changes.items():
        assign(given, name.replace("__", "."), value)
    return read(given, "test")


def train_waves(out: Path, *, data: Images | None = None, callbacks: Callbacks | None = None, resume: bool = True,
                **changes: Any) -> Path:
    """Trains a prior on waves."""
    return train(prior_config(out, **changes), images=data or Waves(), validation=Waves(30, 6), augment=Crop(),
                 callbacks=callbacks, resume=resume)


def baseline_config(out: Path, kind: str = "unet", **changes: Any) -> BaselineConfig:
    """A run of 24 scans that checkpoints every 8; __ in a name stands for the dot in a key."""
    given: dict[str, Any] = {
        "baseline": kind, "out": str(out), "seed": 3, "network": SMALL[kind], "data": {"validation_scans": 1},
        "scan": {"kinds": ["uniform1d", "gaussian2d"], "accels": [[3, 4]], "masks": 4, "coils": [2, 3]},
        "optim": {"lr": 5e-3, "batch": 2, "warmup_images": 4, "decay_images": 16}, "images": 24, "ema_images": 6,
        "checkpoint_images": 8,
    }
    for name, value in changes.items():
        assign(given, name.replace("__", "."), value)
    return read(given, "test")


def fit(out: Path, kind: str = "unet", *, callbacks: Callbacks | None = None, resume: bool = True, **changes: Any) -> Path:
    """Trains a baseline on waves with an edge."""
    return train(baseline_config(out, kind, **changes), images=EdgedWaves(), validation=EdgedWaves(30, 6),
                          callbacks=callbacks, resume=resume)


def baseline_weights(out: Path) -> bytes:
    """The weights of the baseline, as stored."""
    return (out / "baseline" / "weights.safetensors").read_bytes()


def weights(out: Path) -> bytes:
    """The weights of the prior, as they lie on the disk."""
    return (out / "prior" / "unet" / "diffusion_pytorch_model.safetensors").read_bytes()


def checkpoint_names(out: Path) -> list[str]:
    """What the folder of checkpoints of a run holds."""
    return sorted(path.name for path in (out / "checkpoints").iterdir())


if __name__ == "__main__":
    torch.set_num_threads(1)
    pairs = (setting.split("=", 1) for setting in sys.argv[2:])
    train_waves(Path(sys.argv[1]), data=Deadly() if "DIE" in os.environ else None,
                **{key.replace(".", "__"): yaml.safe_load(value) for key, value in pairs})
