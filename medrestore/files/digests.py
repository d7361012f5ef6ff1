"""sha256 of files and of plain data."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path


def digest(*paths: str | os.PathLike[str]) -> str:
    """sha256 of a file, or of several one after the other; hexadecimal.

    Raises:
        OSError: a file cannot be read.
    """
    total = hashlib.sha256()
    for path in paths:
        with open(path, "rb") as file:
            while block := file.read(2**20):
                total.update(block)
    return total.hexdigest()


def altered(folder: Path, digests: Mapping[str, object]) -> list[str]:
    """The files, by name, that are missing from a folder or do not have the sha256 that was recorded of them."""
    return [name for name, sha256 in digests.items() if not _is(folder / name, sha256)]


def _is(path: Path, sha256: object) -> bool:
    try:
        return path.is_file() and digest(path) == sha256
    except OSError:
        return False


def digest_of(value: object) -> str:
    """sha256 of plain data as JSON with sorted keys; hexadecimal."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
