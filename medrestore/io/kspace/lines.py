"""k-space that is stored line by line (ISMRMRD, Siemens twix): an index first, then only the lines of one slice."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...fft import ifft2c
from ..guards import check_size, finite, require
from .base import (
    DEFAULT,
    KSpaceFile,
    Request,
    Scan,
    centre_index,
    flagged_width,
    remove_oversampling,
)
from .coverage import readout_notes
from .geometry import Placement
from .plausible import Doubt

LINES_AT_ONCE = 64  # of a 3-D scan, read from the file together

LINE = np.dtype(
    [
        ("record", "i8"),  # where the file keeps it
        ("slice", "i8"),
        ("partition", "i8"),  # second phase encode step of a 3-D scan on the full grid, origin at partitions // 2
        ("column", "i8"),  # phase encode step on the full grid, origin at columns // 2
        ("at", "i8"),  # readout sample of the full grid on which the first valid sample falls
        ("skip", "i8"),  # samples to discard before
        ("count", "i8"),  # valid samples
        ("acs", "?"),  # calibration line
        ("separate", "?"),  # of a calibration scan beside the image
    ]
)


@dataclass(frozen=True)
class Grid:
    """The full Cartesian grid of a slice."""

    samples: int  # along the readout, with oversampling
    rows: int  # along the readout, without
    columns: int  # along the phase encode
    crop_columns: int  # of the image, without phase oversampling
    pixel_mm: tuple[float, float, float] | None  # (row, column, slice) as the image has them
    partitions: int | None = None  # along the second phase encode of a 3-D scan; None for slices
    crop_partitions: int = 1  # of the image, without oversampling of the slab

    @property
    def rows_of_image(self) -> int:
        """Rows of the k-space of a slice: the readout's, or the partitions of a 3-D scan, whose slices are along the readout."""
        return self.rows if self.partitions is None else self.partitions


def line_start(samples: int, count: int, centre: int) -> int:
    """Where a readout begins on the grid so that its sample `centre` falls on the origin; a full line fits only at 0."""
    return 0 if count == samples else samples // 2 - centre


