"""An array in a file that is read, not mapped: where the file is cut short meanwhile a mapped one ends the process (SIGBUS)."""

import io
import math
from pathlib import Path

import numpy as np

WHOLE_RUNS = 4096  # bytes: shorter runs are picked out of blocks that are read in full
BLOCK = 2**26  # bytes


class FileArray:
    """An array of which `array[index]` reads what is asked for, from the file as it is then.

    Args:
        mapped: the memory map of a whole array, or a view of all of it; header and size have been checked, and it is not read.

    Attributes:
        shape, dtype, ndim: as of a NumPy array.
    """

    def __init__(self, mapped: np.ndarray) -> None:
        assert isinstance(mapped, np.memmap) and mapped.filename is not None
        self._path, self._offset = Path(mapped.filename), mapped.offset
        self.shape, self.dtype, self.ndim = mapped.shape, mapped.dtype, mapped.ndim
        self._fortran = not mapped.flags.c_contiguous

    def __getitem__(self, key: tuple[int | slice, ...]) -> np.ndarray:
        """The part at indices of some axes, or all of it; every other entry of `key` is `slice(None)`.

        What lies at the index of the slowest of these axes is read.

        Raises:
            OSError: the file is gone, or ends before the array does.
        """
        if len(key) != self.ndim:
            raise IndexError("an index or slice(None) of every axis is needed")
        axes = [(axis, one) for axis, one in enumerate(key) if isinstance(one, int)]
        if len(axes) > 1:
            slowest = axes[-1 if self._fortran else 0][0]
            only = tuple(one if axis == slowest else slice(None) for axis, one in enumerate(key))
            return self[only][tuple(one for axis, one in enumerate(key) if axis != slowest)]
        shape = self.shape[::-1] if self._fortran else self.shape
        if not axes:
            part = self._read(1, 1, math.prod(shape), 0).reshape(shape)
        else:
            given, index = axes[0]
            axis = self.ndim - 1 - given if self._fortran else given
            before, after = shape[:axis], shape[axis + 1 :]
            part = self._read(math.prod(before), shape[axis], math.prod(after), index).reshape(before + after)
        return part.T if self._fortran else part

    def _read(self, outer: int, length: int, inner: int, index: int) -> np.ndarray:
        """(outer, inner): entry `index` of the middle axis of (outer, length, inner) in the order of the file."""
        found, run = np.empty((outer, inner), self.dtype), inner * self.dtype.itemsize
        rows = 1 if run >= WHOLE_RUNS else max(1, BLOCK // (run * length))
        with self._path.open("rb") as file:
            for start in range(0, outer, rows):
                place = self._offset + start * length * run
                if run >= WHOLE_RUNS:
                    self._fill(file, place + index * run, found[start])
                    continue
                block = np.empty((min(rows, outer - start), length, inner), self.dtype)
                self._fill(file, place, block)
                found[start : start + rows] = block[:, index]
        return found

    def _fill(self, file: io.BufferedReader, place: int, part: np.ndarray) -> None:
        file.seek(place)
        view = part.reshape(-1).view(np.uint8)
        if file.readinto(view.data) != len(view):
            raise OSError(f"{self._path} was cut short while it was read")
