"""Scores under named protocols, so that numbers can be compared."""

from .dreaming import FrameScore, Protocol, SceneScore, Summary, score_scene, summarise, write_frames_csv, write_scenes_csv
from .perceptual import LPIPS, frechet_distance, load_lpips

__all__ = [
    "LPIPS", "FrameScore", "Protocol", "SceneScore", "Summary", "frechet_distance", "load_lpips", "score_scene", "summarise",
    "write_frames_csv", "write_scenes_csv",
]
