"""MRI encoding along any trajectory of k-space."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from .base import LinearOperator, Operator, Window
from .nufft import nufft, nufft_adjoint
from .sense import Sense
from .sense_exact import span
from .soft_sense import SoftSense
from .toeplitz import Toeplitz

LEAST = 0.002  # share of the largest entry of the preconditioner's diagonal that none is below
TOGETHER = 2**18  # bytes of coil images transformed at once on a CPU: with what comes of them, what stays in its cache


@dataclass(frozen=True)
class NonCartesianSense(LinearOperator):
    """W F S: image (batch, 1, h, w) complex -> samples (batch, coil, readout, sample). Pruessmann et al., MRM 46, 2001.

    F is the centred, orthonormal Fourier transform at the points of the trajectory: with those of a Cartesian grid the samples
    are those of `Sense`. Ah A is applied as a Toeplitz matrix, without a transform to the trajectory and back.

    Args:
        maps: coil sensitivities (1 or batch, coil, h, w) complex, zero where there is no object.
        trajectory: (readout, sample, 2) real, (row, column) in cycles per field of view: -h / 2 to h / 2 and -w / 2 to w / 2 are
            what the pixels resolve.
        mask: (readout, sample), 0 where nothing was measured, 1 elsewhere, or the weights of the samples, for data weighted alike
            whose noise would else differ.
    """

    maps: Tensor
    trajectory: Tensor
    mask: Tensor

    @cached_property
    def support(self) -> Tensor:
        seen = (self.maps.abs().amax(1, keepdim=True) > 0).float()
        return seen if len(seen) > 1 else seen[0, 0]

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

    def __call__(self, x: Tensor) -> Tensor:
        y = nufft(self.maps * x, self.points)
        return self.mask * y.reshape(*y.shape[:-1], *self.trajectory.shape[:2])

    def adjoint(self, y: Tensor) -> Tensor:
        images = nufft_adjoint((self.mask * y).flatten(-2), self.points, self.shape)
        return (self.maps.conj() * images).sum(1, keepdim=True)

    def normal(self, x: Tensor) -> Tensor:
        """Ah A x by the Toeplitz matrix of the window that holds the object."""
        window, kernel = self._windowed
        part = x[(..., *window)]
        if x.requires_grad or x.device.type != "cpu":
            coils = (self._in_window.conj() * kernel(self._in_window * part)).sum(1, keepdim=True)
        else:
            coils = self._by_block(part, kernel)
        out = torch.zeros_like(x)
        out[(..., *window)] = coils
        return out

    def _by_block(self, part: Tensor, kernel: Toeplitz) -> Tensor:
        """Ah A of the window, a few coils at a time."""
        maps, out = self._in_window, torch.zeros_like(part)
        step = max(1, TOGETHER // maps[0, 0].nbytes)
        for image, result, own in zip(part, out, maps.expand(len(part), -1, -1, -1), strict=True):
            for some in own.split(step):
                images = kernel(some * image)
                for one, coil in zip(some, images, strict=True):  # one pass over memory instead of three
                    result[0].addcmul_(one.conj().resolve_conj(), coil)
        return out

    @cached_property
    def toeplitz(self) -> Toeplitz:
        """That of the trajectory with its weights: Fh W^2 F."""
        return Toeplitz.of(self.points, self.mask.flatten().square(), self.shape)

    @cached_property
    def _windowed(self) -> tuple[Window, Toeplitz]:
        """The window that holds the support, and the Toeplitz matrix of its images."""
        seen = self.support.reshape(-1, *self.shape).amax(0)
        window = _quick_window(span(seen.any(1)), self.shape[0]), _quick_window(span(seen.any(0)), self.shape[1])
        return window, self.toeplitz.cropped((window[0].stop - window[0].start, window[1].stop - window[1].start))

    @cached_property
    def _in_window(self) -> Tensor:
        return self.maps[(..., *self._windowed[0])].contiguous()

    def preconditioner(self, gamma: float | Tensor) -> Callable[[Tensor], Tensor] | None:
        """The circulant matrix that has the diagonal of Ah A in k-space, I / gamma added, inverted; as of `Sense`.

        Of all circulant matrices the nearest to Ah A: Chan, SIAM J. Sci. Stat. Comput. 9:766, 1988. The diagonal is held above a
        share of its largest entry.
        """
        inverse = 1 / (1 / gamma + self._circulant)

        def about_inverse(x: Tensor) -> Tensor:
            return self.support * torch.fft.ifft2(inverse * torch.fft.fft2(x))

        return about_inverse

    @cached_property
    def _circulant(self) -> Tensor:
        """(1 or batch, 1, h, w): diagonal of F Ah A Fh, held up, without shifts.

        It is the transform of what the Toeplitz matrix and the maps' correlation have at each shift, shifts wrapped.
        """
        height, width = self.shape
        power = torch.fft.fft2(self.maps, s=(2 * height, 2 * width)).abs().square().sum(1)
        shared = torch.fft.ifft2(power).conj() * torch.fft.ifftshift(self.toeplitz.lags) / (height * width)
        wrapped = shared.reshape(-1, 2, height, 2, width).sum((1, 3))
        diagonal = torch.fft.fft2(wrapped).real[:, None]
        return torch.maximum(diagonal, LEAST * diagonal.amax((-2, -1), keepdim=True))

    def stacked(self, operators: Sequence[Operator]) -> Operator | None:
        """One operator for slices along the same trajectory."""
        alike = [one for one in operators if isinstance(one, NonCartesianSense) and self._sampled_alike(one)]
        if len(alike) < len(operators) or any(len(one.maps) > 1 for one in alike):
            return None
        return NonCartesianSense(torch.cat([one.maps for one in alike]), self.trajectory, self.mask)

    def _sampled_alike(self, other: "NonCartesianSense") -> bool:
        pairs = (self.trajectory, other.trajectory), (self.mask, other.mask)
        return self.maps.shape[1:] == other.maps.shape[1:] and all(
            one is two or (one.shape == two.shape and torch.equal(one, two)) for one, two in pairs)


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


AnySense = Sense | SoftSense | NonCartesianSense
