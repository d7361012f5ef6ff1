"""The coil maps of a slice: given or estimated, refined where the plan says so, of unit norm."""

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from ..consistency import unexplained
from ..errors import InputError
from ..io import Scan
from ..io.kspace.base import sampled
from ..mri import Sampling, calibration_width, dead_coils, espirit, joint_maps
from ..operators import Sense, encoding
from ..problem import Problem
from .plan import Plan
from .thermal import Whitened

WRAPPED = 0.04  # of the object, where a second eigenvalue says that two places share a pixel: below it is chance (docs/mri.md)
WORSE = 1.3  # times what two sets leave unexplained, that one leaves where the object wraps: 1.3 to 10 on a real scan of a
# head that wraps by an eighth or more, 1.0 to 1.1 where it does not or hardly does (docs/mri.md)
FEWEST_COILS = 4  # that tell two sets from noise: two explain anything with two sets
RIGHT = 1.5  # times the noise: coil maps that leave no more unexplained are taken as right


def coil_maps(white: Whitened, sampling: Sampling, sigma: float, plan: Plan, *, cache: Path | None,
              device: torch.device | str) -> tuple[Tensor, tuple[str, ...]]:
    """Maps (set, coil, h, w) of unit root-sum-of-squares, zero outside the object, and notes on how they were found.

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
        maps, notes = _estimated(white, sampling, sigma, plan, cache)
    elif maps.shape[1:] != white.kspace.shape[1:]:
        raise InputError(f"the coil maps are {tuple(maps.shape[1:])} and the k-space is {tuple(white.kspace.shape[1:])} "
                         "(coil, height, width); give the maps of this scan")
    if plan.refine_maps:
        maps, said = _refined(white.kspace.to(device), sampling.mask.to(device), maps.to(device), sigma)
        notes += said
    norm = maps.abs().square().sum(1, keepdim=True).sqrt()
    return torch.where(norm > 0, maps / norm.where(norm > 0, 1.0), 0.0), notes


def _estimated(white: Whitened, sampling: Sampling, sigma: float, plan: Plan,
               cache: Path | None) -> tuple[Tensor, tuple[str, ...]]:
    """As many sets of maps by ESPIRiT as the plan asks for or the scan shows, and a note where these are two.

    A scan shows two where the second eigenvalue says that places share pixels, and two explain it far better than one.
    """
    coils = white.kspace.shape[1]
    asked = plan.map_sets if plan.map_sets != "auto" else 1 if coils < FEWEST_COILS else 2
    if asked > coils:
        raise InputError(f"{asked} sets of coil maps need as many coils, and there is {coils}; leave `map_sets` out")
    maps = _sets(asked, white, sampling, cache)
    if asked == 1:
        return maps, ()
    seen = (maps != 0).any(1).flatten(1).sum(1)
    share = float(seen[1] / seen[0])
    if plan.map_sets == "auto":
        one = _sets(1, white, sampling, cache) if bool(seen[1]) else maps[:1]
        if share < WRAPPED:
            return one, ()
        left = [unexplained(Problem(encoding(each, sampling.mask), white.kspace, sigma)) for each in (one, maps)]
        if left[0] <= WORSE * left[1]:
            return one, ()
    return maps, (f"Two sets of coil maps: in {share:.0%} of the object two places share a pixel, as where the field of view is "
                  "smaller than the object.",)


def _sets(count: int, white: Whitened, sampling: Sampling, cache: Path | None) -> Tensor:
    if white.calibration is not None:
        return espirit(white.calibration, sets=count, cache=cache)
    return espirit(white.kspace, mask=sampling.mask, sets=count, cache=cache)


def living(scan: Scan, maps: Tensor | None) -> tuple[Scan, Tensor | None, tuple[str, ...]]:
    """The scan and given maps without dead coils, and a note that names these."""
    dead = dead_coils(scan.kspace, scan.noise)
    if not bool(dead.any()) or bool(dead.all()) or (maps is not None and maps.shape[1] != scan.kspace.shape[1]):
        return scan, maps, ()
    numbers = torch.nonzero(dead).flatten().tolist()
    listed = f"{'coil' if len(numbers) == 1 else 'coils'} {', '.join(map(str, numbers))}"
    scan = replace(scan, kspace=scan.kspace[:, ~dead], noise=None if scan.noise is None else scan.noise[~dead],
                   calibration=None if scan.calibration is None else scan.calibration[:, ~dead])
    notes = (f"No signal or no noise comes from {listed} (counted from 0), left out.",)
    return scan, None if maps is None else maps[:, ~dead], notes


def separate_calibration(scan: Scan, sampling: Sampling) -> Tensor | None:
    """The separate calibration lines of a scan, where there are more of them than in the image's own centre; else None."""
    if scan.calibration is None:
        return None
    own, separate = (width if isinstance(width, int) else min(width)
                     for width in (sampling.acs, calibration_width(sampled(scan.calibration))))
    return scan.calibration if separate > own else None


def _refined(kspace: Tensor, mask: Tensor, maps: Tensor, sigma: float) -> tuple[Tensor, tuple[str, ...]]:
    """Maps estimated together with the image where the given ones leave more than the noise unexplained, and a note on it."""
    if len(maps) > 1:
        return maps.cpu(), ("The coil maps were not refined: there are several sets.",)
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
