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
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import ArgumentParser, Namespace

from .config import read
from .terminal import Help, progress, say

if TYPE_CHECKING:
    from ..training import Config, supervised

VALUED = ("-o", "--out", "--init", "--resume")  # options whose value comes next


class _Mixed(ArgumentParser):
    """Takes key=value anywhere in the line; by itself the parser wants them all right behind the recipe."""

    def parse_args(self, args: Any = None, *more: Any, **others: Any) -> Any:
        words = list(args or [])
        free = [at for at, word in enumerate(words) if not word.startswith("-") and not (at and words[at - 1] in VALUED)]
        positional = [words[at] for at in free]
        rest = [word for at, word in enumerate(words) if at not in free]
        return super().parse_args(positional + rest, *more, **others)


def parser() -> ArgumentParser:
    """The options of `train`."""
    p = _Mixed(description=__doc__, formatter_class=Help, exit_on_error=False)
    add = p.add_argument
    add("recipe", type=str, help="YAML of the run, as in configs/train/")
    add("settings", type=str, nargs="*", default=[], help="key=value to set in it, dots leading inwards, as optim.lr=1e-4")
    add("-o", "--out", type=str | None, default=None, help="folder of the run, instead of the recipe's")
    add("--init", type=str | None, default=None, help="prior to start from: a folder, or the name of a shipped one")
    add("--resume", choices=("auto", "never"), default="auto", help="go on from the checkpoints in the folder, or refuse them")
    add("--export-only", dest="export_only", action="store_true", help="make what a run leaves of the last checkpoint")
    return p


def run(options: Namespace) -> int:
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


def _given(options: Namespace) -> dict[str, Any]:
    """The recipe with what the command line sets in it."""
    from ..settings import override

    given = read(Path(options.recipe))
    override(given, options.settings)
    for key in ("out", "init"):
        if options[key] is not None:
            given[key] = options[key]
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
