"""Linear operators and what is known about them.

Each abstract kind knows more than the last:

    Operator            A(x), differentiable               enough for DPS
    LinearOperator      and its adjoint                    DDS, DiffPIR, HQS
    ResolventOperator   and (I + gamma Ah A)^-1, one gamma DDS with a fixed gamma, solved
    SpectralOperator    and A = U diag(s) Vh, hence A^+    DDNM, DDNM+, DDRM, RePaint, constraints
    CoIsometry          and A Ah = scale^2 I               may stand inside another operator and keep its kind
    Isometry            and Ah A = scale^2 I               a change of coordinates
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Window = tuple[slice, slice]


class Operator(ABC):
    """A(x), differentiable.

    Attributes:
        support: (height, width) of 0 and 1, where the image may differ from zero, or None when it may everywhere.
            Outside it nothing is measured and nothing is there, so a restoration keeps it at zero.
        sampled: 0 and 1, broadcasting against the measurement: the entries that A can reach, or None for all of them.
        grain: windows of the image must begin and end at multiples of this many pixels.
    """

    support: Tensor | None = None
    sampled: Tensor | None = None
    grain: int = 1

    @abstractmethod
    def __call__(self, x: Tensor) -> Tensor:
        """A(x): (batch, channel, height, width) to the measurement's shape."""

    def restrict(self, window: Window) -> "Operator":
        """The same operator on a window of the image; only local operators have one."""
        raise TypeError(f"{type(self).__name__} is not local: a window of its image is not a problem of its own")

    def footprint(self, window: Window) -> Window:
        """The part of the measurement that a window of the image explains."""
        raise TypeError(f"{type(self).__name__} is not local: a window of its image is not a problem of its own")

    def coarsen(self, factor: int) -> "tuple[Operator, int]":
        """(B, rest) such that B(pool(x)) = pool_rest(A(x)), pool taking means of factor x factor pixels.

        The same measurement of a coarser image, and how far its data have to be pooled; only local operators have one. An
        entry of the pooled data counts as measured when all that it is the mean of are (`sampled`).
        """
        raise TypeError(f"{type(self).__name__} has no coarser form: what it measures of an image does not follow from means")


class LinearOperator(Operator):
    """A and its adjoint for the real inner product Re<., .>."""

    @abstractmethod
    def adjoint(self, y: Tensor) -> Tensor:
        """Ah y, shaped like the image."""

    def normal(self, x: Tensor) -> Tensor:
        """Ah A x."""
        return self.adjoint(self(x))

    def preconditioner(self, gamma: float) -> Callable[[Tensor], Tensor] | None:
        """About (I / gamma + Ah A)^-1 on images, Hermitian, positive and far cheaper than Ah A; None where none is known."""
        return None

    def __matmul__(self, inner: "LinearOperator") -> "LinearOperator":
        """A after `inner`; see `compose`."""
        from .compose import compose

        return compose(self, inner)


class ResolventOperator(LinearOperator):
    """A whose data step is known in closed form for one weight of the data.

    Attributes:
        gamma: that weight.
    """

    gamma: float

    @abstractmethod
    def resolve(self, x: Tensor) -> Tensor:
        """(I + gamma Ah A)^-1 x."""


@dataclass(frozen=True)
class Spectrum:
    """A = U diag(s) Vh, with every factor living on the grid of V's coefficients, which is shaped like the image.

    `s` is non-negative and broadcasts against the coefficients; its zeros are the null space. Uh y is zero there and
    U ignores what stands there, so range and null space need no index bookkeeping: every formula is elementwise.
    """

    s: Tensor
    analyse: Callable[[Tensor], Tensor]  # Vh: image -> coefficients
    synthesise: Callable[[Tensor], Tensor]  # V: coefficients -> image
    measure: Callable[[Tensor], Tensor]  # U: coefficients -> measurement
    unmeasure: Callable[[Tensor], Tensor]  # Uh: measurement -> coefficients
    shortcut: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None  # what `correct` does, where there is a faster way

    def correct(self, x: Tensor, trust: Tensor, target: Tensor) -> Tensor:
        """x with every coefficient moved towards the target's: V (c + trust (target - c)) with c = Vh x.

        Args:
            trust: shaped like s; 0 in the null space.
            target: coefficients.
        """
        if self.shortcut is not None:
            return self.shortcut(x, trust, target)
        c = self.analyse(x)
        return self.synthesise(c + trust * (target - c))

    def invert(self, c: Tensor) -> Tensor:
        """c / s in the range, 0 in the null space."""
        seen = self.s > 0
        return torch.where(seen, c / self.s.where(seen, 1.0), 0.0)


class SpectralOperator(LinearOperator):
    """A whose singular value decomposition is known."""

    @property
    @abstractmethod
    def spectrum(self) -> Spectrum:
        """U, s and V."""

    def pinv(self, y: Tensor) -> Tensor:
        """A^+ y, exact: the smallest image that explains y best."""
        S = self.spectrum
        return S.synthesise(S.invert(S.unmeasure(y)))


class FromSpectrum(SpectralOperator):
    """A spectral operator that is computed by its spectrum."""

    def __call__(self, x: Tensor) -> Tensor:
        S = self.spectrum
        return S.measure(S.s * S.analyse(x))

    def adjoint(self, y: Tensor) -> Tensor:
        S = self.spectrum
        return S.synthesise(S.s * S.unmeasure(y))


class CoIsometry(SpectralOperator):
    """A with A Ah = scale^2 I: every number of the measurement is reached, all equally well."""

    scale: float

    def lift(self, support: Tensor) -> Tensor:
        """Where the image may differ from zero when A(x) may within `support`, both (height, width)."""
        return (self.adjoint(support[None, None]) != 0)[0].any(0).to(support)


class Isometry(LinearOperator):
    """L with Lh L = L Lh = scale^2 I: a change of coordinates, of each pixel on its own."""

    scale: float

    def restrict(self, window: Window) -> "Isometry":
        return self

    def footprint(self, window: Window) -> Window:
        return window

    def coarsen(self, factor: int) -> "tuple[Isometry, int]":
        return self, factor


def same(x: Tensor) -> Tensor:
    """x."""
    return x


class Identity(Isometry, CoIsometry):
    """y = x: denoising. Composing with it changes nothing."""

    scale = 1.0

    def __call__(self, x: Tensor) -> Tensor:
        return x

    def adjoint(self, y: Tensor) -> Tensor:
        return y

    @property
    def spectrum(self) -> Spectrum:
        return Spectrum(torch.ones(()), same, same, same, same)
