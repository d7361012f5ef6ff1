"""ISMRMRD raw data that were acquired along trajectories: 2-D slices, readout by readout."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..guards import check_size, finite, guarded, read_text, require
from ..hdf5 import File
from .base import Request, Scan, centre_index
from .counters import COUNTERS, values_of
from .header import Header, parse_header
from .ismrmrd import (
    NOISE,
    NOT_IMAGE,
    acquisitions,
    chosen,
    flagged,
    in_image_units,
    placement_of,
    samples_of,
)
from .points import PointFile
from .trajectory import Points, in_plane, read_trajectory


class MRDPoints(PointFile):
    """A 2-D ISMRMRD file whose acquisitions have trajectories, or whose trajectory is given.

    Every readout of a slice is read, those of averages and repetitions among them: a least-squares fit takes them all. Of
    contrasts, phases and sets the first is read, or the selected one. Slices are in the order of their positions. The image is
    that of the recon space, with pixels of the size that the trajectory resolves.
    """

    kind = "ISMRMRD along a trajectory"
    has_header = True

    def __init__(self, path: Path, file: File, group: str, request: Request):
        self._file, self.notes = file, ()
        self._records = acquisitions(file, f"{group}/data", max_gb=request.max_gb)
        self._header = parse_header(read_text(file, f"{group}/xml"), str(path))
        head = guarded(path, lambda: self._records.fields("head")[:])
        noise = flagged(head, NOISE)
        self._noise_records, self._noise_heads = np.flatnonzero(noise), head[noise]
        image = ~flagged(head, *NOT_IMAGE) & (head["encoding_space_ref"] == 0)
        numbers = self._numbers(head)
        self.counters = values_of({name: values[image] for name, values in numbers.items()})
        image, notes = chosen(image, numbers, request.select, path)
        self._image_records, self._image = np.flatnonzero(image), head[image]
        require(bool(image.any()), f"{path} holds no lines of an image; give the file of an imaging scan.")
        coils = np.unique(self._image["active_channels"])
        require(len(coils) == 1, f"{path} changes its number of coils ({', '.join(map(str, coils))}) during the scan.")
        self._placement = placement_of(self._image)
        self._given = None if request.trajectory is None else read_trajectory(Path(request.trajectory), max_gb=request.max_gb)
        self._units = request.trajectory_units
        self._grid = request.matrix or grid_of(self._header)
        check_size(str(path), (int(coils[0]), *self._grid), 8, max_gb=request.max_gb)
        self.has_noise, self.path = len(self._noise_heads) > 0, path
        slices = self._arranged()
        _, _, note = self._points(0).in_cycles(self._units, self._grid, path)
        self.notes = (*notes, *self.notes, *self._placement.notes, *((note,) if note else ()))
        super().__init__(path, (slices, int(coils[0]), *self._grid), request)

    def _numbers(self, head: np.ndarray) -> dict[str, np.ndarray]:
        """The counters by which an image is chosen."""
        return {name: head["idx"][name] for name in COUNTERS}

    def _arranged(self) -> int:
        """The number of slices, once it is clear which readouts each has."""
        self._slices = np.unique(self._image["idx"]["slice"])[list(self._placement.order)]
        return len(self._slices)

    def _rows(self, index: int) -> np.ndarray:
        """The acquisitions of a slice."""
        numbers = self._image_records[self._image["idx"]["slice"] == self._slices[index]]
        return guarded(self.path, lambda: self._records[numbers])

    def _points(self, index: int) -> Points:
        """The trajectory of a slice, short readouts with zeros at their ends."""
        rows = self._rows(index)
        if self._given is not None:
            found, given = (len(rows), int(rows["head"]["number_of_samples"].max())), self._given.values.shape[:2]
            require(given == found, f"{self.path} has {found[0]} readouts of {found[1]} samples in slice {index}, and the "
                    f"trajectory {given[0]} of {given[1]}; give that of this scan.")
            return self._given
        dims = np.unique(rows["head"]["trajectory_dimensions"])
        require(len(dims) == 1 and dims[0] in (2, 3), f"{self.path} is a {self._header.trajectory} scan and stores no trajectory "
                "of two dimensions; give it by `trajectory`.")
        values = np.zeros((len(rows), int(rows["head"]["number_of_samples"].max()), int(dims[0])), np.float32)
        for readout, row in zip(values, rows, strict=True):
            count, stored = int(row["head"]["number_of_samples"]), np.asarray(row["traj"], np.float32)
            require(stored.size == count * len(readout[0]), f"{self.path}: a readout of {count} samples stores {stored.size} "
                    "numbers of its trajectory; export it again.")
            readout[:count] = finite(stored.reshape(count, -1), self.path, "the trajectory")
        return Points(self._in_plane(values))

    def _in_plane(self, values: np.ndarray) -> np.ndarray:
        """A trajectory (readout, sample, 2 or 3) without its third direction, along which a slice has none."""
        return in_plane(values, self.path)

    def _samples(self, index: int, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        """The k-space (coil, readout, sample) of a slice and its mask."""
        return placed(self._rows(index), self.shape[1], shape, self.path)

    def _read(self, index: int) -> Scan:
        cycles, grid, _ = self._points(index).in_cycles(self._units, self._grid, self.path)
        kspace, mask = self._samples(index, (cycles.shape[0], cycles.shape[1]))
        pixel = self._pixel
        centre = centre_index(grid[0], grid[0]), centre_index(grid[1], grid[1])
        return Scan(
            name=self.name, index=index, kspace=self._finite(kspace, index), mask=torch.from_numpy(mask), acs=None,
            noise=self._noise, reference=None, crop=grid, pixel_mm=pixel,
            affine=None if pixel is None else self._placement.affine(index, pixel, centre),
            trajectory=torch.from_numpy(np.ascontiguousarray(cycles, np.float32)), grid=grid,
        )

    @property
    def _pixel(self) -> tuple[float, float, float] | None:
        """(row, column, slice) mm of the image."""
        field = self._header.recon_mm
        if field is None:
            return None
        return field[0] / self._grid[0], field[1] / self._grid[1], self._placement.spacing(field[2])

    @cached_property
    def _noise(self) -> Tensor | None:
        if not self.has_noise or not self.request.noise_scan:
            return None
        rows = guarded(self.path, lambda: self._records[self._noise_records])
        noise = in_image_units(rows, self._image, self._noise_heads, self._header, self.path)
        return torch.from_numpy(finite(noise.astype(np.complex64), self.path, "the noise scan"))

    def close(self) -> None:
        self._file.close()


def placed(rows: np.ndarray, coils: int, shape: tuple[int, int], path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Acquisitions as k-space (coil, readout, sample), zeros where short ones end and samples are discarded; and its mask."""
    kspace, mask = np.zeros((coils, *shape), np.complex64), np.zeros(shape, np.float32)
    for number, row in enumerate(rows):
        data, head = samples_of(row, path), row["head"]
        valid = slice(int(head["discard_pre"]), data.shape[1] - int(head["discard_post"]))
        kspace[:, number, valid], mask[number, valid] = data[:, valid], 1
    return kspace, mask


def grid_of(header: Header) -> tuple[int, int]:
    """(height, width) of the image of the recon space, in pixels of the size that the encoded space resolves along a readout."""
    rows, columns, _ = header.recon
    if header.is_interpolated(0):
        columns = max(2, round(columns * header.kept[0] / rows))
        rows = header.kept[0]
    return rows, columns
