"""Trajectories in files of their own, and the units they are in."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from ..guards import finite, is_cfl, open_cfl, open_npy, require

Units = Literal["cycles-per-fov", "cycles-per-pixel", "radians-per-pixel"]
PER_PIXEL, RADIANS = 0.5, np.pi  # the edge of k-space in cycles, and in radians, a pixel
SLACK = 1.03  # times the edge of k-space that a trajectory may reach beyond it


@dataclass(frozen=True)
class Points:
    """A trajectory as stored.

    Attributes:
        values: (readout, sample, 2) float32, (row, column).
        units: that they are in, where the format says so; None where it does not.
    """

    values: np.ndarray
    units: Units | None = None

    def in_cycles(self, units: Units | None, grid: tuple[int, int] | None, path: Path) -> tuple[np.ndarray, tuple[int, int], str]:
        """In cycles per field of view, the (height, width) of the image, and a note on units or size that were inferred.

        Args:
            units: that the user gives, before those of the format.
            grid: (height, width) of the image, if it is known.

        Raises:
            InputError: units that cannot be told, or a size of the image that they do not give.
        """
        asked, largest = units or self.units, np.abs(self.values).max((0, 1))
        known = asked or _guessed(float(largest.max()))
        require(known != "cycles-per-fov" or float(largest.max()) > PER_PIXEL,
                f"{path} has a trajectory that reaches {largest.max():.3g} cycles per field of view, which resolves no image; "
                "give its `trajectory_units`.")
        if known == "cycles-per-fov":
            size = grid or (max(2, 2 * round(float(largest.max()))),) * 2
            require(bool((largest <= SLACK * np.array(size) / 2).all()),
                    f"{path} has a trajectory that reaches {largest.max():.4g} cycles per field of view, beyond what an image of "
                    f"{size[0]} x {size[1]} pixels resolves; give `matrix`, or its `trajectory_units`.")
            cycles = self.values
        else:
            require(grid is not None, f"{path} has a trajectory in {known.replace('-', ' ')}, which does not tell the size of "
                    "the image; give `matrix`.")
            assert grid is not None
            edge = PER_PIXEL if known == "cycles-per-pixel" else RADIANS
            require(float(largest.max()) <= SLACK * edge,
                    f"{path} has a trajectory that reaches {largest.max():.4g}, beyond the edge of k-space in "
                    f"{known.replace('-', ' ')}; give other `trajectory_units`.")
            size, cycles = grid, self.values * (np.array(grid, np.float32) * np.float32(PER_PIXEL / edge))
        told = f"The trajectory is taken as {known.replace('-', ' ')}" if asked is None else ""
        sized = f"the image has {size[0]} x {size[1]} pixels, as far as the trajectory reaches" if grid is None else ""
        note = f"{told}; {sized}." if told and sized else f"{told or sized.capitalize()}." if told or sized else ""
        return cycles, size, note


def _guessed(largest: float) -> Units:
    """The units of a trajectory by how far it reaches: an image of fewer than seven pixels is none."""
    if largest <= SLACK * PER_PIXEL:
        return "cycles-per-pixel"
    return "radians-per-pixel" if largest <= SLACK * RADIANS else "cycles-per-fov"


def read_trajectory(path: Path, *, max_gb: float) -> Points:
    """A trajectory of a BART .cfl, (3, sample, readout), or of a .npy: (readout, sample, 2), or complex (readout, sample).

    Complex numbers are row + i column. BART's are cycles per field of view.

    Raises:
        InputError: another shape, numbers that are not finite, or samples off the plane.
    """
    if is_cfl(path):
        stored = open_cfl(path, max_gb=max_gb)
        dims = [n for n in stored.shape[3:] if n > 1]
        require(stored.shape[0] == 3 and len(stored.shape) > 2 and not dims,
                f"{path} has the dimensions {stored.shape}, and a trajectory has (3, sample, readout); give that of one slice.")
        values, units = np.asarray(stored).real.reshape(3, *stored.shape[1:3]).transpose(2, 1, 0), "cycles-per-fov"
        return Points(in_plane(finite(values, path, "the trajectory"), path), units)  # type: ignore[arg-type]
    array = np.asarray(open_npy(path, max_gb=max_gb))
    if np.iscomplexobj(array) and array.ndim == 2:
        array = np.stack([array.real, array.imag], -1)
    require(array.ndim == 3 and array.shape[-1] in (2, 3) and not np.iscomplexobj(array) and 0 not in array.shape,
            f"{path} holds {array.dtype} {array.shape}, and a trajectory is (readout, sample, 2) real, or complex (readout, "
            "sample); save it so.")
    return Points(in_plane(finite(array.astype(np.float32), path, "the trajectory"), path))


def in_plane(values: np.ndarray, path: Path) -> np.ndarray:
    """(readout, sample, 2 or 3) as (readout, sample, 2); the third is along the slice and must be zero.

    Raises:
        InputError: it is not.
    """
    if values.shape[-1] == 3:
        require(not bool((np.abs(values[..., 2]) > 1e-6 * np.abs(values).max(initial=0.0)).any()),
                f"{path} has a trajectory in three dimensions, and slices are read; transform it along the third first, as "
                "stacks of stars or spirals allow.")
    return np.ascontiguousarray(values[..., :2], np.float32)
