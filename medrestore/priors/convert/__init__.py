"""Doors for existing checkpoints: recognised from keys and shapes, loaded strictly, tensors and plain data only."""

from .base import Converted, Family, Shapes
from .checkpoint import Checkpoint, read
from .identify import FAMILIES, Found, identify, open_checkpoint
from .write import write

__all__ = ["FAMILIES", "Checkpoint", "Converted", "Family", "Found", "Shapes", "identify", "open_checkpoint", "read", "write"]
