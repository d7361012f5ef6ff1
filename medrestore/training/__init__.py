"""Training and fine-tuning of priors, autoencoders and classifiers, and training of supervised baselines."""

from .baseline_config import BaselineConfig
from .classifier_config import ClassifierConfig
from .config import Config
from .kinds import AnyConfig, export_last, read, train
from .latent_config import AutoencoderConfig, LatentConfig
from .task import Callbacks, Stopped, Summary

__all__ = [
    "AnyConfig",
    "AutoencoderConfig",
    "BaselineConfig",
    "Callbacks",
    "ClassifierConfig",
    "Config",
    "LatentConfig",
    "Stopped",
    "Summary",
    "export_last",
    "read",
    "train",
]
