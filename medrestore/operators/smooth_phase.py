"""An encoding of images whose phase is known but for a little."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from .base import LinearOperator
from .coils import Encoding


@dataclass(frozen=True)
class SmoothPhase(LinearOperator):
    """(A x, w Im(x / p)): an encoding, and as if it were measured the part of the image that is out of its known phase.

    With data of zero for that part, images have phase p to within what `weight` leaves them: what partial Fourier scans
    need, which leave out one side of k-space. It is the soft form of the real-valued constraint, to which virtual conjugate
    coils (Blaimer et al., MRM 61, 2009) come too. A linear problem like any other, so that methods are unchanged.

    The part is one real number a pixel, which is spread over both of a complex one, so that each has noise of the same std: the
    measurement is (batch, coil + 1, h, w).

    Args:
        encoding: A, of one set of maps.
        phase: p (1, 1, h, w) complex of magnitude 1.
        weight: w (1, 1, h, w) real: the std of the noise over that of the part out of phase.
    """

    encoding: Encoding
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
        height, width = self.phase.shape[-2:]
        coils = 1 if self.encoding.maps is None else self.encoding.maps.shape[1]
        mask = (self.encoding.mask != 0).to(self.weight).expand(1, coils, height, width)
        return torch.cat([mask, (self.held != 0).to(mask)], 1)

    def data(self, y: Tensor) -> Tensor:
        """The measurement that goes with data of the encoding."""
        return torch.cat([y, torch.zeros_like(y[:, :1])], 1)

    def of_encoding(self, y: Tensor) -> Tensor:
        """The part of a measurement that is the encoding's."""
        return y[:, :-1]

    def __call__(self, x: Tensor) -> Tensor:
        out = self.held * (self.phase.conj() * x).imag / 2**0.5
        return torch.cat([self.encoding(x), torch.complex(out, out)], 1)

    def adjoint(self, y: Tensor) -> Tensor:
        out = y[:, -1:]
        return self.encoding.adjoint(y[:, :-1]) + self._turned(self.held * (out.real + out.imag) / 2**0.5)

    def normal(self, x: Tensor) -> Tensor:
        return self.encoding.normal(x) + self._turned(self.held.square() * (self.phase.conj() * x).imag)

    def preconditioner(self, gamma: float | Tensor) -> Callable[[Tensor], Tensor] | None:
        return self.encoding.preconditioner(gamma)

    def _turned(self, out: Tensor) -> Tensor:
        """i p times real numbers."""
        return self.phase * torch.complex(torch.zeros_like(out), out)
