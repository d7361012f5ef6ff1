"""What a trajectory knows of the Cartesian grid: the points that it samples, and the centre of k-space regridded."""

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..fft import fft2c
from ..operators.nufft import nufft_adjoint
from ..operators.toeplitz import Toeplitz
from ..solvers import cg

WIDEST = 32  # points a side of the centre that is regridded: as many as coil maps are estimated from
NEAR = 0.5**0.5  # cycles: half the diagonal of a cell of the grid
MARGIN = 8  # points on each side of the centre that are fitted with it, which take up what lies just beyond
STEPS, DAMPING = 40, 1e-3  # conjugate-gradient steps of the fit; of its largest eigenvalue


def covered(trajectory: Tensor, shape: tuple[int, int], weights: Tensor | None = None) -> Tensor:
    """(height, width) of 0 and 1: the points of the Cartesian grid with a sample within half a cycle along both axes.

    Args:
        trajectory: (readout, sample, 2) in cycles per field of view.
        shape: (height, width) of the image.
        weights: (readout, sample), 0 where nothing was measured.
    """
    points = trajectory.flatten(0, 1)
    if weights is not None:
        points = points[weights.flatten() > 0]
    origin = torch.tensor([side // 2 for side in shape], device=points.device)
    at = points.round().long() + origin
    within = ((at >= 0) & (at < torch.tensor(shape, device=points.device))).all(1)
    mask = torch.zeros(shape, device=points.device)
    mask[at[within, 0], at[within, 1]] = 1
    return mask


def centre_of(trajectory: Tensor, shape: tuple[int, int], weights: Tensor | None = None) -> tuple[slice, slice]:
    """(rows, columns) of the largest square around the origin, at most `WIDEST` a side, that is sampled; else empty.

    Every point of the grid in it has a sample within half the diagonal of a cell.

    Args:
        trajectory, shape, weights: as of `covered`.
    """
    from scipy.spatial import cKDTree

    points = trajectory.flatten(0, 1)
    taken = points if weights is None else points[weights.flatten() > 0]
    most = min(*shape, WIDEST) // 2
    near = taken[(taken.abs() < most + 1).all(1)].cpu().numpy()
    half = 0
    if len(near):
        along = np.arange(-most, most)
        grid = np.stack(np.meshgrid(along, along, indexing="ij"), -1).reshape(-1, 2)
        missing = grid[cKDTree(near).query(grid)[0] > NEAR]
        # a square of 2 h points spans -h to h - 1, so a point outside it is at -h - 1 or less, or at h or more
        half = int(min([most, *(np.where(missing < 0, -missing, missing + 1).max(1) - 1)]))
    rows, columns = (slice(side // 2 - half, side // 2 + half) for side in shape)
    return rows, columns


def gridded_centre(kspace: Tensor, trajectory: Tensor, shape: tuple[int, int],
                   weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The centre of Cartesian k-space (1, coil, height, width), zero elsewhere, and the mask (height, width) of that centre.

    As far as every point of the grid has a sample nearby, a low-resolution image of each coil is fitted to the samples there by
    least squares, and transformed. So coil maps, and the scale of the image, are found as of a Cartesian scan.

    Args:
        kspace: (1, coil, readout, sample) complex.
        trajectory: (readout, sample, 2) in cycles per field of view.
        shape: (height, width) of the image.
        weights: (readout, sample) of the samples of `kspace`, which are unweighted; 0 where nothing was measured.

    Raises:
        InputError: the centre of k-space is not sampled.
    """
    rows, columns = centre_of(trajectory, shape, weights)
    height, width = (each.stop - each.start for each in (rows, columns))
    if height * width == 0:
        raise InputError("the trajectory has no sample at the centre of k-space, so there is no calibration region; give coil "
                         "maps by `maps`, or mend the trajectory or its units")
    small = min(shape[0], height + 2 * MARGIN), min(shape[1], width + 2 * MARGIN)
    points = trajectory.flatten(0, 1)
    half = torch.tensor(small, device=points.device) / 2
    near = (points.abs() < half).all(1)
    if weights is not None:
        near &= weights.flatten() > 0
    points, y = points[near], kspace.flatten(-2)[0][:, near]
    fitted = _fitted(y, points, small)
    full = torch.zeros(1, kspace.shape[1], *shape, dtype=fitted.dtype, device=kspace.device)
    here, there = _window_at_origin(shape, (height, width)), _window_at_origin(small, (height, width))
    full[(0, slice(None), *here)] = fft2c(fitted)[(slice(None), *there)]
    mask = torch.zeros(shape, device=kspace.device)
    mask[here] = 1
    return full, mask


def _fitted(y: Tensor, points: Tensor, shape: tuple[int, int]) -> Tensor:
    """(coil, *shape): the image of each coil of least squares to its samples (coil, n)."""
    kernel = Toeplitz.of(points, torch.ones(len(points), device=points.device), shape)
    damping = DAMPING * float(kernel.largest)
    return cg(lambda x: kernel(x) + damping * x, nufft_adjoint(y, points, shape), max_steps=STEPS, rtol=1e-4)


def _window_at_origin(sides: tuple[int, int], inner: tuple[int, int]) -> tuple[slice, slice]:
    """The window around the origin of k-space, n // 2."""
    rows, columns = (slice(n // 2 - k // 2, n // 2 - k // 2 + k) for n, k in zip(sides, inner, strict=True))
    return rows, columns
