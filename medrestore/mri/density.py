"""Density compensation: the weight of each sample of a trajectory, the area of k-space that it stands for.

Weights are in cycles^2 per field of view^2, so that those of a Cartesian grid are 1 and a gridded image, the adjoint of weighted
samples, has the brightness of the object. Only gridding needs them: a least-squares fit of the data weights all samples alike.
"""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..operators.nufft import nufft, nufft_adjoint

ITERATIONS = 20  # of Pipe & Menon: then the weights change by less than a per cent
KEPT = 4  # trajectories whose weights are kept, of about a megabyte each
DIGITS = 4  # of a cycle: points that are nearer are one
AROUND = 0.75  # of a cycle: how far beyond the points their cells may reach


def pipe_menon(trajectory: Tensor, shape: tuple[int, int], *, iterations: int = ITERATIONS) -> Tensor:
    """(readout, sample) weights w with (w * c) = 1 at every sample: Pipe & Menon, MRM 41:179, 1999.

    The kernel c is the square of a sinc, of which each lobe is a cycle: it is positive, and its image is a pyramid over two
    fields of view, so that the convolution is a transform to them and back. The weights of the last few trajectories are kept:
    slices and searches for a weight of a penalty have one trajectory, and its weights take longer than CG-SENSE.

    Args:
        trajectory: (readout, sample, 2) in cycles per field of view.
        shape: (height, width) of the image.

    Raises:
        InputError: points that are not finite.
    """
    points = _checked_points(trajectory).to(torch.float64)
    found = _pipe_menon(_Points(points), (int(shape[0]), int(shape[1])), iterations)
    return found.to(trajectory.dtype, copy=True).reshape(trajectory.shape[:2])


class _Points:
    """Points (n, 2) in double precision that are equal to others by their values, and lie where they lie."""

    def __init__(self, points: Tensor) -> None:
        self.points = points
        self.key = str(points.device), points.cpu().numpy().tobytes()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Points) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


@lru_cache(maxsize=KEPT)
def _pipe_menon(of: _Points, shape: tuple[int, int], iterations: int) -> Tensor:
    """(n,) weights in double precision, which nobody may change."""
    points = of.points
    doubled = 2 * shape[0], 2 * shape[1]
    rows, columns = (1 - (torch.arange(n, dtype=torch.float64, device=points.device) - n // 2).abs() / (n // 2) for n in doubled)
    pyramid = rows[:, None] * columns * 4 / (rows.sum() * columns.sum()) * (shape[0] * shape[1])
    weights = torch.ones(len(points), dtype=torch.complex128, device=points.device)
    for _ in range(iterations):
        spread = nufft(pyramid * nufft_adjoint(weights, 2 * points, doubled), 2 * points).real
        weights = weights / spread.clamp(min=torch.finfo(torch.float32).eps)
    return weights.real.contiguous()


def voronoi(trajectory: Tensor) -> Tensor:
    """(readout, sample) areas of the cells of points nearer to a sample than to any other: Rasche et al., IEEE TMI 18:385, 1999.

    Samples of one place share its cell. A cell that reaches beyond the outermost points has the area of the nearest other.

    Args:
        trajectory: (readout, sample, 2) in cycles per field of view.

    Raises:
        InputError: points that are not finite, or that lie on one line and have no cells.
    """
    from scipy.spatial import ConvexHull, QhullError, Voronoi, cKDTree

    points = _checked_points(trajectory).cpu().double().numpy()
    places, where, counts = np.unique(points.round(DIGITS), axis=0, return_inverse=True, return_counts=True)
    try:
        cells, hull = Voronoi(places), ConvexHull(places)
    except (QhullError, ValueError) as error:
        raise InputError("the points of the trajectory lie on one line or are fewer than four, so that they have no cells; "
                         "weight them by pipe_menon") from error
    beyond = (cells.vertices @ hull.equations[:, :2].T + hull.equations[:, 2]).max(1, initial=-np.inf) > AROUND
    areas = _areas(cells.vertices, [cells.regions[region] for region in cells.point_region], beyond)
    known = np.isfinite(areas)
    if not known.any():
        raise InputError("the points of the trajectory have no bounded cells; weight them by pipe_menon")
    areas[~known] = areas[known][cKDTree(places[known]).query(places[~known])[1]]
    each = (areas / counts)[where.reshape(-1)]
    return torch.from_numpy(each).to(trajectory).reshape(trajectory.shape[:2])


def _areas(vertices: np.ndarray, cells: list[list[int]], beyond: np.ndarray) -> np.ndarray:
    """(cell,) of convex polygons, given by the numbers of their corners in turn; NaN where one is at infinity or `beyond`."""
    counts = np.array([len(cell) for cell in cells])
    corners = np.concatenate([np.asarray(cell, dtype=int) for cell in cells])
    ends = np.cumsum(counts)
    following = np.arange(1, len(corners) + 1)
    following[ends - 1] = ends - counts
    (x, y), (u, v) = vertices[corners].T, vertices[corners[following]].T
    areas = np.abs(np.add.reduceat(x * v - u * y, ends - counts)) / 2
    open_ended = np.add.reduceat(((corners < 0) | beyond[corners]).astype(int), ends - counts) > 0
    return np.where(open_ended, np.nan, areas)


def _checked_points(trajectory: Tensor) -> Tensor:
    """(n, 2), checked."""
    if trajectory.ndim != 3 or trajectory.shape[-1] != 2 or 0 in trajectory.shape:
        raise InputError(f"a trajectory is (readout, sample, 2), got {tuple(trajectory.shape)}")
    if not bool(trajectory.isfinite().all()):
        raise InputError("the trajectory has values that are not finite")
    return trajectory.detach().flatten(0, 1)
