"""Signals that end a command: it stops where a Ctrl-C would stop it, so that what is done stays and no temporary file does."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ENDING = ("SIGTERM", "SIGHUP")  # of schedulers, of a shutdown, of a terminal that is closed


class StoppedBySignal(KeyboardInterrupt):
    """A signal asked the command to end.

    Args:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@contextmanager
def stoppable() -> Iterator[None]:
    """Raises `StoppedBySignal` in the main thread when a signal asks this process to end.

    Signals that the caller ignores, as `nohup` does, stay ignored; those that a command handles itself are its own.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    known = [signal.Signals[name] for name in ENDING if name in signal.Signals.__members__]
    ours = [number for number in known if signal.getsignal(number) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, _stop)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def exit_code(stop: KeyboardInterrupt) -> int:
    """128 and the number of the signal, as shells have it."""
    return 128 + (stop.number if isinstance(stop, StoppedBySignal) else signal.SIGINT)


def _stop(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)  # a second one finds the first at work
    raise StoppedBySignal(number)
