"""Lines and progress bars, which may fail to be shown but never end the work; help that keeps its examples."""

import io
import os
import sys
from argparse import RawDescriptionHelpFormatter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

NOTICE = "Research use only. Not a medical device. Not for diagnosis. Generative priors can invent anatomy."


class Help(RawDescriptionHelpFormatter):
    """Help that keeps the lines of the examples."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28)


def settle_streams() -> None:
    """Makes the streams such that a line can always be written.

    Closed ones lead nowhere, so that no file of ours takes their numbers and gets the lines; signs that the terminal's
    encoding does not have, and bytes of file names that are no text, are shown by a replacement.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115 - for as long as the process lives
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def shows_unicode() -> bool:
    """Whether lines can hold every sign."""
    return (sys.stdout.encoding or "ascii").lower().replace("-", "") in ("utf8", "utf16", "utf32")


def say(line: str) -> None:
    """One line, at once, also into a pipe; whoever read our lines may have gone."""
    with decoration():
        print(line, flush=True)


def complain(line: str) -> None:
    """One line where errors go."""
    with decoration():
        print(line, file=sys.stderr, flush=True)


def progress(label: str, total: int) -> Callable[[], None]:
    """A bar with the time left; nothing when the output is not a terminal."""
    from tqdm import tqdm

    with decoration():
        bar = tqdm(total=total, desc=label, disable=None, unit="step", leave=False)

        def advance() -> None:
            with decoration():
                bar.update()
                if bar.n >= total:
                    bar.close()

        return advance
    return lambda: None


@contextmanager
def decoration() -> Iterator[None]:
    """What is shown while the work goes on; where it cannot be, the work goes on without."""
    try:
        yield
    except BrokenPipeError:  # no more lines to it, also none at exit
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, UnicodeError, ValueError):  # a terminal that has gone, a full disk behind it, a stream closed meanwhile
        pass
