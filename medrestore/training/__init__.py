"""Training and fine-tuning of priors, and training of supervised baselines."""

from .autoencoder import export_last_autoencoder, train_autoencoder
from .baseline import export_last_baseline, train_baseline
from .config import BaselineConfig, Config, read, read_baseline
from .latent_config import AutoencoderConfig, read_autoencoder
from .prior import export_last, train
from .task import Callbacks, Stopped, Summary

__all__ = [
    "AutoencoderConfig",
    "BaselineConfig",
    "Callbacks",
    "Config",
    "Stopped",
    "Summary",
    "export_last",
    "export_last_autoencoder",
    "export_last_baseline",
    "read",
    "read_autoencoder",
    "read_baseline",
    "train",
    "train_autoencoder",
    "train_baseline",
]
