"""Ways to damage a file, or the files of a folder."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any


def flip(name: str = "") -> Callable[[Path], None]:
    """One bit in the middle of a file."""

    def spoil(path: Path) -> None:
        data = bytearray((path / name if name else path).read_bytes())
        data[len(data) // 2] ^= 1
        (path / name if name else path).write_bytes(data)

    return spoil


def said(name: str, text: str) -> Callable[[Path], object]:
    """Another text in a file of a folder."""
    return lambda path: (path / name).write_text(text)


def lost(name: str) -> Callable[[Path], object]:
    return lambda path: (path / name).unlink()


def entry(name: str, **values: Any) -> Callable[[Path], object]:
    """Other entries of a JSON file, None for none."""

    def spoil(path: Path) -> None:
        about = json.loads((path / name).read_text()) | values
        left_out = {key for key, value in values.items() if value is None}
        (path / name).write_text(json.dumps({key: about[key] for key in about.keys() - left_out}))

    return spoil
