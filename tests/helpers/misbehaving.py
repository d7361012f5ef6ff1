"""A child that does what its questions say: sleeps, computes for ever, grows, dies, lies."""

import os
import signal
import time

import numpy as np

from medrestore.child import hdf5, opened, serve


def answer(self: hdf5.HDF5, request: dict) -> opened.Reply:
    """What `Files.answer` does, done badly."""
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
        case "die of others" if len(self._files) > 0:
            os.kill(os.getpid(), signal.SIGSEGV)
        case "fail":
            raise RuntimeError("broken\nfile")
        case "lie":
            return None, [np.ones(100, np.uint8)]
        case "echo":
            return None, [request["arguments"]["data"]]
        case "close":
            return None, []
        case "print":
            print("a library says something", flush=True)
    self._files[request["file"]] = None
    return os.getpid(), []


def start() -> None:
    """Serves in this way."""
    hdf5.HDF5.answer = answer
    hdf5.HDF5._close = lambda self, file: None
    serve.serve()


def hang() -> None:
    """Serves, but a frame of a video takes for ever."""
    from medrestore.child import video

    def frame(self: video.Video, index: int) -> None:
        while True:
            pass

    video.Video.frame = frame
    serve.serve()
