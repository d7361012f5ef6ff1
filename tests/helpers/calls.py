"""Calls for worker processes: some fail, some end the process."""

import os
import signal
import time
from collections.abc import Callable
from typing import Any

from medrestore.settings import FieldError


def double(item: Any, worker: int, report: Callable[[Any], None]) -> None:
    report(("pid", os.getpid()))
    if item == "field":
        raise FieldError("Plan", "steps", "is wrong")
    if item == "wrong":
        raise ZeroDivisionError("by zero,\nof course")
    if item == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if item == "left":
        os._exit(3)
    if item == "sleeps":
        time.sleep(600)
    report(("double", 2 * item))
