"""A slice in memory, a plan for it, and priors that need no network."""

from dataclasses import replace
from typing import Any

import torch
from helpers.phantom import head_and_maps
from helpers.scans import NOISE, SHAPE
from torch import Tensor

from medrestore.codecs import CalibratedComplex
from medrestore.io import Scan
from medrestore.operators import Sense
from medrestore.priors import Prior
from medrestore.recon.plan import Plan, Undersampling
from medrestore.recon.preparation import prepare
from medrestore.recon.prepared import Prepared

PLAN = Plan("diffpir", steps=2, undersample=Undersampling("uniform1d", 2, 16))


class Shrink(Prior):
    """The posterior mean under N(0, 1)."""

    channels, sigma_range, recipe = 2, (0.01, 40.0), CalibratedComplex()

    def __call__(self, x: Tensor, sigma: float | Tensor) -> Tensor:
        return x / (1 + sigma**2)


def exact(plan: Plan) -> Prepared:
    """Data without noise, their true maps given."""
    image, maps, _ = head_and_maps(SHAPE, 4, 0)
    maps = maps / maps.abs().square().sum(1, keepdim=True).sqrt()
    full = torch.ones(1, SHAPE[1])
    data = Sense(maps, full)(image)
    scan = Scan("exact", 0, data, full, None, None, None, SHAPE, None, None)
    return prepare(scan, replace(plan, noise_std=0.0), maps=maps)


def noisy(scan: Any, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return NOISE * torch.view_as_complex(torch.randn(scan.kspace.shape[1], 500, 2, generator=generator))
