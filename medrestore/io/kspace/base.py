"""A k-space file, read slice by slice into `Scan`s, and functions that its formats share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...errors import InputError
from ...fft import fft2c, ifft2c
from ..closing import Closing
from ..guards import finite
from .plausible import Doubt, doubt
from .trajectory import Units


@dataclass(frozen=True)
class Request:
    """How a file shall be read; the fields are the arguments of `read_kspace`."""

    dataset: str | None = None
    axes: Sequence[str] | None = None
    select: Mapping[str, int] = field(default_factory=dict)
    uncentred: bool = False
    noise_scan: bool = True
    implausible: bool = False
    max_gb: float = 16.0
    trajectory: str | None = None
    trajectory_units: Units | None = None
    matrix: tuple[int, int] | None = None
    separate: tuple[str, ...] = ()


DEFAULT = Request()


@dataclass(frozen=True)
class Scan:
    """One slice as acquired, readout oversampling already removed.

    k-space is centred (origin at n // 2) with the readout along height and the phase encode along width;
    the transform that belongs to it is orthonormal. Of a scan along a trajectory, height and width of `kspace` and `mask` are
    its readouts and their samples.
    """

    name: str  # file stem
    index: int  # slice number in the file
    kspace: Tensor  # (1, coil, height, width) complex64, zeros where not sampled
    mask: Tensor  # (1, width) or (height, width) float32, 1 where sampled
    acs: int | tuple[int, int] | None  # calibration width as stored by the file, None = not stored
    noise: Tensor | None  # (coil, samples) complex64 noise-only samples, scaled like kspace; None without a noise scan
    reference: Tensor | None  # (h, w) float32 magnitude reference stored in the file
    crop: tuple[int, int]  # (h, w) of the reconstructed image, a centre crop that starts at (n - crop) // 2
    pixel_mm: tuple[float, float, float] | None  # (row, column, slice) spacing when the file says so
    affine: np.ndarray | None  # 4x4, (row, column, slice) of the cropped image, this slice being 0, to RAS mm, if known
    trajectory: Tensor | None = None  # (readout, sample, 2), (row, column) in cycles per field of view; None of a Cartesian scan
    grid: tuple[int, int] | None = None  # (height, width) of the image that is reconstructed, of a scan along a trajectory
    calibration: Tensor | None = None  # shaped like kspace: separate calibration lines, zeros elsewhere; None without
    notes: tuple[str, ...] = ()  # what was assumed of this slice, one sentence each

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of the image that is reconstructed."""
        return (self.kspace.shape[-2], self.kspace.shape[-1]) if self.grid is None else self.grid

    def __repr__(self) -> str:
        shape = tuple(self.kspace.shape)
        return f"Scan({self.name!r}, index={self.index}, kspace {shape}, mask {tuple(self.mask.shape)}, crop={self.crop})"


class KSpaceFile(Closing):
    """A k-space file of any format: `file[i]` reads slice i, and only that, into a `Scan`.

    Also a context manager; `close()` may be called twice.
    """

    kind: str  # in words, such as "fastMRI multi-coil"
    dtype: str = "complex64"  # as stored
    is_volume: bool = False  # encoded in three directions: slices are positions along the readout, rows the second phase encode
    has_header: bool = False  # a header describes the geometry
    has_noise: bool = False  # noise-only samples exist
    has_reference: bool = False  # a reference image is stored
    notes: tuple[str, ...] = ()  # what was left out or assumed, one sentence each
    counters: Mapping[str, tuple[int, ...]] = {}  # values of those that may be read as frames of a series
    frames: int = 1  # of each slice, which follow each other: slice i has the numbers i * frames to (i + 1) * frames - 1

    def __init__(self, path: Path, shape: tuple[int, int, int, int], request: Request = DEFAULT):
        self.path, self.request = path, request
        self.shape = shape  # (slices, coils, height, width), readout oversampling already removed

    @property
    def name(self) -> str:
        """The file's stem."""
        return self.path.stem

    def __repr__(self) -> str:
        slices, coils, height, width = self.shape
        return f"{type(self).__name__}({str(self.path)!r}: {slices} slices, {coils} coils, {height} x {width})"

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: int) -> Scan:
        """Slice `index`, from 0; negative numbers count from the end.

        Raises:
            IndexError: no such slice.
            InputError: the slice cannot be read, holds NaN, infinity or values whose energy single precision cannot hold, or
                does not look like k-space.
        """
        if not -len(self) <= index < len(self):
            raise IndexError(f"{self.path} has {len(self)} slices, numbers 0 to {len(self) - 1}, there is no slice {index}")
        scan = self._read(index % len(self))
        self._check_finite(scan)
        if not self.request.implausible and (found := self._doubt(scan)) is not None:
            raise InputError(f"{self.path}: slice {scan.index} does not look like k-space, {found.what}; {self._remedy(found)}, "
                             "or pass `implausible` where it is right as it is.")
        return scan

    def _check_finite(self, scan: Scan) -> None:
        """Refuses what is not finite, or would not be when it is squared: also what a transform has made so."""
        energy = [torch.linalg.vector_norm(part).square() for part in (scan.kspace, scan.noise) if part is not None]
        if not all(bool(value.isfinite()) for value in energy):
            raise InputError(f"{self.path}: slice {scan.index} holds values too large for single precision; "
                             "export the file again.")
        geometry = [part for part in (scan.pixel_mm, scan.affine) if part is not None]
        if not all(np.isfinite(part).all() for part in geometry):
            raise InputError(f"{self.path}: its header gives sizes or positions that are not finite; export the file again.")

    def doubt(self, index: int) -> str | None:
        """What speaks against slice `index` being k-space of this layout, in words; None where nothing does."""
        found = self._doubt(self._read(index))
        return None if found is None else f"{found.what}; {self._remedy(found)}"

    def _doubt(self, scan: Scan) -> Doubt | None:
        return doubt(scan.kspace[0])

    def _remedy(self, found: Doubt) -> str:
        """What would make it right, for this format."""
        return found.remedy

    def __iter__(self) -> Iterator[Scan]:
        return (self[index] for index in range(len(self)))

    @abstractmethod
    def _read(self, index: int) -> Scan:
        """Slice `index`, which is in range."""

    @property
    def reference_max(self) -> float | None:
        """The largest value of the whole stored reference volume; None without a reference."""
        return None

    def _finite(self, kspace: np.ndarray, index: int) -> Tensor:
        """(coil, height, width) as a (1, coil, height, width) tensor; NaN and infinity are refused."""
        return torch.from_numpy(finite(kspace, self.path, f"slice {index}"))[None]


