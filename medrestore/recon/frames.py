"""What the frames of a slice have in common: coil maps, the noise, and an image of all their samples to begin from."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from ..io import Scan
from ..io.kspace.series import merged
from ..mri import dead_coils, estimate_noise, estimate_trajectory_noise
from .plan import Plan
from .preparation import is_empty, prepare
from .prepared import Prepared

TIME = ("repetition", "phase")  # counters of one image that moves, whose frames may share samples to begin with


@dataclass(frozen=True)
class Common:
    """Of the frames of a slice.

    Attributes:
        maps: (set, coil, h, w) coil maps, in the coils that were measured, of the samples of all frames.
        noise: std of every real number of it, and where it comes from; None where the noise scan or the plan says it.
        start: (1, set, h, w), the CG-SENSE image of the samples of all frames (view sharing); None of contrasts, which differ.
    """

    maps: Tensor
    noise: tuple[float, str] | None
    start: Tensor | None

    @classmethod
    def of(cls, frames: Sequence[Scan], plan: Plan, *, file_name: str, maps: Tensor | None, cache: Path | None,
           device: torch.device | str, reference: Tensor | None) -> "Common":
        """Of frames that hold something; the other arguments are those of `prepare`.

        Raises:
            InputError: as `prepare`.
        """
        whole = merged(frames)
        ready = prepare(whole, plan, file_name=file_name, maps=maps, cache=cache, device=device, reference=reference)
        start = None
        if plan.start_sigma is not None and set(plan.separate) <= set(TIME):
            start = ready.cg_sense
        noise = None
        if plan.noise_std is None and whole.noise is None:
            noise = pooled_noise(frames), f"the data of {len(frames)} frames"
        measured = torch.einsum("cv,svhw->schw", ready.unmix.to(ready.sense.maps), ready.sense.maps).cpu()
        living = ~dead_coils(whole.kspace, whole.noise)
        if len(living) > measured.shape[1]:
            every = measured.new_zeros(len(measured), len(living), *measured.shape[2:])
            every[:, living] = measured
            measured = every
        return cls(measured, noise, start)


def pooled_noise(frames: Sequence[Scan]) -> float:
    """The std of every real number of the noise of frames, the rms of what each shows.

    Raises:
        InputError: one has too few samples to estimate it from.
    """
    found = [estimate_noise(one.kspace, one.mask).std if one.trajectory is None
             else estimate_trajectory_noise(one.kspace, one.trajectory, one.mask).std for one in frames]
    return (sum(std**2 for std in found) / len(found)) ** 0.5


def frames_of(scans: Sequence[Scan]) -> list[Scan]:
    """Those that hold something."""
    return [one for one in scans if not is_empty(one)]


def prepared_frame(scan: Scan, common: Common, plan: Plan, *, file_name: str, device: torch.device | str) -> Prepared:
    """A frame made ready with what it shares with the others."""
    given = replace(plan, refine_maps=False)  # they were, of all frames
    ready = prepare(scan, given, file_name=file_name, maps=common.maps, device=device, noise=common.noise)
    return replace(ready, start=common.start)
