"""The coil maps of a slice: given or estimated, refined where the plan says so, of unit norm."""

from pathlib import Path

import torch
from torch import Tensor

from ..consistency import unexplained
from ..errors import InputError
from ..io import Scan
from ..io.kspace.base import sampled
from ..mri import Sampling, calibration_width, espirit, joint_maps
from ..operators import Sense
from ..problem import Problem
from .plan import Plan
from .thermal import Whitened

RIGHT = 1.5  # times the noise: coil maps that leave no more unexplained are taken as right


def coil_maps(white: Whitened, sampling: Sampling, sigma: float, plan: Plan, *, cache: Path | None,
              device: torch.device | str) -> tuple[Tensor, tuple[str, ...]]:
    """Maps (1, coil, h, w) of unit root-sum-of-squares, zero outside the object, and notes on how they were found.

    Args:
        white: the slice after whitening, with the maps that were given.
        sigma: std of the thermal noise, to which refined maps are held.
        cache: folder of estimated maps.
        device: where maps are refined.

    Raises:
        InputError: given maps of another shape, or too few calibration lines to estimate them.
    """
    maps, notes = white.maps, tuple[str, ...]()
    if maps is None:
        apart = white.calibration
        maps = espirit(white.kspace, mask=sampling.mask, cache=cache) if apart is None else espirit(apart, cache=cache)
    elif maps.shape != white.kspace.shape:
        raise InputError(f"the coil maps are {tuple(maps.shape[1:])} and the k-space is {tuple(white.kspace.shape[1:])} "
                         "(coil, height, width); give the maps of this scan")
    if plan.refine_maps:
        maps, notes = _refined(white.kspace.to(device), sampling.mask.to(device), maps.to(device), sigma)
    norm = maps.abs().square().sum(1, keepdim=True).sqrt()
    return torch.where(norm > 0, maps / norm.where(norm > 0, 1.0), 0.0), notes


def separate_calibration(scan: Scan, sampling: Sampling) -> Tensor | None:
    """The separate calibration lines of a scan, where there are more of them than in the image's own centre; else None."""
    if scan.calibration is None:
        return None
    own, separate = (width if isinstance(width, int) else min(width)
                     for width in (sampling.acs, calibration_width(sampled(scan.calibration))))
    return scan.calibration if separate > own else None


def _refined(kspace: Tensor, mask: Tensor, maps: Tensor, sigma: float) -> tuple[Tensor, tuple[str, ...]]:
    """Maps estimated together with the image where the given ones leave more than the noise unexplained, and a note on it."""
    if kspace.shape[1] < 2:
        return maps.cpu(), ("The coil map was not refined: there is one coil.",)
    before = unexplained(Problem(Sense(maps, mask), kspace, sigma))
    if before <= RIGHT * sigma:
        return maps.cpu(), (f"The coil maps were not refined: they leave {before:.3g} unexplained, "
                            f"and the noise is {sigma:.3g}.",)
    refined = joint_maps(kspace, mask, maps)
    after = unexplained(Problem(Sense(refined, mask), kspace, sigma))
    if after >= before:
        return maps.cpu(), (f"The coil maps were not refined: together with the image they leave {after:.3g} unexplained, "
                            f"before {before:.3g}.",)
    return refined.cpu(), (f"The coil maps were estimated together with the image: they leave {after:.3g} unexplained, "
                           f"before {before:.3g}; the noise is {sigma:.3g}.",)
