"""The coil maps of a slice: given or estimated, refined where the plan says so, of unit norm."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from ..consistency import unexplained
from ..errors import InputError
from ..io import Scan
from ..io.kspace.base import sampled
from ..mri import Sampling, calibration_width, dead_coils, espirit, joint_maps
from ..operators import AnySense, along_trajectory, encoding
from ..problem import Problem
from .plan import Plan
from .thermal import Whitened

WRAPPED = 0.04  # of the object, where a second eigenvalue says that two places share a pixel: below it is chance (docs/mri.md)
WORSE = 1.3  # times what two sets leave unexplained, that one leaves where the object wraps, per degree of freedom. Noise alone
# reaches 1.12 at 15 dB and 1.4 at 10; heads that wrap and are noisy can stay below (docs/mri.md)
LEAST_CENTRE = 16  # longer side of a calibration centre over both axes. In a smaller one ESPIRiT's kernel has too few positions,
# and one set explains too little by itself: 64 half spokes, centre 10 x 10, leave 1.5 times as much with one, and do not wrap
FEWEST_COILS = 4  # that tell two sets from noise: two explain anything with two sets
RIGHT = 1.5  # times the noise: coil maps that leave no more unexplained are taken as right


@dataclass(frozen=True)
class AllSamples:
    """All samples of a slice, which maps from its calibration lines are held against.

    Attributes:
        kspace: (1, coil, h, w), or (1, coil, readout, sample) along a trajectory.
        mask: (1, w) or (h, w); (readout, sample) along a trajectory.
        trajectory: (readout, sample, 2) in cycles per field of view, or None.
    """

    kspace: Tensor
    mask: Tensor
    trajectory: Tensor | None = None

    def encoding(self, maps: Tensor) -> AnySense:
        """The encoding by maps (set, coil, h, w), on their device."""
        mask = self.mask.to(maps.device)
        return (encoding(maps, mask) if self.trajectory is None else
                along_trajectory(maps, self.trajectory.to(maps.device), mask))

    def unexplained(self, maps: Tensor, sigma: float) -> float:
        """What maps leave unexplained, as `consistency.unexplained` has it."""
        return unexplained(Problem(self.encoding(maps), self.kspace.to(maps.device), sigma))

    def joint_maps(self, maps: Tensor) -> Tensor:
        """Maps that are estimated together with the image."""
        place = maps.device
        along = None if self.trajectory is None else self.trajectory.to(place)
        return joint_maps(self.kspace.to(place), self.mask.to(place), maps, trajectory=along)


def coil_maps(white: Whitened, sampling: Sampling, sigma: float, plan: Plan, *, cache: Path | None,
              device: torch.device | str, measured: AllSamples | None = None) -> tuple[Tensor, tuple[str, ...]]:
    """Maps (set, coil, h, w) of unit root-sum-of-squares, zero outside the object, and notes on how they were found.

    Args:
        white: the slice after whitening, with the maps that were given.
        sigma: std of the thermal noise, to which refined maps are held.
        cache: folder of estimated maps.
        device: where maps are refined.
        measured: all samples, where those of `white` are the centre of k-space alone.

    Raises:
        InputError: given maps of another shape, or too few calibration lines to estimate them.
    """
    maps, notes = white.maps, tuple[str, ...]()
    measured = AllSamples(white.kspace, sampling.mask) if measured is None else measured
    if maps is None:
        maps, notes = _estimated(white, sampling, measured, sigma, plan, cache)
    elif maps.shape[1:] != white.kspace.shape[1:]:
        raise InputError(f"the coil maps are {tuple(maps.shape[1:])} and the k-space is {tuple(white.kspace.shape[1:])} "
                         "(coil, height, width); give the maps of this scan")
    if plan.refine_maps:
        maps, said = _refined(measured, maps.to(device), sigma)
        notes += said
    norm = maps.abs().square().sum(1, keepdim=True).sqrt()
    return torch.where(norm > 0, maps / norm.where(norm > 0, 1.0), 0.0), notes


def _estimated(white: Whitened, sampling: Sampling, measured: AllSamples, sigma: float, plan: Plan,
               cache: Path | None) -> tuple[Tensor, tuple[str, ...]]:
    """As many sets of maps by ESPIRiT as the plan asks for or the scan shows, and a note where these are two.

    A scan shows two where the second eigenvalue says that places share pixels, and two explain it far better than one.
    """
    coils = white.kspace.shape[1]
    told = coils >= FEWEST_COILS and (isinstance(sampling.acs, int) or max(sampling.acs) >= LEAST_CENTRE)
    asked = plan.map_sets if plan.map_sets != "auto" else 2 if told else 1
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
        left = [measured.unexplained(each, sigma) for each in (one, maps)]
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


def _refined(measured: AllSamples, maps: Tensor, sigma: float) -> tuple[Tensor, tuple[str, ...]]:
    """Maps estimated together with the image where the given ones leave more than the noise unexplained, and a note on it."""
    if len(maps) > 1:
        return maps.cpu(), ("The coil maps were not refined: there are several sets.",)
    if maps.shape[1] < 2:
        return maps.cpu(), ("The coil map was not refined: there is one coil.",)
    before = measured.unexplained(maps, sigma)
    if before <= RIGHT * sigma:
        return maps.cpu(), (f"The coil maps were not refined: they leave {before:.3g} unexplained, "
                            f"and the noise is {sigma:.3g}.",)
    refined = measured.joint_maps(maps)
    after = measured.unexplained(refined, sigma)
    if after >= before:
        return maps.cpu(), (f"The coil maps were not refined: together with the image they leave {after:.3g} unexplained, "
                            f"before {before:.3g}.",)
    return refined.cpu(), (f"The coil maps were estimated together with the image: they leave {after:.3g} unexplained, "
                           f"before {before:.3g}; the noise is {sigma:.3g}.",)
