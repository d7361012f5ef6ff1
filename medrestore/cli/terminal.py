"""Lines and progress bars, which may fail to be shown but never end the work; help that keeps its examples."""

import io
import logging
import os
import sys
from argparse import RawDescriptionHelpFormatter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

NOTICE = "Research use only. Not a medical device. Not for diagnosis. Generative priors can invent anatomy."
LOG = logging.getLogger("medrestore")  # of all lines; those of modules of the library are its children
RESULT = 25  # level of lines that were asked for: above what tells of the work, below warnings
LEVELS = {"quiet": RESULT, "normal": logging.INFO, "verbose": logging.DEBUG}


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


class LineHandler(logging.Handler):
    """Prints lines at once, also into a pipe: errors where errors go, the others too where the output is for a program.

    Args:
        aside: whether all lines go where errors go.
    """

    def __init__(self, aside: bool = False) -> None:
        super().__init__()
        self.aside = aside

    def emit(self, record: logging.LogRecord) -> None:
        """Prints one line; whoever read our lines may have gone."""
        text = record.getMessage()
        if record.levelno < logging.INFO:
            text = f"[{record.relativeCreated / 1000:.1f} s] {record.name}: {text}"
        with decoration():
            print(text, file=sys.stderr if self.aside or record.levelno >= logging.ERROR else sys.stdout, flush=True)


def settle_lines(detail: str = "normal", *, aside: bool = False) -> None:
    """Decides which lines are printed, and where.

    Args:
        detail: quiet (results, warnings and errors alone), normal, or verbose (also what modules of the library log).
        aside: print all of them where errors go, as the output is for a program.
    """
    for handler in [*LOG.handlers]:
        LOG.removeHandler(handler)
    LOG.addHandler(LineHandler(aside))
    LOG.setLevel(LEVELS[detail])
    LOG.propagate = False


def lines_aside() -> None:
    """Prints all further lines where errors go."""
    for handler in LOG.handlers:
        if isinstance(handler, LineHandler):
            handler.aside = True


def say(line: str) -> None:
    """A line on the work, or a warning."""
    LOG.log(logging.WARNING if line.startswith("warning:") else logging.INFO, "%s", line)


def say_answer(line: str) -> None:
    """A line that was asked for."""
    LOG.log(RESULT, "%s", line)


def complain(line: str) -> None:
    """One line where errors go."""
    LOG.error("%s", line)


def progress(label: str, total: int) -> Callable[[], None]:
    """A bar with the time left; nothing when the output is not a terminal."""
    from tqdm import tqdm

    with decoration():
        quiet = True if LOG.getEffectiveLevel() > logging.INFO else None  # None: where it is no terminal
        bar = tqdm(total=total, desc=label, disable=quiet, unit="step", leave=False)

        def advance() -> None:
            with decoration():
                if bar.n < total:  # a bar that has closed stays so
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


settle_lines()  # lines that are said before a command begins
