"""sha256 of files and of plain data."""

import hashlib
import json
import os


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


def digest_of(value: object) -> str:
    """sha256 of plain data as JSON with sorted keys; hexadecimal."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
