"""sha256 of what a study reads."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from ..errors import InputError
from ..files import digest, digest_of
from ..io.guards import scan_files


class Fingerprints:
    """sha256 of the contents of files. Each is read once a process, and again only where it was written to
    since.

    Nothing is stored: paths, sizes and times of an earlier run say nothing about what a file holds now.
    """

    def __init__(self) -> None:
        self._known: dict[Path, tuple[tuple[tuple[int, ...], ...], str]] = {}

    def __call__(self, path: Path) -> str:
        """sha256 of one file; of header and data for a BART pair."""
        path, state = path.absolute(), _state(path)
        if path not in self._known or self._known[path][0] != state:
            self._known[path] = state, digest(*scan_files(path))
        return self._known[path][1]

    def together(self, paths: Iterable[Path], root: Path) -> str:
        """sha256 of the names below `root` and the contents of several files."""
        return digest_of([[str(path.relative_to(root)), self(path)] for path in sorted(paths)])

    def check_unchanged(self) -> None:
        """Refuses files that hold something else than when they were read first.

        Raises:
            InputError: names one of them, or one that is gone.
        """
        for path, (_, sha256) in list(self._known.items()):
            try:
                same = self(path) == sha256
            except OSError:
                same = False
            if not same:
                raise InputError(f"{path} was changed while it was in use, so scores may be of the old or of the new content; "
                                 "run again: what the change concerns is scored anew")


def _state(path: Path) -> tuple[tuple[int, ...], ...]:
    """What any write to the files of a scan changes; the time of the last status change cannot be set by
    hand.
    """
    states = [part.stat() for part in scan_files(path)]
    return tuple((one.st_dev, one.st_ino, one.st_size, one.st_mtime_ns, one.st_ctime_ns) for one in states)


def short_digest(text: str) -> str:
    """What tells labels apart that look alike as names of files."""
    return hashlib.sha256(text.encode()).hexdigest()[:6]
