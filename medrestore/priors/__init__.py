"""What images look like: the mean of the clean image given a noisy one."""

from .base import Prior
from .gaussian import StationaryGaussian
from .network import NetworkPrior
from .parametrisations import EDM, Epsilon, Sample, Velocity
from .store import load, save

__all__ = ["EDM", "Epsilon", "NetworkPrior", "Prior", "Sample", "StationaryGaussian", "Velocity", "load", "save"]
