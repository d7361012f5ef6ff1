"""Scores under named protocols, so that numbers can be compared; tables, tests and the calibration of
spreads.
"""

from . import protocols, statistics, tables, uncertainty
from .dreaming import FrameScore, Protocol, SceneScore, Summary, score_scene, summarise, write_frames_csv, write_scenes_csv
from .inception import Inception, load_inception
from .perceptual import LPIPS, frechet_distance, load_lpips
from .protocols import METRICS, Metric, score
from .uncertainty import Calibration, calibration, conformal_factor, needed_factor, residual_chi_squared

__all__ = [
    "LPIPS", "METRICS", "Calibration", "FrameScore", "Inception", "Metric", "Protocol", "SceneScore", "Summary",
    "calibration",
    "conformal_factor", "frechet_distance", "load_inception", "load_lpips", "needed_factor", "protocols",
    "residual_chi_squared", "score",
    "score_scene", "statistics", "summarise", "tables", "uncertainty", "write_frames_csv", "write_scenes_csv",
]
