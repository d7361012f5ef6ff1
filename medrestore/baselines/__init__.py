"""Reconstructions without a diffusion prior, that the diffusion methods are judged against."""

from medrestore.baselines.base import Baseline
from medrestore.baselines.deep_image_prior import DeepImagePrior
from medrestore.baselines.regularised import CGSense, L1Wavelet, TotalVariation
from medrestore.baselines.supervised import Reconstructor, Supervised
from medrestore.baselines.tune import tune
from medrestore.baselines.unet import UNet
from medrestore.baselines.varnet import VarNet
from medrestore.baselines.weights import load, save
from medrestore.baselines.zero_filled import RootSumOfSquares, ZeroFilled, rss

__all__ = ["Baseline", "CGSense", "DeepImagePrior", "L1Wavelet", "Reconstructor", "RootSumOfSquares", "Supervised",
           "TotalVariation", "UNet", "VarNet", "ZeroFilled", "load", "rss", "save", "tune"]  # fmt: skip
