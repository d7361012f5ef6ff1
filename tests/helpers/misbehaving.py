"""A child that does what its questions say: sleeps, computes for ever, grows, dies, lies."""

import os
import signal
import time

import numpy as np

from medrestore.child import hdf5, serve


def answer(self: hdf5.Files, request: dict) -> hdf5.Reply:
    """What `Files.answer` does, done badly."""
    for number in request["closed"]:
        self._open.pop(number, None)
    match request["question"]:
        case "hang":
            while True:
                pass
        case "sleep":
            time.sleep(60)
        case "grow":
            return None, [np.ones(1 << 30, np.uint8)]
        case "die":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "die of others" if len(self._open) > 0:
            os.kill(os.getpid(), signal.SIGSEGV)
        case "fail":
            raise RuntimeError("broken\nfile")
        case "lie":
            return None, [np.ones(100, np.uint8)]
        case "close":
            return None, []
        case "print":
            print("a library says something", flush=True)
    self._open[request["file"]] = None
    return os.getpid(), []


def start() -> None:
    """Serves in this way."""
    hdf5.Files.answer = answer
    serve.serve()
