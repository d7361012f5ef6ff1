"""Reconstructions without a diffusion prior, that the diffusion methods are judged against."""

from .admm_tv import ADMMTV
from .base import Baseline
from .deep_image_prior import DeepImagePrior
from .pictures import Bicubic, Degraded, PictureBaseline, PseudoInverse
from .regularised import CGSense, L1Wavelet, TotalVariation
from .self_deblur import SelfDeblur
from .supervised import Reconstructor, Supervised
from .tune import tune
from .unet import UNet
from .varnet import VarNet
from .weights import load, save
from .zero_filled import RootSumOfSquares, ZeroFilled, rss

__all__ = [
    "ADMMTV", "Baseline", "Bicubic", "CGSense", "DeepImagePrior", "Degraded", "L1Wavelet", "PictureBaseline",
    "PseudoInverse", "Reconstructor", "RootSumOfSquares", "SelfDeblur", "Supervised", "TotalVariation",
    "UNet", "VarNet", "ZeroFilled", "load", "rss", "save", "tune",
]  # fmt: skip
