"""Priors of images: the mean of the clean image given a noisy one."""

from .base import Prior, Watched, WrappedPrior
from .gaussian import StationaryGaussian
from .network import NetworkPrior
from .parametrisations import EDM, Epsilon, Sample, VarianceExploding, Velocity
from .parts import ByParts
from .sets import BySets
from .store import load, save

__all__ = [
    "EDM",
    "ByParts",
    "BySets",
    "Epsilon",
    "NetworkPrior",
    "Prior",
    "Sample",
    "StationaryGaussian",
    "VarianceExploding",
    "Velocity",
    "Watched",
    "WrappedPrior",
    "load",
    "save",
]
