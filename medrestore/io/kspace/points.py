"""k-space along a trajectory: what its formats share, and an array with a trajectory beside it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...errors import InputError
from ..guards import check_size, require
from .base import KSpaceFile, Request, Scan
from .plausible import Doubt
from .trajectory import read_trajectory

STRONGEST = 200  # one sample in so many, whose distance from the centre is looked at
FAR = 0.5  # of the way to the edge, where the strongest samples of no object are


class PointFile(KSpaceFile):
    """A scan whose slices were acquired along trajectories. `shape` has the height and width of the image."""

    def _doubt(self, scan: Scan) -> Doubt | None:
        assert scan.trajectory is not None
        return strongest_far(scan.kspace[0], scan.trajectory, scan.mask)


def strongest_far(kspace: Tensor, trajectory: Tensor, mask: Tensor) -> Doubt | None:
    """What speaks against samples (coil, readout, sample) lying where the trajectory says: the strongest are far out."""
    energy = kspace.abs().square().sum(0)[mask > 0]
    radius = torch.linalg.vector_norm(trajectory[mask > 0] / trajectory.abs().flatten(0, 1).amax(0).clamp(min=1e-6), dim=-1)
    if not bool(energy.any()):
        return None
    strongest = energy.topk(max(1, len(energy) // STRONGEST)).indices
    middle = float(radius[strongest].median())
    if middle < FAR:
        return None
    return Doubt(f"its strongest samples lie {middle:.0%} of the way to the edge of k-space by the trajectory",
                 "see that trajectory and data have their readouts and samples in the same order")


class PairFile(PointFile):
    """An array of k-space, whose rows are readouts and whose columns are samples, and a trajectory from another file."""

    def __init__(self, array: KSpaceFile, request: Request):
        self._array = array
        self.kind, self.dtype, self.counters = f"{array.kind} along a trajectory", array.dtype, array.counters
        path = Path(request.trajectory or "")
        points = read_trajectory(path, max_gb=request.max_gb)
        readouts, samples = points.values.shape[:2]
        slices, coils, *plane = array.shape
        require(tuple(plane) in ((readouts, samples), (samples, readouts)),
                f"{path} has {readouts} readouts of {samples} samples, and {array.path} {plane[0]} x {plane[1]}; give the "
                "trajectory of this scan.")
        self._turned = tuple(plane) != (readouts, samples)
        cycles, grid, note = points.in_cycles(request.trajectory_units, request.matrix, path)
        check_size(str(path), (coils, *grid), 8, max_gb=request.max_gb)
        self._trajectory = torch.from_numpy(np.ascontiguousarray(cycles, np.float32))
        self.notes = (*array.notes, *((note,) if note else ()))
        super().__init__(array.path, (slices, coils, *grid), request)

    def _read(self, index: int) -> Scan:
        scan = self._array._read(index)
        kspace = scan.kspace.mT.contiguous() if self._turned else scan.kspace
        mask = (kspace != 0).flatten(0, 1).any(0).float()
        height, width = self.shape[-2:]
        return replace(scan, kspace=kspace, mask=mask, acs=None, crop=(height, width), trajectory=self._trajectory,
                       grid=(height, width), calibration=None)

    def close(self) -> None:
        self._array.close()


def with_trajectory(array: KSpaceFile, request: Request) -> PairFile:
    """An array with the trajectory that the request names.

    Raises:
        InputError: they do not go together; the array is closed then.
    """
    try:
        if array.has_header:
            raise InputError(f"{array.path} puts its own lines on a grid, and `trajectory` goes with plain arrays; leave it out, "
                             "or export the samples as an array.")
        return PairFile(array, request)
    except BaseException:
        array.close()
        raise
