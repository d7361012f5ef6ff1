"""A volume by a prior of slices: a few at a time, and along three axes."""

import torch
import torch.nn.functional as F
from torch import Tensor

from .base import Prior, WrappedPrior


class InBatches(WrappedPrior):
    """A prior that is applied to a few images at a time, so that memory does not hold the activations of all.

    Args:
        batch_size: images at once at most.
    """

    def __init__(self, prior: Prior, batch_size: int) -> None:
        super().__init__(prior)
        self.batch_size = batch_size

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        return torch.cat([self.prior(some, sigma) for some in x.split(self.batch_size)])


class ThreePlanes(WrappedPrior):
    """The mean of what a prior of slices makes of a volume (slice, channel, h, w) along each of its three axes.

    Lee et al., "Improving 3D imaging with pre-trained perpendicular 2D diffusion models", ICCV 2023, average two perpendicular
    priors by turns; here one prior is applied along all three, and its estimates are averaged. For volumes of voxels of about
    equal sides, and a prior that knows the object from all sides. Planes across the slices are extended by their mirror images to
    sides that the prior takes.
    """

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        rows = self._across(x.permute(2, 1, 0, 3), sigma).permute(2, 1, 0, 3)
        columns = self._across(x.permute(3, 1, 0, 2), sigma).permute(2, 1, 3, 0)
        return (self.prior(x, sigma) + rows + columns) / 3

    def _across(self, planes: Tensor, sigma: float) -> Tensor:
        """Planes (n, channel, slice, side) denoised."""
        slices, side = planes.shape[-2:]
        more = -slices % self.multiple
        mode = "reflect" if more < slices else "replicate"
        return self.prior(F.pad(planes, (0, -side % self.multiple, 0, more), mode=mode), sigma)[..., :slices, :side]
