"""What encodings along any trajectory of k-space have in common: the transform at its points, and its Toeplitz matrix."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from .base import LinearOperator, Window
from .nufft import nufft, nufft_adjoint
from .sense_exact import span
from .toeplitz import Toeplitz

LEAST = 0.002  # share of the largest entry of the preconditioner's diagonal that none is below


@dataclass(frozen=True)
class NonCartesian(LinearOperator):
    """An encoding W F S along a trajectory, S being coil maps of one set or of several.

    Args:
        maps: coil sensitivities (n, coil, h, w) complex, zero where there is no object.
        trajectory: (readout, sample, 2) real, (row, column) in cycles per field of view: -h / 2 to h / 2 and -w / 2 to w / 2 are
            what the pixels resolve.
        mask: (readout, sample), 0 where nothing was measured, 1 elsewhere, or the weights of the samples, for data weighted alike
            whose noise would else differ.
    """

    maps: Tensor
    trajectory: Tensor
    mask: Tensor

    @property
    def sets(self) -> int:
        """Of coil maps."""
        return 1

    @property
    def sampled(self) -> Tensor:
        return self.mask

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of the image."""
        return self.maps.shape[-2], self.maps.shape[-1]

    @property
    def radius(self) -> Tensor:
        """(readout, sample): distance of each sample from the centre of k-space, 1 at its nearest edges."""
        sides = torch.tensor(self.shape, device=self.trajectory.device) / 2
        return torch.linalg.vector_norm(self.trajectory / sides, dim=-1)

    @property
    def points(self) -> Tensor:
        """(readout * sample, 2)."""
        return self.trajectory.flatten(0, 1)

    def samples_of(self, coils: Tensor) -> Tensor:
        """Samples (batch, coil, readout, sample) of the images of the coils (batch, coil, h, w)."""
        y = nufft(coils, self.points)
        return self.mask * y.reshape(*y.shape[:-1], *self.trajectory.shape[:2])

    def coils_of(self, y: Tensor) -> Tensor:
        """The adjoint of `samples_of`."""
        return nufft_adjoint((self.mask * y).flatten(-2), self.points, self.shape)

    @cached_property
    def toeplitz(self) -> Toeplitz:
        """That of the trajectory with its weights: Fh W^2 F."""
        return Toeplitz.of(self.points, self.mask.flatten().square(), self.shape)

    @cached_property
    def windowed(self) -> tuple[Window, Toeplitz]:
        """The window that holds the support, and the Toeplitz matrix of its images."""
        support = self.support
        assert support is not None  # that of the maps
        seen = support.reshape(-1, *self.shape).amax(0)
        window = _quick_window(span(seen.any(1)), self.shape[0]), _quick_window(span(seen.any(0)), self.shape[1])
        return window, self.toeplitz.cropped((window[0].stop - window[0].start, window[1].stop - window[1].start))

    @cached_property
    def in_window(self) -> Tensor:
        """The maps in the window."""
        return self.maps[(..., *self.windowed[0])].contiguous()

    @cached_property
    def circulants(self) -> Tensor:
        """(n, 1, h, w): diagonal of F Ah A Fh with each of the maps alone, held up, without shifts.

        It is the transform of what the Toeplitz matrix and the maps' correlation have at each shift, shifts wrapped.
        """
        height, width = self.shape
        power = torch.fft.fft2(self.maps, s=(2 * height, 2 * width)).abs().square().sum(1)
        shared = torch.fft.ifft2(power).conj() * torch.fft.ifftshift(self.toeplitz.lags) / (height * width)
        wrapped = shared.reshape(-1, 2, height, 2, width).sum((1, 3))
        diagonal = torch.fft.fft2(wrapped).real[:, None]
        return torch.maximum(diagonal, LEAST * diagonal.amax((-2, -1), keepdim=True))


def _quick_window(window: slice, side: int) -> slice:
    """The window with as few more pixels as make its length a product of 2, 3, 5 and 7, whose transforms are quick."""
    length = window.stop - window.start
    wanted = next((n for n in range(max(1, length), side) if _is_smooth(n)), side)
    start = min(window.start, side - wanted)
    return slice(start, start + wanted)


def _is_smooth(n: int) -> bool:
    for prime in (2, 3, 5, 7):
        while n % prime == 0:
            n //= prime
    return n == 1
