"""MRI encoding along any trajectory of k-space."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from .base import Operator
from .non_cartesian import NonCartesian
from .toeplitz import Toeplitz

TOGETHER = 2**18  # bytes of coil images transformed at once on a CPU: with what comes of them, what stays in its cache


@dataclass(frozen=True)
class NonCartesianSense(NonCartesian):
    """W F S: image (batch, 1, h, w) complex -> samples (batch, coil, readout, sample). Pruessmann et al., MRM 46, 2001.

    F is the centred, orthonormal Fourier transform at the points of the trajectory: with those of a Cartesian grid the samples
    are those of `Sense`. Ah A is applied as a Toeplitz matrix, without a transform to the trajectory and back.

    Args:
        maps: coil sensitivities (1 or batch, coil, h, w) complex, zero where there is no object.
        trajectory, mask: as of `NonCartesian`.
    """

    @cached_property
    def support(self) -> Tensor:
        seen = (self.maps.abs().amax(1, keepdim=True) > 0).float()
        return seen if len(seen) > 1 else seen[0, 0]

    def __call__(self, x: Tensor) -> Tensor:
        return self.samples_of(self.maps * x)

    def adjoint(self, y: Tensor) -> Tensor:
        return (self.maps.conj() * self.coils_of(y)).sum(1, keepdim=True)

    def normal(self, x: Tensor) -> Tensor:
        """Ah A x by the Toeplitz matrix of the window that holds the object."""
        window, kernel = self.windowed
        part = x[(..., *window)]
        if x.requires_grad or x.device.type != "cpu":
            coils = (self.in_window.conj() * kernel(self.in_window * part)).sum(1, keepdim=True)
        else:
            coils = self._by_block(part, kernel)
        out = torch.zeros_like(x)
        out[(..., *window)] = coils
        return out

    def _by_block(self, part: Tensor, kernel: Toeplitz) -> Tensor:
        """Ah A of the window, a few coils at a time."""
        maps, out = self.in_window, torch.zeros_like(part)
        step = max(1, TOGETHER // maps[0, 0].nbytes)
        for image, result, own in zip(part, out, maps.expand(len(part), -1, -1, -1), strict=True):
            for some in own.split(step):
                images = kernel(some * image)
                for one, coil in zip(some, images, strict=True):  # one pass over memory instead of three
                    result[0].addcmul_(one.conj().resolve_conj(), coil)
        return out

    def preconditioner(self, gamma: float | Tensor) -> Callable[[Tensor], Tensor] | None:
        """The circulant matrix that has the diagonal of Ah A in k-space, I / gamma added, inverted; as of `Sense`.

        Of all circulant matrices the nearest to Ah A: Chan, SIAM J. Sci. Stat. Comput. 9:766, 1988. The diagonal is held above a
        share of its largest entry.
        """
        inverse = 1 / (1 / gamma + self.circulants)

        def about_inverse(x: Tensor) -> Tensor:
            return self.support * torch.fft.ifft2(inverse * torch.fft.fft2(x))

        return about_inverse

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
