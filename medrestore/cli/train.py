"""A diffusion prior, or a supervised baseline, trained from scratch; a prior also from another one.

Examples:
  medrestore train configs/train/quick.yaml
  medrestore train my.yaml out=runs/knee optim.lr=1e-4 data.workers=4
  medrestore train my.yaml --init brain-mr-starter
  medrestore train configs/train/varnet.yaml
  torchrun --nproc-per-node 2 -m medrestore.cli.main train my.yaml

A run that was stopped or killed goes on with the same command, and ends as if nothing had happened.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from .command import Command
from .config import read
from .options import POSITIONAL
from .terminal import progress, say

if TYPE_CHECKING:
    from ..training import Config, supervised



@dataclass(frozen=True)
class Options:
    """The options of `train`.

    Args:
        recipe: YAML of the run, as in configs/train/
        settings: key=value to set in it, dots leading inwards, as optim.lr=1e-4
        out: folder of the run, instead of the recipe's
        init: prior to start from: a folder, or the name of a shipped one
        resume: go on from the checkpoints in the folder, or refuse them
        export_only: make what a run leaves of the last checkpoint
    """

    recipe: Annotated[str, POSITIONAL]
    settings: Annotated[tuple[str, ...], POSITIONAL] = ()
    out: str | None = None
    init: str | None = None
    resume: Literal["auto", "never"] = "auto"
    export_only: bool = False


def run(options: Options) -> int:
    """Trains, and says where the prior or baseline is; also 0 when it was asked to stop and has saved.

    A recipe with the key `baseline` is one of a supervised baseline.
    """
    given = _given(options)
    from ..training import Stopped, supervised, trainer
    from ..training.config import read as prior_config

    baseline = "baseline" in given
    config = (supervised.read if baseline else prior_config)(given, options.recipe)
    if options.export_only:
        say(f"{(supervised if baseline else trainer).export_last(config)}")
        return 0
    watch = _watch(config)
    try:
        made = (supervised.fit if baseline else trainer.train)(config, watch=watch, resume=options.resume == "auto")
    except Stopped as stopped:
        watch.close()
        watch.say(str(stopped))
        return 0
    watch.close()
    watch.say(str(made))
    return 0


def _given(options: Options) -> dict[str, Any]:
    """The recipe with what the command line sets in it."""
    from ..settings import override

    given = read(Path(options.recipe))
    override(given, options.settings)
    for key in ("out", "init"):
        if getattr(options, key) is not None:
            given[key] = getattr(options, key)
    return given


def _watch(config: "Config | supervised.Config") -> Any:
    """Prints one line at the start and one a checkpoint, and draws a bar where there is a terminal."""
    from tqdm import tqdm

    from ..training import Watch

    class Terminal(Watch):
        bar: Any = None

        def found(self, facts: Mapping[str, Any]) -> None:
            start = f", going on from {facts['seen']:,}" if facts["seen"] else ""
            say(f"{facts['training images']:,} images to train on, {facts['validation images']:,} to validate; "
                f"{facts['parameters'] / 1e6:.2f} million parameters on {facts['device']}; "
                f"{config.images:,} images{start}; to {facts['out']}")
            self.bar = tqdm(total=config.images, initial=facts["seen"], unit="image", disable=None, dynamic_ncols=True)

        def preparing(self, label: str, total: int) -> Callable[[], None]:
            return progress(label, total)

        def warn(self, sentence: str) -> None:
            print(f"medrestore train: warning: {sentence}", file=sys.stderr, flush=True)

        def seen(self, images: int) -> None:
            self.bar.update(images - self.bar.n)

        def checkpoint(self, row: Mapping[str, float]) -> None:
            left = (config.images - row["images"]) / max(row["images_per_second"], 1e-9)
            line = "  ".join(f"{key} {value:,.5g}" for key, value in row.items() if key != "images" and "(" not in key)
            self.bar.write(f"{row['images']:,.0f} of {config.images:,} images  {line}  about {left / 60:.0f} min left")
            sys.stdout.flush()

        def say(self, line: str) -> None:
            if self.bar is not None:  # the main process
                say(line)

        def close(self) -> None:
            if self.bar is not None:
                self.bar.close()

    return Terminal()


COMMAND = Command("train", Options, run, __doc__)
