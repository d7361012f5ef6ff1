"""MRI encoding along any trajectory of k-space with several sets of coil maps."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from .non_cartesian import NonCartesian
from .non_cartesian_sense import TOGETHER, NonCartesianSense
from .sense import Sense
from .soft_sense import SoftSense, images_of_coils, images_of_sets


@dataclass(frozen=True)
class NonCartesianSoftSense(NonCartesian):
    """W F (S1 x1 + S2 x2 + ...): images (batch, set, h, w) complex -> samples (batch, coil, readout, sample).

    `SoftSense` along a trajectory; Ah A is a Toeplitz matrix of each coil between the sums over the sets.

    Args:
        maps: coil sensitivities (set, coil, h, w) complex, orthogonal to each other in each pixel.
        trajectory, mask: as of `NonCartesian`.
    """

    @property
    def sets(self) -> int:
        return len(self.maps)

    @cached_property
    def support(self) -> Tensor:
        """(1, set, h, w)."""
        return (self.maps.abs().amax(1) > 0).float()[None]

    def __call__(self, x: Tensor) -> Tensor:
        return self.samples_of(images_of_coils(self.maps, x))

    def adjoint(self, y: Tensor) -> Tensor:
        return images_of_sets(self.maps, self.coils_of(y))

    def normal(self, x: Tensor) -> Tensor:
        """Ah A x by the Toeplitz matrix of the window that holds the object, a few coils at a time."""
        window, kernel = self.windowed
        part = x[(..., *window)]
        step = max(1, TOGETHER // (len(x) * self.in_window[0, 0].nbytes)) if x.device.type == "cpu" else self.maps.shape[1]
        some = [images_of_sets(maps, kernel(images_of_coils(maps, part))) for maps in self.in_window.split(step, 1)]
        out = torch.zeros_like(x)
        out[(..., *window)] = torch.stack(some).sum(0)
        return out

    def preconditioner(self, gamma: float | Tensor) -> Callable[[Tensor], Tensor]:
        """That of `NonCartesianSense` for each set, as if the others were not there."""
        inverse = 1 / (1 / gamma + self.circulants.transpose(0, 1))

        def about_inverse(x: Tensor) -> Tensor:
            return self.support * torch.fft.ifft2(inverse * torch.fft.fft2(x))

        return about_inverse


def along_trajectory(maps: Tensor, trajectory: Tensor, mask: Tensor) -> NonCartesianSense | NonCartesianSoftSense:
    """The encoding of coil maps (set, coil, h, w) along a trajectory, of one set or of several."""
    kind = NonCartesianSense if len(maps) == 1 else NonCartesianSoftSense
    return kind(maps, trajectory, mask)


AnySense = Sense | SoftSense | NonCartesian
