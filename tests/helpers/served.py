"""The page of a run of the server, for tests: jobs that end at once, and the real ones."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from medrestore.cli.serve import COMMANDS, Front, offered, suiting
from medrestore.cli.terminal import NOTICE
from medrestore.errors import InputError
from medrestore.serve.app import make_app
from medrestore.serve.entry import Entry
from medrestore.serve.guard import Guard
from medrestore.serve.jobs import Jobs

QUICK = "steps: 2\nmethod: diffpir\n"


def front_of(*priors: Path) -> tuple[Front, Mapping[str, tuple[str, ...]]]:
    """The front of a page that offers these priors beside the shipped ones, and what it offers for each job."""
    found = offered(tuple(map(str, priors)))
    return Front({name: folder for name, (folder, _) in found.items()}), {kind: suiting(found, kind) for kind in COMMANDS}


@contextmanager
def jobs_in(folder: Path, front: Front, **options: Any) -> Iterator[Jobs]:
    """Jobs whose private folder is made in a folder."""
    jobs = Jobs(front, folder=folder, **options)
    try:
        yield jobs
    finally:
        jobs.close()


def guarded(jobs: Jobs, front: Front, priors: Mapping[str, tuple[str, ...]], *, port: int = 8765,
            max_upload_gb: float = 1.0) -> Guard:
    """The application behind its guard."""
    return Guard(make_app(jobs, front, priors=priors, notice=NOTICE, max_upload_gb=max_upload_gb), port)


@contextmanager
def served(folder: Path, *priors: Path) -> Iterator[Guard]:
    """The page on a port of its own, in a thread."""
    import uvicorn

    front, offers = front_of(*priors)
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    with jobs_in(folder, front, device="cpu") as jobs:
        guard = guarded(jobs, front, offers, port=listening.getsockname()[1])
        server = uvicorn.Server(uvicorn.Config(guard, log_level="error", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            yield guard
        finally:
            server.should_exit = True
            thread.join(10)
            listening.close()


def waited(entry: Entry, until: Callable[[Entry], bool] = lambda entry: entry.ended, seconds: float = 120) -> Entry:
    """A job once it has ended, or something else is so."""
    end = time.monotonic() + seconds
    while not until(entry):
        assert time.monotonic() < end, entry.plain()
        time.sleep(0.02)
    return entry


def at_once(items: list[Any], call: Callable[..., None], *, workers: int, heard: Callable[..., None],
            ended: Callable[..., Any], stopped: Callable[[], bool]) -> None:
    """In the place of `over`: the work in this process, where it is begun sooner."""
    (item,), here, error = items, os.getcwd(), None
    try:
        call(item, 0, lambda message: heard(item, message))
    except InputError as failure:
        error = failure
    finally:
        os.chdir(here)
    ended(item, error)
