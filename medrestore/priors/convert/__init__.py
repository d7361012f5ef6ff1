"""Doors for existing checkpoints: recognised from keys and shapes, loaded strictly, tensors and plain data only."""

from .base import Converted, Family, Shapes
from .checkpoint import CheckpointView, read_views
from .identify import FAMILIES, KnownCheckpoint, identify
from .write import write

__all__ = ["FAMILIES", "CheckpointView", "Converted", "Family", "KnownCheckpoint", "Shapes", "identify", "read_views",
           "write"]
