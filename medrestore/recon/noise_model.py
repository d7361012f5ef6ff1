"""The noise of a scan, sample by sample: thermal noise, and what the coil maps leave unexplained."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..consistency import fit_residuals
from ..operators import AnySense, NonCartesian
from ..problem import Problem

RINGS = 12  # of k-space, from its centre to its nearest edge; samples beyond are of the last
FEWEST = 64  # degrees of freedom of the residual that make a variance (to 18 %); rings with fewer are taken together
UNSOLVED = 5e-3  # of the data: conjugate gradients leave up to half of it where the maps explain all, real maps 0.017 and more
SURE = 4.0  # standard errors by which the variance of a ring must exceed that of all for the noise not to be white


@dataclass(frozen=True)
class NoiseProfile:
    """Noise that differs from sample to sample.

    Attributes:
        sigma: std of every real number of the quietest sample.
        weights: (h, w), or (1, w) along an axis: `sigma` over the std of each sample, 0 where not sampled. Data and operator
            so weighted have white noise of `sigma`.
        largest: std of the loudest sample.
    """

    sigma: float
    weights: Tensor
    largest: float


def noise_profile(problem: Problem[AnySense], *, along_axis: bool = False) -> NoiseProfile | None:
    """The noise of a scan whose coil maps leave more unexplained in some parts of k-space than in others.

    The error of coil maps is largest where the signal is, in the centre of k-space. One raised noise level would distrust the
    quiet outer k-space, where fine detail is, as much. So the variance of what a least-squares fit leaves is taken ring by
    ring, per degree of freedom, and never below that of thermal noise.

    Args:
        problem: data as sampled; its sigma is that of thermal noise.
        along_axis: for a mask along the phase-encode axis, one weight a line: what its samples have on average. That keeps the
            exact forms of the data step, and trusts the loud middle of each line too much.

    Returns:
        None where the rings differ by no more than chance, or where the data hold too little in excess of the unknowns to tell.
    """
    mask, thermal = problem.operator.mask, float(problem.sigma) ** 2
    if not along_axis:
        mask = mask.expand(problem.y.shape[-2], -1)
    radius = _radius(problem.operator, mask.shape)
    left, white = (_by_ring(residual, radius) for residual in fit_residuals(problem))
    if white.sum() < float(problem.count[0]) / 10:
        return None
    if left.sum() < UNSOLVED**2 * float(problem.y.abs().square().sum()):
        return None
    left, white = _pooled(white, left, white)
    variance, of_all = left / white, max(left.sum() / white.sum(), thermal)
    chance = of_all * (1 + SURE * np.sqrt(4 / white))  # 2 / n for each of two sums of n squares
    if not (variance > chance).any():
        return None
    middles = (np.arange(RINGS) + 0.5) / RINGS
    std = torch.from_numpy(np.exp(np.interp(radius, middles, np.log(np.maximum(variance, thermal))))).to(mask).sqrt()
    least, largest = (float(edge) for edge in torch.aminmax(std[mask > 0]))
    return NoiseProfile(least, torch.where(mask > 0, least / std, 0.0), largest)


def _radius(operator: AnySense, shape: torch.Size) -> np.ndarray:
    """(h, w), (1, w) or (readout, sample): distance from the centre of k-space, 1 at its nearest edge."""
    if isinstance(operator, NonCartesian):
        return operator.radius.cpu().numpy()
    axes = [np.zeros(1) if size == 1 else (np.arange(size) - size // 2) / (size / 2) for size in shape]
    return np.hypot(axes[0][:, None], axes[1])


def _by_ring(residual: Tensor, radius: np.ndarray) -> np.ndarray:
    """(ring,): the energy of a residual (1, coil, h, w) over the rings."""
    energy = residual[0].abs().square().double().sum(0)
    if len(radius) == 1:
        energy = energy.sum(0, keepdim=True)
    ring = np.minimum((radius * RINGS).astype(int), RINGS - 1)
    return np.bincount(ring.ravel(), weights=energy.cpu().numpy().ravel(), minlength=RINGS)


def _pooled(white: np.ndarray, *energies: np.ndarray) -> tuple[np.ndarray, ...]:
    """Energies of rings, those of few degrees of freedom (`white`) taken together, from the outside in."""
    groups, enough = np.zeros(RINGS, dtype=int), 0.0
    for ring in range(RINGS - 1, 0, -1):
        enough += white[ring]
        groups[ring - 1] = groups[ring] + (enough >= FEWEST)
        enough *= enough < FEWEST
    if groups[0] and enough + white[0] < FEWEST:  # what is left in the centre goes with the ring around it
        groups[groups == groups[0]] -= 1
    sizes = np.bincount(groups)
    return tuple(np.bincount(groups, weights=each)[groups] / sizes[groups] for each in energies)
