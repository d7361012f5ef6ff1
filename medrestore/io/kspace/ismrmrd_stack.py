"""Stacks of stars and of spirals in ISMRMRD: one trajectory in all partitions, which a transform along the stack makes slices."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...fft import ifft2c
from ..guards import check_size, guarded, open_hdf5, read_text, require
from .base import KSpaceFile, Request
from .counters import SLAB
from .geometry import Placement
from .header import parse_header
from .ismrmrd import NOT_IMAGE, MRDFile, acquisitions, find_group, flagged, samples_of
from .ismrmrd_points import MRDPoints, placed

ALIKE = 1e-3  # of how far a trajectory reaches, that it may differ from partition to partition


class MRDStack(MRDPoints):
    """A 3-D ISMRMRD file whose partitions have the same readouts: its slices are those of the stack.

    Partitions at either end that were not acquired are zeros; the noise is less by as much. Of several slabs the first is read,
    or the selected one.
    """

    kind = "ISMRMRD stack along a trajectory"

    def _numbers(self, head: np.ndarray) -> dict[str, np.ndarray]:
        return super()._numbers(head) | {SLAB: head["idx"]["slice"]}

    def _arranged(self) -> int:
        steps, header = self._image["idx"]["kspace_encode_step_2"].astype(np.int64), self._header
        self._partitions = header.encoded[2]
        centre = self._partitions // 2 if header.center_partition is None else header.center_partition
        self._at = steps + self._partitions // 2 - centre
        found = np.unique(self._at)
        require(bool((found >= 0).all() and (found < self._partitions).all()),
                f"{self.path} has partitions outside the {self._partitions} of its header; export the file again.")
        require(bool((np.diff(found) == 1).all()), f"{self.path} leaves out partitions between others, so that its stack is "
                "undersampled in three directions; only stacks of whole partitions are read.")
        order = np.lexsort((self._image_records, self._image["idx"]["kspace_encode_step_1"], self._at))
        self._readouts = {int(at): order[self._at[order] == at] for at in found}
        counts = {len(one) for one in self._readouts.values()}
        require(len(counts) == 1, f"{self.path} has {min(counts)} to {max(counts)} readouts in a partition; only stacks of equal "
                "partitions are read.")
        if len(found) < self._partitions:
            self.notes += (f"{len(found)} of {self._partitions} partitions were acquired; the others are zeros.",)
        kept = header.kept_partitions
        self._first = (self._partitions - kept) // 2
        self._placement = self._of_stack(kept)
        return kept

    def _of_stack(self, kept: int) -> Placement:
        """Where the slices of the stack lie, about the position of the slab."""
        slab, size = self._placement, self._header.encoded_mm
        if slab.positions is None or slab.frame is None or size is None:
            return replace(slab, order=tuple(range(kept)), positions=None)
        step = slab.frame[:, 2] * size[2] / self._partitions
        offsets = np.arange(kept) + self._first - self._partitions // 2
        return replace(slab, order=tuple(range(kept)), positions=slab.positions[0] + offsets[:, None] * step, step=step)

    def _rows(self, index: int) -> np.ndarray:
        """The acquisitions of the first partition, whose trajectory all have."""
        return self._acquired(min(self._readouts))

    def _acquired(self, at: int) -> np.ndarray:
        """The acquisitions of a partition, in the order of their encoding steps."""
        records = self._image_records[self._readouts[at]]
        rows = guarded(self.path, lambda: self._records[np.sort(records)])
        return rows[np.argsort(np.argsort(records))]

    def _in_plane(self, values: np.ndarray) -> np.ndarray:
        """Without the third direction, which is that of the partition."""
        along = values[..., 2:]
        reach = float(np.abs(values[..., :2]).max(initial=0.0))
        require(not bool((np.abs(along - along[:, :1]) > ALIKE * reach).any()),
                f"{self.path} has readouts that leave their partition, in three dimensions; only stacks are read.")
        return np.ascontiguousarray(values[..., :2], np.float32)

    def _samples(self, index: int, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        stack, mask = self._stack
        return stack[:, self._first + index], mask

    @cached_property
    def _stack(self) -> tuple[np.ndarray, np.ndarray]:
        """(coil, slice, readout, sample), an image along the stack, and the mask of all its slices: k-space in memory once."""
        points = self._points(0).values
        shape = points.shape[0], points.shape[1]
        sizes = (self.shape[1], self._partitions, *shape)
        check_size(str(self.path), sizes, 8, max_gb=self.request.max_gb)
        stack, mask = np.zeros(sizes, np.complex64), np.ones(shape, np.float32)
        for at in self._readouts:
            rows = self._acquired(at)
            self._check_alike(rows, points, at)
            stack[:, at], taken = placed(rows, self.shape[1], shape, self.path)
            mask *= taken
        for coil in stack:
            coil[:] = ifft2c(torch.from_numpy(coil), axes=(0,)).numpy()
        return stack * mask, mask

    def _check_alike(self, rows: np.ndarray, points: np.ndarray, at: int) -> None:
        """Refuses a partition whose readouts are others than those of the first."""
        if self._given is not None:
            return
        for row, first in zip(rows, points, strict=True):
            dims, count = int(row["head"]["trajectory_dimensions"]), samples_of(row, self.path).shape[1]
            own = np.asarray(row["traj"], np.float32)
            fits = own.size == dims * count and dims >= 2
            off = np.abs(own.reshape(count, dims)[:, :2] - first[:count]).max(initial=0.0) if fits else np.inf
            require(bool(off <= ALIKE * np.abs(points).max()), f"{self.path} has other readouts in partition {at} than in the "
                    "first, as stacks have whose angles turn from one to the next; only stacks of one trajectory are read.")

    @cached_property
    def _noise(self) -> Tensor | None:
        noise = super()._noise
        return None if noise is None else noise * float(np.sqrt(len(self._readouts) / self._partitions))


def read(path: Path, request: Request) -> KSpaceFile:
    """An ISMRMRD file: a Cartesian or echo-planar one on its grid, another along its trajectory, slice by slice or as a stack."""
    file = open_hdf5(path)
    try:
        group = find_group(file)
        assert group is not None  # as `recognises` has seen
        header = parse_header(read_text(file, f"{group}/xml"), str(path))
        if header.trajectory in ("cartesian", "epi") and request.trajectory is None:
            return MRDFile(path, file, group, request)
        records = acquisitions(file, f"{group}/data", max_gb=request.max_gb)
        head = guarded(path, lambda: records.fields("head")[:])
        kind = MRDStack if bool(head["idx"]["kspace_encode_step_2"][~flagged(head, *NOT_IMAGE)].any()) else MRDPoints
        return kind(path, file, group, request)
    except BaseException:
        file.close()
        raise
