"""A prior by name, told what is known of the image."""

from pathlib import Path

import torch

from ..conditions import Conditions
from .base import Prior
from .store import load


def opened(name: str | Path, conditions: Conditions, *, device: torch.device | str = "cpu", bf16: bool = False,
           compiled: bool = False) -> Prior:
    """A prior by folder or by the name of a shipped one, with what is known of the image beside its data.

    Args:
        device, bf16, compiled: as `store.load`.

    Raises:
        InputError: as `store.load`, or conditions that do not suit the prior.
    """
    return load(name, device=device, bf16=bf16, compiled=compiled, label=conditions.label)
