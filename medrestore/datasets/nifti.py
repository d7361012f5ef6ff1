"""Slices of NIfTI volumes."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..codecs import CalibratedComplex
from ..errors import InputError
from ..io.guards import open_npy
from ..io.volumes.nifti import AXES, Axis, NiftiVolume, as_image, open_volume
from ..settings import check, refused
from .base import Images, Progress
from .brain import EMPTY
from .cache import cache_key, read_cached, write_array, write_text
from .files import find_files, name_group

BIDS = r"(sub-[A-Za-z0-9]+)"
QUANTILE = 0.995  # of a volume, that becomes 1
FADE = 16  # pixels over which a cut slice goes dark, as at the end of a coil: a hard edge would ring
HALF = 6e4  # about the largest float16
IN_MEMORY = 2e9  # bytes of unpacked volumes that are kept without a cache folder


@dataclass(frozen=True)
class _Summary:
    """The factor that scales a volume, and its slices that are not empty."""

    scale: float
    kept: tuple[tuple[Axis, int], ...]


@dataclass(eq=False)
class Nifti(Images):
    """Slices of NIfTI volumes in RAS orientation, magnitudes scaled so that a volume's 99.5 % quantile is 1.

    Empty slices are skipped. `prepare` reads each volume once. After that a slice of a .nii is read alone; a
    .nii.gz must be unpacked whole, so it is kept as float16, in the cache folder or, without one, in memory.

    Args:
        files: files, folders (to any depth) or globs.
        axis: axial, coronal or sagittal, or a list of them.
        group: what the volumes of one patient share: `file`, `folder`, or a regular expression that is
            searched in the path; by default the BIDS subject, else the file's name.
        skip: [axis, low, high]: nothing of the slab between these world millimetres along that axis is ever
            shown. Slices inside it go; slices across it are cut there and their larger part is kept, faded
            out towards the cut.
        cache: folder for what `prepare` makes.
    """

    files: str | tuple[str, ...]
    axis: Axis | tuple[Axis, ...] = "axial"
    group: str = BIDS
    skip: tuple[Axis, float, float] | None = None
    cache: Path | None = None
    channels, recipe = 1, CalibratedComplex()

    def __post_init__(self) -> None:
        check(self)
        self.axes: tuple[Axis, ...] = (self.axis,) if isinstance(self.axis, str) else self.axis
        if not self.axes or len(set(self.axes)) < len(self.axes):
            raise refused(self, "axis needs axial, coronal or sagittal, each at most once")
        self.volumes = [open_volume(path) for path in find_files(self.files, (".nii", ".nii.gz"), "Nifti")]
        self._slab = None if self.skip is None else self.skip[0]
        self._spans = [None if self.skip is None else _slab_voxels(volume, self.skip) for volume in self.volumes]
        self._groups = [name_group(volume.path, self.group, "Nifti") for volume in self.volumes]
        packed = [volume for volume in self.volumes if volume.compressed]
        needed = sum(2 * int(np.prod(volume.shape)) for volume in packed)
        if self.cache is None and needed > IN_MEMORY:
            raise refused(self, f"cache: {len(packed)} compressed volumes need {needed / 1e9:.0f} GB unpacked; give a folder")
        self._unpacked: dict[int, np.ndarray] = {}
        self._index: list[tuple[int, Axis, int]] | None = None
        self._scales: list[float] = []

    def prepare(self, progress: Progress | None = None) -> None:
        if self._index is not None:
            return
        advance = progress("volumes", len(self.volumes)) if progress is not None else lambda: None
        summaries = []
        for number in range(len(self.volumes)):
            summaries.append(self._summary(number))
            advance()
        index = [(number, axis, at) for number, summary in enumerate(summaries) for axis, at in summary.kept]
        if not index:
            raise InputError(f"nifti: {self.volumes[0].path} and the others hold no slice that shows anything; check axis, skip.")
        self._scales, self._index = [summary.scale for summary in summaries], index

    def _summary(self, number: int) -> _Summary:
        volume = self.volumes[number]
        path = None if self.cache is None else self.cache / f"{self._key(volume)}.json"
        cached = None if path is None else _read_summary(path)
        if path is not None and volume.compressed and read_cached(path.with_suffix(".npy")) is None:
            cached = None
        if cached is not None:
            return cached
        array = volume.read()
        summary = _summary_of(array, volume.path, self.axes, self._spans[number], self._slab)
        if volume.compressed:
            packed = np.minimum(array * summary.scale, HALF).astype(np.float16)
            if path is None:
                self._unpacked[number] = packed
            else:
                write_array(path.with_suffix(".npy"), packed)
        if path is not None:  # last: what it describes is then complete
            write_text(path, json.dumps({"scale": summary.scale, "kept": summary.kept}))
        return summary

    def _key(self, volume: NiftiVolume) -> str:
        return cache_key(volume.path, ("nifti", 1, self.axes, self.skip, QUANTILE, EMPTY))

    def _positions(self) -> list[tuple[int, Axis, int]]:
        self.prepare()
        return self._index or []

    def __len__(self) -> int:
        return len(self._positions())

    def __getitem__(self, index: int) -> Tensor:
        number, axis, at = self._positions()[index]
        volume = self.volumes[number]
        if not volume.compressed:
            plane = volume.slice(axis, at) * self._scales[number]
        else:
            plane = as_image(self._stored(number), axis, at).astype(np.float32)
        span = self._spans[number]
        if span is not None and self._slab is not None and axis != self._slab:
            plane = _cut(plane, axis, self._slab, span)
        return torch.from_numpy(np.ascontiguousarray(plane))[None].clamp(min=0)

    def _stored(self, number: int) -> np.ndarray:
        """The unpacked volume; a mapped one for this read alone, because pages of a map that stays open count
        as memory.
        """
        if self.cache is None:
            return self._unpacked[number]
        return open_npy(self.cache / f"{self._key(self.volumes[number])}.npy")

    def group_of(self, index: int) -> str:
        return self._groups[self._positions()[index][0]]

    def groups(self) -> set[str]:
        return set(self._groups)


def _slab_voxels(volume: NiftiVolume, skip: tuple[Axis, float, float]) -> tuple[int, int]:
    """The voxels [first, last) along the slab's axis that touch it."""
    axis, low, high = skip
    across = AXES.index(axis)
    tilt = np.delete(volume.affine[across, :3], across)
    step, origin = volume.affine[across, across], volume.affine[across, 3]
    if not low < high or (np.abs(tilt) > 1e-3 * abs(step)).any():
        raise InputError(f"{volume.path}: skip needs low < high in millimetres and a volume that is not oblique; resample it.")
    first, last = math.floor((low - origin) / step + 0.5), math.ceil((high - origin) / step + 0.5)
    return min(max(first, 0), volume.shape[across]), min(max(last, 0), volume.shape[across])


