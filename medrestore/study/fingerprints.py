"""sha256 of what a study reads, each file read once."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

from ..files import digest, digest_of, write_file
from ..io.guards import scan_files


class Fingerprints:
    """sha256 of files, remembered by path, size and time of change in a file of its own.

    Args:
        store: the file; None remembers nothing.
    """

    def __init__(self, store: Path | None) -> None:
        self._store, self._known = store, _stored(store)

    def __call__(self, path: Path) -> str:
        """sha256 of one file; of header and data for a BART pair."""
        parts = scan_files(path)
        states = [(part.resolve(), part.stat()) for part in parts]
        key = " ".join(f"{real} {state.st_size} {state.st_mtime_ns}" for real, state in states)
        if key not in self._known:
            self._known[key] = digest(*parts)
        return self._known[key]

    def together(self, paths: Iterable[Path], root: Path) -> str:
        """sha256 of the names below `root` and the contents of several files."""
        return digest_of([[str(path.relative_to(root)), self(path)] for path in sorted(paths)])

    def save(self) -> None:
        """Writes them to the file."""
        if self._store is not None:
            write_file(self._store, json.dumps(self._known, indent=0, sort_keys=True))


def _stored(store: Path | None) -> dict[str, str]:
    """What a file of fingerprints holds; nothing where it is missing or damaged."""
    try:
        values = json.loads(store.read_text("utf-8")) if store is not None and store.is_file() else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def pseudonym(text: str) -> str:
    """A name that reveals nothing of what it stands for."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]
