"""Training and fine-tuning of priors, and training of the supervised baselines they are compared with."""

from .config import Config, read
from .trainer import Stopped, Watch, export_last, train

__all__ = ["Config", "Stopped", "Watch", "export_last", "read", "train"]
