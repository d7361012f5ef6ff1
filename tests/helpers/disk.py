"""A disk that is full, runs that are killed, and what lies in a folder."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOM = 300_000  # bytes


@contextmanager
def full_disk() -> Iterator[None]:
    """No file of this process may become larger than `ROOM`."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def killed(code: str, *arguments: object) -> None:
    """Runs Python code in a process that kills itself by `die()`; `sys.argv[1:]` are the arguments."""
    start = "import os, signal, sys\ndef die(*_, **__):\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    done = subprocess.run(
        [sys.executable, "-c", start + code, *map(str, arguments)],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


def contents(folder: Path) -> dict[str, str]:
    """Every file below a folder and its text; a link is `-> target`, an empty folder ends in a slash.

    Markers of published folders are left out.
    """
    found = {}
    for parent, folders, names in os.walk(folder):
        for name in (*names, *folders):
            path = Path(parent, name)
            relative = path.relative_to(folder).as_posix()
            if path.is_symlink():
                found[relative] = f"-> {os.readlink(path)}"
            elif name == ".medrestore" and path.is_file() and path.read_text().startswith('{"files"'):
                continue
            elif path.is_file():
                found[relative] = path.read_text(errors="replace")
            elif not any(path.iterdir()):
                found[f"{relative}/"] = ""
    return found
