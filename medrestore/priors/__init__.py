"""Priors of images: the mean of the clean image given a noisy one."""

from .adapted import adapted
from .base import ClassConditional, Prior, Watched, WrappedPrior
from .classes import Classes
from .classifier import Classifier, NetworkClassifier
from .gaussian import StationaryGaussian
from .guidance import ClassifierFree, Guided
from .network import NetworkPrior
from .opening import opened
from .parametrisations import EDM, Epsilon, Sample, VarianceExploding, Velocity
from .parts import ByParts
from .planes import InBatches, ThreePlanes
from .sets import BySets
from .store import load, save

__all__ = [
    "EDM",
    "ByParts",
    "BySets",
    "ClassConditional",
    "Classes",
    "Classifier",
    "ClassifierFree",
    "Epsilon",
    "Guided",
    "InBatches",
    "NetworkClassifier",
    "NetworkPrior",
    "Prior",
    "Sample",
    "StationaryGaussian",
    "ThreePlanes",
    "VarianceExploding",
    "Velocity",
    "Watched",
    "WrappedPrior",
    "adapted",
    "load",
    "opened",
    "save",
]
