"""Reconstructions without a diffusion prior, that the diffusion methods are judged against."""

from medrestore.baselines.base import Baseline
from medrestore.baselines.regularised import CGSense, L1Wavelet, TotalVariation
from medrestore.baselines.tune import tune
from medrestore.baselines.zero_filled import ZeroFilled, rss

__all__ = ["Baseline", "CGSense", "L1Wavelet", "TotalVariation", "ZeroFilled", "rss", "tune"]