class LineFile(KSpaceFile):
    """Lines put on their grid, repeated ones averaged, readout oversampling removed; slices in the order of their positions.

    The noise samples are divided by the square root of the number of averages (its harmonic mean over the lines), so that
    they have the std of the noise in the averaged k-space.
    """

    has_header = True

    def __init__(self, path: Path, lines: np.ndarray, grid: Grid, placement: Placement, *, coils: int,
                 request: Request = DEFAULT):
        require(bool((~lines["separate"]).any()), f"{path} holds no lines of an image; give the file of an imaging scan.")
        check_size(str(path), (coils, grid.samples, grid.columns), 8, max_gb=request.max_gb)
        check_size(str(path), (coils, grid.rows, grid.partitions or 1, grid.columns), 8, max_gb=request.max_gb)
        fits = (lines["column"] >= 0) & (lines["column"] < grid.columns) & (lines["count"] > 0)
        fits &= (lines["at"] >= 0) & (lines["at"] + lines["count"] <= grid.samples)
        fits &= (lines["partition"] >= 0) & (lines["partition"] < (grid.partitions or 1))
        require(
            bool(fits[~lines["separate"]].all()),
            f"{path} has lines that fall outside its grid of {grid.samples} samples x {grid.columns} lines; its header is wrong.",
        )
        self._lines, self._placement = lines[fits], placement
        self.is_volume = grid.partitions is not None
        self._grid = grid if self.is_volume else replace(grid, pixel_mm=_spaced(grid.pixel_mm, placement))
        self._slices = np.unique(lines["slice"][~lines["separate"]])[list(placement.order)]
        self.notes = (*self.notes, *placement.notes, *_separate_notes(lines, fits), *_uneven_notes(lines))
        if self.is_volume:
            self.notes += readout_notes(_covered(self._lines[~self._lines["separate"]], grid.samples))
        slices = grid.rows if self.is_volume else len(self._slices)
        super().__init__(path, (slices, coils, grid.rows_of_image, grid.columns), request)

    @abstractmethod
    def _data(self, records: np.ndarray) -> Iterable[np.ndarray]:
        """The (coil, samples) complex64 data of the given records, in their order."""

    def _noise_samples(self) -> np.ndarray | None:
        """(coil, samples) complex64 noise, scaled to one readout of the image lines; None without a noise scan."""
        return None

    def _read(self, index: int) -> Scan:
        if self.is_volume:
            return self._read_position(index)
        lines = self._lines[self._lines["slice"] == self._slices[index]]
        separate, lines = lines[lines["separate"]], lines[~lines["separate"]]
        kspace, mask = self._gridded(lines, index)
        grid = self._grid
        affine = None if grid.pixel_mm is None else self._placement.affine(index, grid.pixel_mm, self._centre())
        return Scan(
            name=self.name,
            index=index,
            kspace=kspace,
            mask=mask,
            acs=flagged_width(lines["column"][lines["acs"]], grid.columns) if lines["acs"].any() else None,
            noise=self._noise,
            reference=None,
            crop=(grid.rows, grid.crop_columns),
            pixel_mm=grid.pixel_mm,
            affine=affine,
            calibration=self._gridded(separate, index)[0] if len(separate) else None,
        )

    def _read_position(self, index: int) -> Scan:
        """A position along the readout of a 3-D scan."""
        kspace, mask = self._image_hybrid
        apart, grid, acs = self._calibration_hybrid, self._grid, self._lines[self._lines["acs"]]["column"]
        crop = (grid.crop_partitions, grid.crop_columns)
        centre = (centre_index(grid.samples, grid.rows), centre_index(grid.rows_of_image, crop[0]),
                  centre_index(grid.columns, crop[1]))
        affine = None if grid.pixel_mm is None else self._placement.volume_affine(index, grid.pixel_mm, centre)
        return Scan(
            name=self.name, index=index, kspace=self._finite(kspace[index], index), mask=mask,
            acs=flagged_width(acs, grid.columns) if len(acs) else None, noise=self._noise, reference=None, crop=crop,
            pixel_mm=grid.pixel_mm, affine=affine,
            calibration=None if apart is None else self._finite(apart[0][index], index),
        )

    @cached_property
    def _image_hybrid(self) -> tuple[np.ndarray, Tensor]:
        return self._hybrid(self._lines[~self._lines["separate"]])

    @cached_property
    def _calibration_hybrid(self) -> tuple[np.ndarray, Tensor] | None:
        separate = self._lines[self._lines["separate"]]
        return self._hybrid(separate) if len(separate) else None

    def _hybrid(self, lines: np.ndarray) -> tuple[np.ndarray, Tensor]:
        """(row, coil, partition, column) complex64, an image along the readout, and its mask; all that memory holds of the file.

        Lines are read some at a time and transformed one by one, so that k-space is in memory once.
        """
        grid, lines = self._grid, np.sort(lines, order="record")
        rows, partitions = grid.rows, grid.rows_of_image
        full = np.zeros((rows, self.shape[1], partitions, grid.columns), np.complex64)
        hits = np.zeros((partitions, grid.columns), np.int32)
        start = (grid.samples - rows) // 2
        for some in (lines[i : i + LINES_AT_ONCE] for i in range(0, len(lines), LINES_AT_ONCE)):
            for line, data in zip(some, self._data(some["record"]), strict=True):
                at, skip, count = (int(line[key]) for key in ("at", "skip", "count"))
                require(data.shape[0] == self.shape[1] and data.shape[1] >= skip + count,
                        f"{self.path}: a line holds {data.shape} samples, not what its header says; copy it again.")
                readout = np.zeros((self.shape[1], grid.samples), np.complex64)
                readout[:, at : at + count] = data[:, skip : skip + count]
                image = ifft2c(torch.from_numpy(readout), axes=(-1,)).numpy()[:, start : start + rows]
                with np.errstate(over="ignore", invalid="ignore"):  # NaN and infinity are found when a slice is read
                    full[:, :, line["partition"], line["column"]] += image.T
                hits[line["partition"], line["column"]] += 1
        full /= np.maximum(hits, 1).astype(np.float32)
        columns = (hits > 0).any(0, keepdims=True)
        mask = columns if bool(((hits > 0) == columns).all()) else hits > 0
        return full, torch.from_numpy(mask).float()

    def _gridded(self, lines: np.ndarray, index: int) -> tuple[Tensor, Tensor]:
        """k-space (1, coil, height, width) of lines of slice `index`, and its mask."""
        lines, grid = np.sort(lines, order="record"), self._grid
        full = np.zeros((self.shape[1], grid.samples, grid.columns), np.complex64)
        hits = np.zeros((grid.samples, grid.columns), np.int32)
        for line, data in zip(lines, self._data(lines["record"]), strict=True):
            column, at, skip, count = (int(line[key]) for key in ("column", "at", "skip", "count"))
            require(
                data.shape[0] == self.shape[1] and data.shape[1] >= skip + count,
                f"{self.path}: a line of slice {index} holds {data.shape} samples, not what its header says; copy it again.",
            )
            with np.errstate(over="ignore", invalid="ignore"):  # NaN and infinity are found below
                full[:, at : at + count, column] += data[:, skip : skip + count]
            hits[at : at + count, column] += 1
        kspace = remove_oversampling(self._finite(full / np.maximum(hits, 1).astype(np.float32), index), grid.rows)
        mask = self._mask(hits > 0)
        return kspace * mask, mask

    def _mask(self, hit: np.ndarray) -> Tensor:
        """The mask after oversampling was removed: row r stands where sample (r - rows // 2) * samples / rows stood."""
        samples, rows = self._grid.samples, self._grid.rows
        stood = np.rint((np.arange(rows) - rows // 2) * (samples / rows)).astype(int) + samples // 2
        hit = hit[np.clip(stood, 0, samples - 1)]
        columns = hit.any(0, keepdims=True)
        return torch.from_numpy(columns if (hit == columns).all() else hit).float()

    @cached_property
    def _noise(self) -> Tensor | None:
        if not self.request.noise_scan:
            return None
        with np.errstate(over="ignore", invalid="ignore"):  # NaN and infinity are found below
            noise = self._noise_samples()
        if noise is None:
            return None
        require(noise.shape[0] == self.shape[1], f"{self.path}: its noise scan has {noise.shape[0]} coils, not {self.shape[1]}; "
                "leave it out by `noise_scan` false.")
        _, averages = np.unique(self._lines[~self._lines["separate"]][["slice", "partition", "column"]],
                                return_counts=True)
        scale = np.float32(np.sqrt(np.mean(1.0 / averages)))
        return torch.from_numpy(finite(noise.astype(np.complex64), self.path, "the noise scan") * scale)

    def _centre(self) -> tuple[int, int]:
        """(row, column) of the cropped image on which the centre of the field of view falls."""
        grid = self._grid
        return centre_index(grid.samples, grid.rows), centre_index(grid.columns, grid.crop_columns)

    def _remedy(self, found: Doubt) -> str:
        """The header says where each line goes, so it is what has to be right."""
        return "its header and its data disagree, export it again"


def fitted_grid(grid: Grid, lines: np.ndarray, centre: np.ndarray) -> tuple[Grid, tuple[str, ...]]:
    """The grid as the lines have it, and a note where that is not what the header says.

    Lines as long as the image has rows, whose centre is in their middle, had their readout oversampling removed before.

    Args:
        lines: of the image alone; their `count` alone is looked at.
        centre: (line,) the sample of each that falls on the origin.
    """
    counts = np.unique(lines["count"])
    if len(counts) != 1 or counts[0] >= grid.samples or not (centre == counts[0] // 2).all():
        return grid, ()
    said = f"The header says {grid.samples} samples a line and each has {counts[0]}, its centre in the middle"
    if counts[0] == grid.rows:
        return replace(grid, samples=grid.rows), (f"{said}: the readout oversampling is taken as removed.",)
    return grid, (f"{said}: the others are taken as not acquired.",)


def _spaced(pixel_mm: tuple[float, float, float] | None, placement: Placement) -> tuple[float, float, float] | None:
    """The pixel with the spacing of the slices."""
    return None if pixel_mm is None else (*pixel_mm[:2], placement.spacing(pixel_mm[2]))


def _separate_notes(lines: np.ndarray, fits: np.ndarray) -> tuple[str, ...]:
    """What is said of separate calibration lines."""
    outside = int((lines["separate"] & ~fits).sum())
    count = len(np.unique(lines["column"][lines["separate"] & fits]))
    used = (f"{count} separate calibration lines give the coil maps and are no part of the image.",) if count else ()
    left = (f"{outside} separate calibration lines lie outside the grid of the image and are left out.",) if outside else ()
    return used + left


def _covered(lines: np.ndarray, samples: int) -> Tensor:
    """(samples,) booleans: which samples of the readout any of the lines has."""
    hit = torch.zeros(samples, dtype=torch.bool)
    for at, count in np.unique(lines[["at", "count"]]).tolist():
        hit[at : at + count] = True
    return hit


def _uneven_notes(lines: np.ndarray) -> tuple[str, ...]:
    """What is said of slices of which fewer lines were acquired than of others, as in a scan that was broken off."""
    pairs = np.unique(lines[~lines["separate"]][["slice", "partition", "column"]])
    _, counts = np.unique(pairs["slice"], return_counts=True)
    if counts.min() == counts.max():
        return ()
    return (f"The slices have different numbers of lines, {counts.min()} to {counts.max()}: the scan may have been broken off.",)
