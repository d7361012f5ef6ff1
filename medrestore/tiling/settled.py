"""What a prior says of a window some of whose pixels are settled, without a further call of it."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..priors import Prior, WrappedPrior
from ..solvers import cg

REACH = 4.0  # pixels, the longest l below; 8 and more changed seams by less than a hundredth
CLOSE = 0.01  # relative residual at which the continuation is near enough


class SettledPrior(WrappedPrior):
    """E[x0 | x, settled pixels], from a prior that knows E[x0 | x] only.

    A method that puts settled pixels into the estimate leaves those beside them where the prior saw them, too far off: a seam.
    Here what the estimate missed at the settled pixels is continued into their surroundings, as d with (1 - l^2 Laplacian) d = 0.
    That is exact for a field of independent steps of std g from pixel to pixel, whose power falls as 1 / frequency^2 as in
    natural pictures: l = sigma / (sqrt(2) g). g is measured on the settled pixels of each window. Not in the paper of mask-shift,
    which fixes the settled pixels alone.

    Args:
        values: (batch, channels, height, width), of which the settled pixels count.
        settled: (batch or 1, 1, height, width), 0 and 1.
    """

    def __init__(self, prior: Prior, values: Tensor, settled: Tensor) -> None:
        super().__init__(prior)
        self.values, self.settled = values, settled
        self._step = step_between(values, settled)

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        x0 = self.prior(x, sigma)
        reach = (sigma / (2**0.5 * self._step)).clamp(max=REACH)
        return x0 + continued(self.settled * (self.values - x0), self.settled, reach)


def continued(given: Tensor, where: Tensor, reach: Tensor) -> Tensor:
    """`given`, zero but at `where`, which falls off into its surroundings: (1 - reach^2 Laplacian) d = 0 elsewhere.

    Args:
        given: (batch, channels, height, width).
        where: (batch or 1, 1, height, width), 0 and 1.
        reach: (batch, 1, 1, 1), pixels.
    """
    free = 1 - where

    def system(d: Tensor) -> Tensor:
        return free * (d + reach.square() * _minus_laplacian(d))

    return given + cg(system, -free * reach.square() * _minus_laplacian(given), max_steps=int(16 * REACH), rtol=CLOSE)


def step_between(values: Tensor, where: Tensor) -> Tensor:
    """Root mean square step between neighbouring pixels of `where`, (batch, 1, 1, 1); infinite where it has no neighbours."""
    square = pairs = torch.zeros(len(values), 1, 1, 1, device=values.device)
    for axis in (-2, -1):
        length = where.shape[axis] - 1
        both = where.narrow(axis, 0, length) * where.narrow(axis, 1, length)
        square = square + (both * values.diff(dim=axis).square()).sum((1, 2, 3), keepdim=True)
        pairs = pairs + values.shape[1] * both.sum((1, 2, 3), keepdim=True)
    step = (square / pairs.clamp(min=1)).sqrt().clamp(min=torch.finfo(values.dtype).tiny)
    return step.where(pairs > 0, torch.inf)


def _minus_laplacian(d: Tensor) -> Tensor:
    """What each pixel exceeds its neighbours by, summed; nothing flows across the border."""
    down, right = d.diff(dim=-2), d.diff(dim=-1)
    return F.pad(down, (0, 0, 1, 0)) - F.pad(down, (0, 0, 0, 1)) + F.pad(right, (1, 0)) - F.pad(right, (0, 1))
