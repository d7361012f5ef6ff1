"""Trains a diffusion prior, an autoencoder, a supervised baseline or a classifier for guidance; a prior also from another one.

Examples:
  medrestore train quick
  medrestore train my.yaml out=runs/knee optim.lr=1e-4 data.workers=4
  medrestore train my.yaml --init brain-mr-starter
  medrestore train varnet
  medrestore train latent-quick
  torchrun --nproc-per-node 2 -m medrestore.cli.main train my.yaml

A run that was stopped or killed resumes with the same command, and ends with the weights of an uninterrupted
one.
"""

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from .. import shipped
from .command import Command
from .config import read
from .options import POSITIONAL
from .terminal import complain, decoration, progress, say

if TYPE_CHECKING:
    from torch import Tensor

    from ..training import Summary

SECONDS = 2.0  # between two readings of the loss, for which the device is waited


@dataclass(frozen=True)
class Options:
    """The options of `train`.

    Args:
        recipe: YAML of the run; or the name of one that comes with the package, as in configs/train/
        settings: key=value to set in it, dots leading inwards, as optim.lr=1e-4
        out: folder of the run, instead of the recipe's
        init: prior to start from: a folder, or the name of a shipped one
        resume: resume from the checkpoints in the folder, or refuse them
        export_only: export the last checkpoint, and do not train
    """

    recipe: Annotated[str, POSITIONAL]
    settings: Annotated[tuple[str, ...], POSITIONAL] = ()
    out: str | None = None
    init: str | None = None
    resume: Literal["auto", "never"] = "auto"
    export_only: bool = False


def run(options: Options) -> int:
    """Trains, and prints where the result is; also 0 when it was asked to stop and has saved."""
    values = _recipe_of(options)
    from .. import training

    config = training.read(values, options.recipe)
    if options.export_only:
        say(f"{training.export_last(config)}")
        return 0
    terminal = _terminal(config.images)
    try:
        folder = training.train(config, callbacks=terminal, resume=options.resume == "auto")
    except training.Stopped as stopped:
        terminal.end(str(stopped))
        return 0
    terminal.end(str(folder))
    return 0


def _recipe_of(options: Options) -> dict[str, Any]:
    """The recipe with the settings of the command line."""
    from ..settings import override

    values = read(shipped.config(options.recipe, "train"))
    override(values, options.settings)
    for key in ("out", "init"):
        if getattr(options, key) is not None:
            values[key] = getattr(options, key)
    return values


def _terminal(total: int) -> Any:
    """Callbacks that print a line at the start and at checkpoints, and draw a bar in a terminal.

    Args:
        total: images of the whole run.
    """
    from tqdm import tqdm

    from ..training import Callbacks

    class Terminal(Callbacks):
        bar: Any = None
        read = -SECONDS  # when the loss was read last

        def on_start(self, summary: "Summary") -> None:
            start = f", resuming from {summary.images:,}" if summary.images else ""
            say(
                f"{summary.training_images:,} images to train on, {summary.validation_images:,} to validate; "
                f"{summary.parameters / 1e6:.2f} million parameters on {summary.hardware}; "
                f"{total:,} images{start}; to {summary.out}"
            )
            with decoration():
                self.bar = tqdm(total=total, initial=summary.images, unit="image", disable=None, dynamic_ncols=True)

        def on_prepare(self, label: str, total: int) -> Callable[[], None]:
            return progress(label, total)

        def on_warning(self, message: str) -> None:
            complain(f"medrestore train: warning: {message}")

        def on_step(self, images: int, loss: "Tensor | float") -> None:
            with decoration():
                if self.bar is None or self.bar.disable:
                    return
                if time.monotonic() > self.read + SECONDS:
                    self.read = time.monotonic()
                    self.bar.set_postfix_str(f"loss {float(loss):.4g}", refresh=False)
                self.bar.update(images - self.bar.n)

        def on_checkpoint(self, row: Mapping[str, float]) -> None:
            left = (total - row["images"]) / max(row["images_per_second"], 1e-9)
            line = "  ".join(
                f"{key} {value:,.5g}" for key, value in row.items() if key != "images" and "(" not in key
            )
            with decoration():
                bar = self.bar or tqdm
                bar.write(f"{row['images']:,.0f} of {total:,} images  {line}  about {left / 60:.0f} min left")
                sys.stdout.flush()

        def end(self, line: str) -> None:
            """Removes the bar and prints the last line, on the main process."""
            if self.bar is not None:
                with decoration():
                    self.bar.close()
                say(line)

    return Terminal()


def _recipe_files() -> Mapping[str, type]:
    from .. import training

    return {"training of a prior": training.Config, "training of an autoencoder": training.AutoencoderConfig,
            "training of a prior of codes": training.LatentConfig, "training of a baseline": training.BaselineConfig,
            "training of a classifier": training.ClassifierConfig}


COMMAND = Command("train", Options, run, __doc__, files=_recipe_files)
