"""Training and fine-tuning of priors, and training of supervised baselines."""

from .autoencoder import export_last_autoencoder, train_autoencoder
from .baseline import export_last_baseline, train_baseline
from .baseline_config import BaselineConfig, read_baseline
from .classifier import export_last_classifier, train_classifier
from .classifier_config import ClassifierConfig
from .config import Config, read
from .latent import export_last_latent, train_latent
from .latent_config import AutoencoderConfig, LatentConfig, read_autoencoder, read_latent
from .prior import export_last, train
from .task import Callbacks, Stopped, Summary

__all__ = [
    "AutoencoderConfig",
    "BaselineConfig",
    "Callbacks",
    "ClassifierConfig",
    "Config",
    "LatentConfig",
    "Stopped",
    "Summary",
    "export_last",
    "export_last_autoencoder",
    "export_last_baseline",
    "export_last_classifier",
    "export_last_latent",
    "read",
    "read_autoencoder",
    "read_baseline",
    "read_latent",
    "train",
    "train_autoencoder",
    "train_baseline",
    "train_classifier",
    "train_latent",
]
