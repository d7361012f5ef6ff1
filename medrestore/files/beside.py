"""What lies beside an output: its preview, and JSON that says how it was made."""

import json
from pathlib import Path
from typing import Any


def preview_place(out: Path) -> Path:
    """Where the picture to look at goes."""
    return out.with_name(out.name + ".preview.png")


def read_mapping(place: Path, *, largest: int) -> dict[str, Any]:
    """The mapping in a JSON file; empty where there is no file, or where it has more than `largest` bytes or no mapping."""
    try:
        if place.stat().st_size > largest:
            return {}
        record = json.loads(place.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}