def remove_oversampling(kspace: Tensor, rows: int) -> Tensor:
    """k-space (..., height, width) whose image is cropped to `rows` rows along the readout.

    The crop starts at (height - rows) // 2. Both transforms are orthonormal, so the std of the noise in every sample and
    the values of the pixels that stay are unchanged.
    """
    height = kspace.shape[-2]
    if rows == height:
        return kspace
    start = (height - rows) // 2
    return fft2c(ifft2c(kspace, axes=(-2,))[..., start : start + rows, :], axes=(-2,))


def sampled(kspace: Tensor) -> Tensor:
    """The mask that k-space (..., coil, height, width) itself shows: sampled is where any coil is not zero.

    (1, width) only where every sampled column is sampled in every row, so that no zero is passed off as a measurement;
    (height, width) otherwise, which includes rows that were never acquired (an asymmetric echo).
    """
    hit = (kspace != 0).flatten(0, -3).any(0)
    columns = hit.any(0, keepdim=True)
    return (columns if torch.equal(hit, columns.expand_as(hit)) else hit).float()


def centre_index(size: int, crop: int) -> int:
    """Where the origin (size // 2) of an axis lies after a centre crop."""
    return size // 2 - (size - crop) // 2


def flagged_width(columns: np.ndarray, width: int) -> int | None:
    """The width of a central block that lies within the calibration columns; None when they miss the centre.

    An even block reaches one further to the left of the centre (width // 2), as the origin of k-space has it.
    """
    flagged = np.zeros(width, bool)
    flagged[columns] = True
    centre = width // 2
    if not flagged[centre]:
        return None
    gaps = np.flatnonzero(~flagged)
    left = centre - int(max(gaps[gaps < centre], default=-1)) - 1
    right = int(min(gaps[gaps > centre], default=width)) - centre - 1
    return left + right + 1 if left - right in (0, 1) else 2 * min(left, right) + 1
