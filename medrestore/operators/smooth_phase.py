"""An encoding of images whose phase is known but for a little."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from .base import LinearOperator
from .coils import Encoding
from .non_cartesian import NonCartesian


@dataclass(frozen=True)
class SmoothPhase(LinearOperator):
    """(A x, w Im(x / p)): an encoding, and as if it were measured the part of the image that is out of its known phase.

    With data of zero for that part, images have phase p to within what `weight` leaves them: what partial Fourier scans
    need, which leave out one side of k-space. It is the soft form of the real-valued constraint, to which virtual conjugate
    coils (Blaimer et al., MRM 61, 2009) come too. A linear problem like any other, so that methods are unchanged.

    The part is one real number a pixel, which is spread over both of a complex one, so that each has noise of the same std: the
    measurement is (batch, 1, 1, n), the samples of the encoding and then the pixels.

    Args:
        encoding: A, of one set of maps.
        phase: p (1, 1, h, w) complex of magnitude 1.
        weight: w (1, 1, h, w) real: the std of the noise over that of the part out of phase.
    """

    encoding: Encoding | NonCartesian
    phase: Tensor
    weight: Tensor

    @property
    def support(self) -> Tensor | None:
        return self.encoding.support

    @cached_property
    def held(self) -> Tensor:
        """`weight` inside the support."""
        return self.weight if self.support is None else self.weight * self.support

    @cached_property
    def sampled(self) -> Tensor:
        mask = (self.encoding.mask != 0).to(self.weight).expand(1, *self._samples)
        return _samples_and_pixels(mask, (self.held != 0).to(mask))

    @property
    def _samples(self) -> tuple[int, ...]:
        """(coil, h, w) or (coil, readout, sample): the shape of what is measured of an image."""
        maps, plane = self.encoding.maps, self.phase.shape[-2:]
        if isinstance(self.encoding, NonCartesian):
            plane = self.encoding.mask.shape
        return 1 if maps is None else maps.shape[1], *plane

    def data(self, y: Tensor) -> Tensor:
        """The measurement that goes with data of the encoding."""
        return _samples_and_pixels(y, torch.zeros_like(self.phase).expand(len(y), -1, -1, -1))

    def of_encoding(self, y: Tensor) -> Tensor:
        """The part of a measurement that is the encoding's."""
        return y[..., : -self.phase.numel()].reshape(len(y), *self._samples)

    def __call__(self, x: Tensor) -> Tensor:
        out = self.held * (self.phase.conj() * x).imag / 2**0.5
        return _samples_and_pixels(self.encoding(x), torch.complex(out, out))

    def adjoint(self, y: Tensor) -> Tensor:
        out = y[..., -self.phase.numel() :].reshape(len(y), 1, *self.phase.shape[-2:])
        return self.encoding.adjoint(self.of_encoding(y)) + self._turned(self.held * (out.real + out.imag) / 2**0.5)

    def normal(self, x: Tensor) -> Tensor:
        return self.encoding.normal(x) + self._turned(self.held.square() * (self.phase.conj() * x).imag)

    def preconditioner(self, gamma: float | Tensor) -> Callable[[Tensor], Tensor] | None:
        return self.encoding.preconditioner(gamma)

    def _turned(self, out: Tensor) -> Tensor:
        """i p times real numbers."""
        return self.phase * torch.complex(torch.zeros_like(out), out)


def _samples_and_pixels(samples: Tensor, pixels: Tensor) -> Tensor:
    """(batch, 1, 1, n): both of each image after each other."""
    return torch.cat([samples.flatten(1), pixels.flatten(1)], 1)[:, None, None]
