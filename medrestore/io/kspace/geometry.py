"""Where the slices of a line-by-line file lie: their order, their spacing and the affine, from the positions it gives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

TOLERANCE_MM = 1e-2
ANGLE = 1e-3  # of unit vectors

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Placement:
    """The slices in the order in which they lie.

    Attributes:
        order: indices of the slices as counted, in the order of their positions.
        positions: (slice, 3) of the centre of the field of view, LPS mm, in that order; None where no use can be made of them.
        frame: (3, 3), columns the unit vectors of readout, phase encode and slice, LPS; None where unknown.
        step: (3,) from slice to slice, LPS mm; None where there is one slice, or the steps differ.
        notes: what was found out, one sentence each.
    """

    order: tuple[int, ...]
    positions: np.ndarray | None = None
    frame: np.ndarray | None = None
    step: np.ndarray | None = None
    notes: tuple[str, ...] = ()

    def spacing(self, thickness: float) -> float:
        """mm from slice to slice; the thickness where there is one slice or the positions do not tell."""
        return thickness if self.step is None else float(np.linalg.norm(self.step))

    def affine(self, index: int, pixel_mm: tuple[float, float, float], centre: tuple[int, int]) -> np.ndarray | None:
        """4x4 from (row, column, slice) to RAS mm, `index` being slice 0; None where the orientation is unknown.

        Args:
            pixel_mm: size of a pixel, and the thickness for a single slice.
            centre: (row, column) on which the centre of the field of view falls.
        """
        if self.frame is None or self.positions is None or (len(self.order) > 1 and self.step is None):
            return None
        affine = np.eye(4)
        affine[:3, 0], affine[:3, 1] = self.frame[:, 0] * pixel_mm[0], self.frame[:, 1] * pixel_mm[1]
        affine[:3, 2] = self.frame[:, 2] * pixel_mm[2] if self.step is None else self.step
        affine[:3, 3] = self.positions[index] - affine[:3, 0] * centre[0] - affine[:3, 1] * centre[1]
        return LPS_TO_RAS @ affine

    def volume_affine(self, index: int, pixel_mm: tuple[float, float, float],
                      centre: tuple[int, int, int]) -> np.ndarray | None:
        """4x4 from (row, column, slice) of a 3-D scan to RAS mm: rows lie along the slice direction, slices along the readout.

        Args:
            index: of the slice that is to be 0.
            pixel_mm: (row, column, slice).
            centre: (slice, row, column) on which the centre of the field of view falls.
        """
        if self.frame is None or self.positions is None:
            return None
        affine = np.eye(4)
        for axis, direction in enumerate((2, 1, 0)):
            affine[:3, axis] = self.frame[:, direction] * pixel_mm[axis]
        affine[:3, 3] = self.positions[0] - affine[:3, :3] @ (centre[1], centre[2], centre[0] - index)
        return LPS_TO_RAS @ affine


def place(counters: np.ndarray, positions: np.ndarray, directions: np.ndarray | None = None) -> Placement:
    """The placement of slices with the given counters (slice,), in any order.

    Args:
        counters: as the file counts them, ascending.
        positions: (slice, 3) of the centre of the field of view, LPS mm.
        directions: (slice, 3, 3), columns the unit vectors of readout, phase encode and slice, LPS; None where unknown.
    """
    count, as_counted = len(counters), tuple(range(len(counters)))
    frame = None if directions is None else _frame(directions)
    if not np.isfinite(positions).all():
        positions = np.zeros((count, 3))  # which none can be told by
    if count == 1:
        return Placement(as_counted, positions, frame)
    along = _positions_on_line(positions)
    if along is None:
        apart = np.linalg.norm(positions[:, None] - positions, axis=-1) + np.eye(count) * 1e9
        same = bool((apart < TOLERANCE_MM).any()) if count <= 4096 else False
        why = "lie in one place, or some of them do" if same else "do not lie on a line"
        return Placement(as_counted, notes=(f"The {count} slices {why}, as the file has it: they are in the order of their "
                                            "counters, and their orientation is unknown.",))
    order = tuple(int(at) for at in np.argsort(along, kind="stable"))
    ordered, notes = positions[list(order)], []
    if order != as_counted:
        listed = ", ".join(str(counters[at]) for at in order[:12]) + (", ..." if count > 12 else "")
        notes.append(f"The slices are in the order of their positions, not of their counters, which then run {listed}.")
    step = (ordered[-1] - ordered[0]) / (count - 1)
    if not np.allclose(ordered, ordered[0] + np.arange(count)[:, None] * step, atol=TOLERANCE_MM):
        gaps = np.linalg.norm(np.diff(ordered, axis=0), axis=1)
        notes.append(f"The slices are {gaps.min():.3g} to {gaps.max():.3g} mm apart, so that the volume has no single "
                     "spacing and its orientation is left out.")
        return Placement(order, ordered, frame, None, tuple(notes))
    if directions is not None and frame is None:
        notes.append("The slices are not parallel or their directions are no right angles, so their orientation is left out.")
    return Placement(order, ordered, frame, step, tuple(notes))


def _frame(directions: np.ndarray) -> np.ndarray | None:
    """The frame (3, 3) of all slices; None unless they are parallel and it is orthonormal."""
    frame = directions[0]
    orthonormal = np.allclose(frame.T @ frame, np.eye(3), atol=ANGLE)
    return frame if orthonormal and np.allclose(directions, frame, atol=ANGLE) else None


def _positions_on_line(positions: np.ndarray) -> np.ndarray | None:
    """(slice,) mm of each position along the line on which all lie, the first counter in the lower half; None without one."""
    from_mean = positions - positions.mean(0)
    _, lengths, axes = np.linalg.svd(from_mean, full_matrices=False)
    along = from_mean @ axes[0]
    apart = np.diff(np.sort(along))
    off = np.abs(from_mean - along[:, None] * axes[0]).max()
    if lengths[0] < TOLERANCE_MM or off > max(TOLERANCE_MM, 1e-3 * lengths[0]) or apart.min() < TOLERANCE_MM:
        return None
    turned = along[0] > TOLERANCE_MM or (abs(along[0]) <= TOLERANCE_MM and axes[0][np.abs(axes[0]).argmax()] < 0)
    return -along if turned else along
