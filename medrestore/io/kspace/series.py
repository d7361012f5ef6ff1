"""Repetitions, contrasts, phases or sets of a scan, read as frames of a series: images of their own."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from ..guards import require
from .base import KSpaceFile, Request, Scan
from .counters import SEPARABLE
from .plausible import Doubt

MOST_FRAMES = 1024


class SeriesFile(KSpaceFile):
    """A file whose frames are read each as a file of its own: number i is frame i % frames of slice i // frames.

    Args:
        files: of each frame, of one shape and with the same slices.
        values: of each frame, of the counters that tell them apart.
        request: how the series is read.
    """

    def __init__(self, files: Sequence[KSpaceFile], values: Sequence[Mapping[str, int]], request: Request):
        first = files[0]
        self._files, self.values, self.frames = files, tuple(dict(one) for one in values), len(files)
        self.kind, self.dtype, self.is_volume = first.kind, first.dtype, first.is_volume
        self.has_header, self.has_noise = first.has_header, first.has_noise
        self.counters = first.counters
        names = ", ".join(f"{name} {', '.join(str(n) for n in first.counters[name])}" for name in values[0])
        self.notes = (f"Each slice is a series of {self.frames} frames ({names}), with one set of coil maps.",
                      *(note for note in first.notes if not any(note.startswith(f"Of {len(first.counters[name])} {name}s")
                                                                for name in values[0])))
        slices, *rest = first.shape
        super().__init__(first.path, (slices * self.frames, *rest), request)  # type: ignore[arg-type]

    def _read(self, index: int) -> Scan:
        slice_, frame = divmod(index, self.frames)
        return replace(self._files[frame]._read(slice_), index=index)

    def _doubt(self, scan: Scan) -> Doubt | None:
        return self._files[scan.index % self.frames]._doubt(scan)

    def _remedy(self, found: Doubt) -> str:
        return self._files[0]._remedy(found)

    def close(self) -> None:
        for file in self._files:
            file.close()


def read_series(path: Path, request: Request, read: Callable[[Request], KSpaceFile]) -> KSpaceFile:
    """The file of a request whose `separate` names counters.

    Args:
        read: opens it as a request without `separate` says.

    Raises:
        InputError: counters that the file does not have, that are selected as well, or whose values are of other shapes.
    """
    names, plain = request.separate, replace(request, separate=())
    unknown = [name for name in names if name not in SEPARABLE]
    require(not unknown, f"{path}: {', '.join(unknown)} cannot be read as frames; `separate` takes {', '.join(SEPARABLE)}.")
    twice = [name for name in names if name in request.select]
    require(not twice, f"{path}: `select` and `separate` both name {', '.join(twice)}; leave one out.")
    first = read(plain)
    try:
        counters = first.counters
        missing = [name for name in names if name not in counters]
        known = f"it has {', '.join(counters)}" if counters else "its format has none; leave `separate` out"
        require(not missing, f"{path} has no counter {', '.join(map(repr, missing))}; {known}.")
    finally:
        first.close()
    values = [dict(zip(names, one, strict=True)) for one in itertools.product(*(counters[name] for name in names))]
    require(len(values) <= MOST_FRAMES, f"{path} would be {len(values)} frames, more than {MOST_FRAMES}; `select` some.")
    files: list[KSpaceFile] = []
    try:
        for one in values:
            files.append(read(replace(plain, select={**plain.select, **one})))
            require(files[-1].shape == files[0].shape, f"{path}: its frames have different sizes, {files[0].shape} and "
                    f"{files[-1].shape} (slice, coil, height, width); `select` those of one size each.")
        return SeriesFile(files, values, request) if len(files) > 1 else files[0]
    except BaseException:
        for file in files:
            file.close()
        raise


def merged(frames: Sequence[Scan]) -> Scan:
    """The frames of a slice as one scan: the mean of the samples that several have, and all that any of them has.

    Readouts along trajectories are put after each other.
    """
    first = frames[0]
    if first.trajectory is not None:
        given = [one.trajectory for one in frames if one.trajectory is not None]
        return replace(first, kspace=torch.cat([one.kspace for one in frames], 2), trajectory=torch.cat(given),
                       mask=torch.cat([one.mask for one in frames]))
    height, width = first.kspace.shape[-2:]
    hits = torch.stack([one.mask.expand(height, width) for one in frames]).sum(0)
    kspace = torch.stack([one.kspace for one in frames]).sum(0) / hits.clamp(min=1)
    mask = (hits > 0).float()
    columns = mask.amax(0, keepdim=True)
    mask = columns if torch.equal(mask, columns.expand_as(mask)) else mask
    apart = [one.calibration for one in frames if one.calibration is not None]
    return replace(first, kspace=kspace, mask=mask, acs=None, calibration=torch.stack(apart).mean(0) if apart else None)
