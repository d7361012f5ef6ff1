"""Scenes: frames, their masks, and the truth if available."""

from .base import Scene, SceneSet
from .dreaming import dreaming_scenes
from .grand_challenge import Prediction, container_scenes, read_predictions
from .open import open_frames, open_scenes
from .writer import SceneWriter

__all__ = [
    "Prediction", "Scene", "SceneSet", "SceneWriter", "container_scenes", "dreaming_scenes", "open_frames", "open_scenes",
    "read_predictions",
]
