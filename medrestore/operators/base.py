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
        """A after `inner`. Spectral operators stay spectral after a co-isometry, however a chain is bracketed."""
        if isinstance(inner, Identity):
            return self
        if isinstance(self, Identity) and isinstance(inner, SpectralOperator):
            return inner
        if isinstance(inner, Composed | ComposedIsometry | SpectralComposed):
            return (self @ inner.outer) @ inner.inner
        if isinstance(self, SpectralOperator) and isinstance(inner, Isometry):
            return SpectralInFrame(self, inner)
        if isinstance(self, Isometry) and isinstance(inner, Isometry):
            return ComposedIsometry(self, inner)
        if isinstance(self, CoIsometry) and isinstance(inner, CoIsometry):
            return ComposedCoIsometry(self, inner)
        if isinstance(self, SpectralOperator) and isinstance(inner, CoIsometry):
            return SpectralAfter(self, inner)
        if isinstance(self, ResolventOperator) and isinstance(inner, Isometry | CoIsometry):
            return ResolventAfter(self, inner)
        return Composed(self, inner)


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


class Chain(LinearOperator):
    """outer after inner: local when both are.

    Attributes:
        outer: what comes last.
        inner: what it follows.
    """

    outer: LinearOperator
    inner: LinearOperator

    @property
    def grain(self) -> int:
        return self.outer.grain * self.inner.grain

    @property
    def sampled(self) -> Tensor | None:
        return self.outer.sampled

    def __call__(self, x: Tensor) -> Tensor:
        return self.outer(self.inner(x))

    def adjoint(self, y: Tensor) -> Tensor:
        return self.inner.adjoint(self.outer.adjoint(y))

    def normal(self, x: Tensor) -> Tensor:
        return self.inner.adjoint(self.outer.normal(self.inner(x)))

    def preconditioner(self, gamma: float) -> Callable[[Tensor], Tensor] | None:
        B = self.inner
        if not isinstance(B, Isometry | CoIsometry):
            return None
        outer = self.outer.preconditioner(gamma * B.scale**2)
        if outer is None:
            return None

        def about_inverse(x: Tensor) -> Tensor:
            seen = B(x)
            inside = B.adjoint(outer(seen)) / B.scale**4
            return inside if isinstance(B, Isometry) else inside + gamma * (x - B.adjoint(seen) / B.scale**2)

        return about_inverse

    def restrict(self, window: Window) -> LinearOperator:
        return self.outer.restrict(self.inner.footprint(window)) @ self.inner.restrict(window)

    def footprint(self, window: Window) -> Window:
        return self.outer.footprint(self.inner.footprint(window))

    def coarsen(self, factor: int) -> tuple[LinearOperator, int]:
        if not isinstance(self.inner, Isometry | CoIsometry):  # what it drops would be mixed with what it keeps
            return super().coarsen(factor)
        inner, rest = self.inner.coarsen(factor)
        outer, rest = self.outer.coarsen(rest)
        return outer @ inner, rest


@dataclass(frozen=True)
class Composed(Chain):
    """outer after inner."""

    outer: LinearOperator
    inner: LinearOperator

    @property
    def support(self) -> Tensor | None:
        if self.outer.support is None or isinstance(self.inner, Isometry):
            return self.outer.support
        return self.inner.lift(self.outer.support) if isinstance(self.inner, CoIsometry) else None


@dataclass(frozen=True)
class ComposedIsometry(Isometry):
    """A change of coordinates after another."""

    outer: Isometry
    inner: Isometry

    @property
    def scale(self) -> float:
        return self.outer.scale * self.inner.scale

    def __call__(self, x: Tensor) -> Tensor:
        return self.outer(self.inner(x))

    def adjoint(self, y: Tensor) -> Tensor:
        return self.inner.adjoint(self.outer.adjoint(y))


class SpectralComposed(Chain, SpectralOperator):
    """outer after inner, with a spectrum: computed as the composition it is."""

    outer: SpectralOperator
    inner: LinearOperator


@dataclass(frozen=True)
class SpectralInFrame(SpectralComposed):
    """A L, for a spectral A and an isometry L: the same singular vectors seen through L, and s scaled.

    The coefficients are seen through L as well, so that they are shaped like the image here too.
    """

    outer: SpectralOperator
    inner: Isometry

    @property
    def support(self) -> Tensor | None:
        return self.outer.support

    @property
    def spectrum(self) -> Spectrum:
        S, L = self.outer.spectrum, self.inner

        def correct(x: Tensor, trust: Tensor, target: Tensor) -> Tensor:
            return L.adjoint(S.correct(L(x), trust, L(target))) / L.scale**2

        return Spectrum(
            S.s * L.scale,
            lambda x: L.adjoint(S.analyse(L(x))) / L.scale**2,
            lambda c: L.adjoint(S.synthesise(L(c))) / L.scale**2,
            lambda c: S.measure(L(c)) / L.scale,
            lambda y: L.adjoint(S.unmeasure(y)) / L.scale,
            None if S.shortcut is None else correct,
        )


@dataclass(frozen=True)
class SpectralAfter(SpectralComposed):
    """A B, for a spectral A and a co-isometry B.

    B's range coefficients are re-expanded in A's singular vectors, which stay orthonormal because B weighs them all
    alike; B's null space is left as it is.
    """

    outer: SpectralOperator
    inner: CoIsometry

    @property
    def support(self) -> Tensor | None:
        return None if self.outer.support is None else self.inner.lift(self.outer.support)

    @property
    def spectrum(self) -> Spectrum:
        A, B = self.outer.spectrum, self.inner.spectrum
        s = A.s.reshape((1,) * (4 - A.s.ndim) + A.s.shape)

        def unseen(c: Tensor) -> Tensor:
            return torch.where(B.s > 0, 0.0, c)

        def analyse(x: Tensor) -> Tensor:
            c = B.analyse(x)
            return unseen(c) + B.unmeasure(A.analyse(B.measure(c)))

        def synthesise(c: Tensor) -> Tensor:
            return B.synthesise(unseen(c) + B.unmeasure(A.synthesise(B.measure(c))))

        def correct(x: Tensor, trust: Tensor, target: Tensor) -> Tensor:
            seen = B.measure(B.analyse(x))
            return x + B.synthesise(B.unmeasure(A.correct(seen, B.measure(trust), B.measure(target)) - seen))

        return Spectrum(
            self.inner.scale * B.unmeasure(s),
            analyse,
            synthesise,
            lambda c: A.measure(B.measure(c)),
            lambda y: B.unmeasure(A.unmeasure(y)),
            None if A.shortcut is None else correct,
        )


@dataclass(frozen=True)
class ResolventAfter(Composed, ResolventOperator):
    """A B, for an A with a resolvent and a change of coordinates or a co-isometry B, whose null space no data move."""

    outer: ResolventOperator
    inner: Isometry | CoIsometry

    @property
    def gamma(self) -> float:
        return self.outer.gamma / self.inner.scale**2

    def resolve(self, x: Tensor) -> Tensor:
        B = self.inner
        seen = B(x)
        return x + B.adjoint(self.outer.resolve(seen) - seen) / B.scale**2


class ComposedCoIsometry(SpectralAfter, CoIsometry):
    """A co-isometry after another."""

    outer: CoIsometry

    @property
    def scale(self) -> float:
        return self.outer.scale * self.inner.scale