def _cut(plane: np.ndarray, axis: Axis, slab: Axis, span: tuple[int, int]) -> np.ndarray:
    """The larger part of a plane (rows, columns) on either side of a slab that crosses it, faded out at the
    cut.
    """
    columns, _ = (name for name in AXES if name != axis)
    # the slab's axis first, running its way; rows run downwards
    along = plane.T if slab == columns else plane[::-1]
    before, after = along[: span[0]], along[span[1] :]
    part = before if len(before) >= len(after) else after[::-1]  # the cut is at the end
    fade = min(FADE, len(part))
    ramp = np.ones((len(part), 1), np.float32)
    ramp[len(part) - fade :, 0] = 0.5 + 0.5 * np.cos(np.pi * (np.arange(fade) + 0.5) / max(fade, 1))
    part = (part * ramp)[:: 1 if len(before) >= len(after) else -1]
    return part.T if slab == columns else part[::-1]


def _summary_of(
    array: np.ndarray, path: Path, axes: tuple[Axis, ...], span: tuple[int, int] | None, slab: Axis | None
) -> _Summary:
    """The scale of a volume, and its slices that are outside the slab and not empty."""
    outside = array if span is None or slab is None else np.delete(array, np.arange(*span), AXES.index(slab))
    top = float(np.quantile(outside, QUANTILE)) if outside.size else 0.0
    if top <= 0:
        raise InputError(f"{path}: its {100 * QUANTILE} % quantile is {top:g}, so it shows nothing; leave it out.")
    kept: list[tuple[Axis, int]] = []
    for axis in axes:
        for at in range(array.shape[AXES.index(axis)]):
            if span is not None and axis == slab and span[0] <= at < span[1]:
                continue
            plane = as_image(array, axis, at)
            if span is not None and slab is not None and axis != slab:
                plane = _cut(plane, axis, slab, span)
            if plane.size and plane.clip(0).mean() > EMPTY * top:
                kept.append((axis, at))
    return _Summary(1 / top, tuple(kept))


def _read_summary(path: Path) -> _Summary | None:
    """The summary that an earlier `prepare` wrote; None where it is missing or damaged."""
    try:
        stored = json.loads(path.read_text())
        kept = tuple((AXES[AXES.index(axis)], int(at)) for axis, at in stored["kept"])
        return _Summary(float(stored["scale"]), kept)
    except (OSError, ValueError, KeyError, TypeError):
        return None
