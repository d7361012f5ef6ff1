"""Lines and progress bars: quiet when nobody watches."""

from argparse import SUPPRESS, Action, RawDescriptionHelpFormatter
from collections.abc import Callable

from jsonargparse import DefaultHelpFormatter


class Help(DefaultHelpFormatter, RawDescriptionHelpFormatter):
    """Help that keeps the lines of the examples and speaks of defaults only where there is one."""

    def _get_help_string(self, action: Action) -> str:
        default = action.default
        silent = default is None or default is False or default in (SUPPRESS, {}) or not action.option_strings
        return (action.help or "") + ("" if silent else " (default: %(default)s)")


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
