"""Training and fine-tuning of priors, and training of supervised baselines."""

from .baseline import export_last_baseline, train_baseline
from .classifier import ClassifierConfig, export_last_classifier, train_classifier
from .config import BaselineConfig, Config, read, read_baseline
from .prior import export_last, train
from .task import Callbacks, Stopped, Summary

__all__ = [
    "BaselineConfig",
    "Callbacks",
    "ClassifierConfig",
    "Config",
    "Stopped",
    "Summary",
    "export_last",
    "export_last_baseline",
    "export_last_classifier",
    "read",
    "read_baseline",
    "train",
    "train_baseline",
    "train_classifier",
]
