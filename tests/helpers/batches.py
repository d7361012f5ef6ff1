"""What trainings of one batch share."""

from pathlib import Path
from typing import Any

from helpers.runs import train_waves

SHORT: dict[str, Any] = {"images": 8, "checkpoint_images": 8}  # one batch


def prior(out: Path, **how: Any) -> bool:
    """Whether one batch is trained and a prior written."""
    return (train_waves(out, **SHORT | how) / "prior.json").is_file()
