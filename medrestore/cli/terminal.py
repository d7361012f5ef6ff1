"""Lines and progress bars; help that keeps its examples."""

from argparse import RawDescriptionHelpFormatter
from collections.abc import Callable


class Help(RawDescriptionHelpFormatter):
    """Help that keeps the lines of the examples."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28)


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
