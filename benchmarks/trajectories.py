"""Scans along trajectories of the held-out subjects: every baseline at the weight that validation subjects chose, and diffusion.

    python benchmarks/trajectories.py VOLUMES.npz [--subjects 8] [--coils 8] [--snr-db 30]     # writes results/trajectories.csv

Subjects, phase, coils and noise are those of configs/evaluate/brain-mr-starter.yaml; coil maps, noise level and scale are
estimated from the samples, as `medrestore recon` does.
"""

import argparse
import csv
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import torch
from torch import Tensor

from medrestore import methods
from medrestore.baselines import Baseline, CGSense, L1Wavelet, TotalVariation, ZeroFilled
from medrestore.io import Scan
from medrestore.mri import add_smooth_phase, radial, simulated_maps, spiral
from medrestore.operators import NonCartesianSense
from medrestore.priors import Prior, load
from medrestore.recon.plan import Plan
from medrestore.recon.preparation import prepare
from medrestore.recon.prepared import Prepared, reconstructed
from medrestore.recon.records import score
from medrestore.restoration import restore
from medrestore.study.scans import scan_cases
from medrestore.study.fingerprints import Fingerprints
from medrestore.study.sources import Simulated

RESULTS = Path(__file__).parent / "results" / "trajectories.csv"
VALIDATION, TEST = (48, 52), 52
WEIGHTS = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
TRAJECTORIES: dict[str, Callable[[tuple[int, int]], Tensor]] = {
    "radial, 48 spokes": lambda shape: radial(48, shape),
    "spiral, 12 interleaves": lambda shape: spiral(12, shape, turns=4.0, power=1.5),
}
BASELINES: dict[str, Callable[[float], Baseline]] = {
    "CG-SENSE": lambda lam: CGSense(lam), "TV": lambda lam: TotalVariation(lam), "L1-wavelet": lambda lam: L1Wavelet(lam, 200),
}
PLANS = {"HQS": Plan(methods.HQS(), steps=50), "DDS": Plan(methods.DDS(), steps=50), "DDS, mean of 4": Plan(methods.DDS(), steps=25, samples=4)}
