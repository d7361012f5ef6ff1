"""What runs in the child: requests come in, answers go out, each within its limits."""

from __future__ import annotations

import io
import math
import os
import signal
import time
from contextlib import suppress
from importlib import import_module
from typing import Any, NoReturn

from .messages import Broken, receive_message, send_message
from .opened import OpenFiles

KINDS = {  # modules of this package, and what answers in them
    "hdf5": "HDF5", "video": "Videos", "parquet": "Tables", "tiff": "Tiffs", "dicom": "Dicoms", "picture": "Pictures",
}
# exit codes of a worker: the parent has gone, or wants another worker; with a bit for each of KINDS that it was asked for
DONE, FRESH = 0, 1 << len(KINDS)
MOST = 1 << 40  # bytes that the parent may send; it has them in memory already


def serve() -> None:
    """Answers until the parent closes its end.

    A forked worker does it, with everything imported already: HDF5 from the start, the rest once one has been asked for it.
    Where it dies, the parent is told how, and the next one goes on; a worker also ends where the parent asks for a fresh one.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the parent decides
    incoming, outgoing = io.FileIO(os.dup(0)), io.FileIO(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_RDWR), 1)  # what a library prints is no message
    _limit("RLIMIT_CORE", 0)
    if not hasattr(os, "fork"):
        _work(incoming, outgoing)
    asked = 1  # bits of KINDS
    while True:
        for bit, kind in enumerate(KINDS):
            if asked >> bit & 1:
                with suppress(ImportError):  # which whoever asks is told
                    import_module(f".{kind}", __package__)
        worker = os.fork()
        if worker == 0:
            _work(incoming, outgoing)
        code = os.waitstatus_to_exitcode(os.waitpid(worker, 0)[1])
        if code == DONE:
            os._exit(0)
        if code >= FRESH:
            asked |= code - FRESH
        else:
            try:
                send_message(outgoing, {"died": code})
            except OSError:  # the parent has gone
                os._exit(0)


def _work(incoming: io.FileIO, outgoing: io.FileIO) -> NoReturn:
    """Answers requests; ends without taking anything apart, as its memory may be damaged."""
    kinds: dict[str, OpenFiles[Any]] = {}
    while True:
        try:
            request, content = receive_message(incoming, most=MOST)
        except Broken:
            os._exit(DONE)
        if request["question"] == "end":
            os._exit(FRESH + sum(1 << bit for bit, kind in enumerate(KINDS) if kind in kinds))
        try:
            kind = request["kind"]
            if kind not in kinds:
                kinds[kind] = getattr(import_module(f".{kind}", __package__), KINDS[kind])()
            _limit("RLIMIT_AS", _address_space() + request["memory"])
            _limit("RLIMIT_CPU", math.ceil(time.process_time() + request["seconds"]))
            for number in request["closed"]:
                for files in kinds.values():
                    files.close(number)
            if content:
                request["arguments"]["data"] = content[0]
            value, arrays = kinds[kind].answer(request)
        except Exception as error:  # libraries raise whatever they like of a damaged file
            _limit("RLIMIT_AS", None)
            text = " ".join(str(error).split()) or type(error).__name__
            send_message(outgoing, {"error": text if len(text) < 500 else f"{text[:500]} ..."})
        else:
            send_message(outgoing, {"value": value}, arrays)


def _limit(name: str, value: int | None) -> None:
    """Sets a limit of this process as far as the system knows it; None takes it back."""
    with suppress(ImportError, AttributeError, ValueError, OSError):
        import resource

        kind = getattr(resource, name)
        hard = resource.getrlimit(kind)[1]
        if value is None or hard != resource.RLIM_INFINITY:
            value = hard if value is None else min(value, hard)
        resource.setrlimit(kind, (value, hard))


def _address_space() -> int:
    """Bytes of address space in use; where the system does not say, a number beyond which nothing is limited."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 1 << 62
