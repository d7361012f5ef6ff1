"""Lines and progress bars: quiet when nobody watches."""

from argparse import SUPPRESS, Action, RawDescriptionHelpFormatter
from collections.abc import Callable, Sequence
from typing import Any

from jsonargparse import ArgumentParser, DefaultHelpFormatter


class Help(DefaultHelpFormatter, RawDescriptionHelpFormatter):
    """Help that keeps the lines of the examples and speaks of defaults only where there is one."""

    def _get_help_string(self, action: Action) -> str:
        default = action.default
        silent = default is None or default is False or default in (SUPPRESS, {}) or not action.option_strings
        return (action.help or "") + ("" if silent else " (default: %(default)s)")


class Intermixed(ArgumentParser):
    """A parser that takes key=value anywhere in the line; the base class wants them directly behind the first argument.

    Args:
        valued: options whose value is the next word.
    """

    def __init__(self, *args: Any, valued: Sequence[str] = (), **options: Any) -> None:
        self.valued = tuple(valued)
        super().__init__(*args, **options)

    def parse_args(self, args: Sequence[str] | None = None, *rest: Any, **options: Any) -> Any:
        words = list(args or [])
        free = [at for at, word in enumerate(words)
                if not word.startswith("-") and not (at and words[at - 1] in self.valued)]
        others = [word for at, word in enumerate(words) if at not in free]
        return super().parse_args([words[at] for at in free] + others, *rest, **options)


def say(line: str) -> None:
    """One line, at once, also into a pipe."""
    print(line, flush=True)


def progress(label: str, total: int) -> Callable[[], None]:
    """A bar with the time left; nothing when the output is not a terminal."""
    from tqdm import tqdm

    bar = tqdm(total=total, desc=label, disable=None, unit="step", leave=False)

    def advance() -> None:
        bar.update()
        if bar.n >= total:
            bar.close()

    return advance
