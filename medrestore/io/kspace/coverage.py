"""Which part of k-space a scan covers: partial Fourier, asymmetric echo, zero-filled interpolation."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

WHOLE = 0.95  # of an axis, above which nothing is left out on purpose
GAPS = 3  # times the largest gap between samples, that chance may leave out at an end of a mask


@dataclass(frozen=True)
class Extent:
    """What is sampled along one axis of k-space, from its first sample to its last.

    Attributes:
        size: of the axis.
        before, after: samples before the centre, and after it.
        gap: largest distance of neighbouring samples.
    """

    size: int
    before: int
    after: int
    gap: int

    @classmethod
    def of(cls, hit: Tensor) -> "Extent":
        """Of an axis (n,) of booleans, with any sample."""
        where = torch.nonzero(hit).flatten()
        first, last, centre = int(where[0]), int(where[-1]), len(hit) // 2
        gap = int(where.diff().max()) if len(where) > 1 else 1
        return cls(len(hit), centre - first, last - centre, gap)

    @property
    def reach(self) -> int:
        """Samples of the axis that is symmetric about the centre and just holds what was sampled."""
        return min(self.size, 2 * max(self.before, self.after + 1))

    @property
    def share(self) -> float:
        """Of that axis, that was covered: 0.75 for 6/8 partial Fourier, 1 where both sides are."""
        missing = abs(self.before - self.after - 1)
        share = 1 - missing / max(self.reach, 1)
        return share if missing > GAPS * self.gap and share < WHOLE and min(self.before, self.after) >= 0 else 1.0

    @property
    def is_interpolated(self) -> bool:
        """Whether both ends hold exact zeros, as a scanner leaves them that interpolates the image."""
        missing = self.size - self.reach
        return missing > 2 * GAPS * self.gap and self.reach < WHOLE * self.size


@dataclass(frozen=True)
class Coverage:
    """What is sampled along the rows' axis (the readout, or a second phase encode) and along the columns' axis.

    Attributes:
        along: whether it is that of a trajectory, which may end before the edge of the grid without any interpolation.
    """

    rows: Extent
    columns: Extent
    along: bool = False

    @classmethod
    def of(cls, mask: Tensor) -> "Coverage | None":
        """Of a mask (1, w) or (h, w); None where it has no sample."""
        if not bool(mask.any()):
            return None
        rows = torch.ones(2, dtype=torch.bool) if mask.shape[0] == 1 else (mask > 0).any(1)
        return cls(Extent.of(rows.cpu()), Extent.of((mask > 0).any(0).cpu()))

    @classmethod
    def of_points(cls, trajectory: Tensor, mask: Tensor, shape: tuple[int, int]) -> "Coverage | None":
        """Of the points (readout, sample, 2) of a trajectory on the grid of an image; None where there is no sample."""
        taken = trajectory[mask > 0].round().long().cpu() + torch.tensor([size // 2 for size in shape])
        hits = [torch.zeros(size, dtype=torch.bool) for size in shape]
        for hit, at in zip(hits, taken.T, strict=True):
            hit[at[(at >= 0) & (at < len(hit))]] = True
        if not all(bool(hit.any()) for hit in hits):
            return None
        rows, columns = (Extent.of(hit) for hit in hits)
        return cls(rows, columns, along=True)

    @property
    def is_partial(self) -> bool:
        """Whether a side of k-space was left out."""
        return self.rows.share < 1 or self.columns.share < 1

    def sentences(self, names: Sequence[str] | None = None) -> tuple[str, ...]:
        """What is out of the ordinary, one sentence each.

        Args:
            names: of the axes of rows and columns.
        """
        said = []
        names = (("rows", "columns") if self.along else ("readout", "phase encodes")) if names is None else names
        for extent, name in zip((self.rows, self.columns), names, strict=True):
            if extent.share < 1:
                kind = "asymmetric echo" if name == "readout" else "partial Fourier"
                said.append(f"One side of k-space was left out ({kind}): {extent.share:.0%} of the {name} are covered.")
            if extent.is_interpolated and not self.along:
                said.append(f"The outer {name} are zero on both sides, as after zero-filled interpolation: {extent.reach} of "
                            f"{extent.size} were acquired.")
        return tuple(said)


def readout_notes(hit: Tensor) -> tuple[str, ...]:
    """A sentence on the readout of a 3-D scan, whose slices lie along it, where one side of it was left out.

    Args:
        hit: (n,) booleans, which samples of it were acquired.
    """
    if not bool(hit.any()) or (share := Extent.of(hit).share) == 1:
        return ()
    return (f"One side of the readout was left out (asymmetric echo): {share:.0%} of it are covered. Slices lie along it, so "
            "that nothing makes up for that: they are blurred into each other.",)
