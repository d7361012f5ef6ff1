"""Images of a file with all that is needed to write others like them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

Kind = Literal["picture", "tiff", "nifti", "dicom", "npy"]


@dataclass(frozen=True)
class Place:
    """Where the pixels of images lie in the patient.

    Attributes:
        affine: 4 x 4, (slice, row, column) to millimetres, RAS; None where it is unknown.
        axes: of the stored array, for NIfTI: which of (slice, row, column) each is, and whether it runs that way (1) or against
            it (-1).
        codes: qform and sform code of a NIfTI header, and its units.
    """

    affine: np.ndarray | None = None
    axes: tuple[tuple[int, int], ...] = ()
    codes: tuple[int, int, int] = (1, 1, 2)

    def scaled(self, factor: float) -> Place:
        """The same for pixels `factor` times as large, both grids covering the same field.

        The first pixel of the new grid then lies (factor - 1) / 2 old pixels further in.
        """
        if self.affine is None:
            return self
        change = np.diag([1.0, factor, factor, 1.0])
        change[1:3, 3] = (factor - 1) / 2
        return Place(self.affine @ change, self.axes, self.codes)

    def sliced(self, first: int) -> Place:
        """The same where slices begin at `first`."""
        if self.affine is None:
            return self
        change = np.eye(4)
        change[0, 3] = first
        return Place(self.affine @ change, self.axes, self.codes)


@dataclass(frozen=True)
class FileImages:
    """The images of one file.

    Attributes:
        where: the file, for messages.
        kind: of the file.
        values: (slice, channel, height, width) float32 or complex64, in the units of the file; one channel or three.
        dtype: of the values as they are stored.
        step: by how much values that the file can hold differ; None for floating-point numbers.
        limits: the least and largest value that the file can hold, or None.
        place: where the pixels lie.
        header: of DICOM, what is copied to others like it: tag name to value.
        patient: of DICOM, what identifies the patient, the study and the series; only ever copied when that is asked for.
        notes: what was assumed, one sentence each.
    """

    where: str
    kind: Kind
    values: np.ndarray = field(repr=False)
    dtype: np.dtype
    step: float | None = None
    limits: tuple[float, float] | None = None
    place: Place = field(default_factory=Place)
    header: dict[str, object] = field(default_factory=dict, repr=False)
    patient: dict[str, object] = field(default_factory=dict, repr=False)
    notes: tuple[str, ...] = ()

    @property
    def is_bytes(self) -> bool:
        """Whether they are 8-bit grey levels."""
        return self.dtype == np.uint8 and self.kind in ("picture", "tiff", "npy")


def as_whole_numbers(values: np.ndarray, dtype: np.dtype) -> tuple[np.ndarray, int]:
    """Values as whole numbers of a type, and how many lay outside its range and were cut."""
    if dtype.kind not in "iu":
        return values.astype(dtype), 0
    bounds, rounded = np.iinfo(dtype), np.rint(values)
    outside = int(((rounded < bounds.min) | (rounded > bounds.max)).sum())
    return rounded.clip(bounds.min, bounds.max).astype(dtype), outside
