"""One operator after another."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .base import (
    CoIsometry,
    LinearOperator,
    Operator,
    PseudoInvertible,
    ResolventOperator,
    SpectralOperator,
    Spectrum,
    Window,
    side_by_side,
)
from .coils import CoilOperator, Coils
from .local import Identity, Isometry, LocalOperator, as_local, no_coarser_form


def compose(outer: LinearOperator, inner: LinearOperator) -> LinearOperator:
    """outer after inner.

    Spectral operators stay spectral after a co-isometry, however a chain is bracketed, and those with coils keep their coils;
    the composition is local exactly when both parts are.
    """
    if isinstance(inner, Identity):
        return outer
    if isinstance(outer, Identity) and isinstance(inner, SpectralOperator):
        return inner
    if isinstance(inner, Chain | ComposedIsometry):
        return (outer @ inner.outer) @ inner.inner
    if isinstance(outer, Isometry) and isinstance(inner, Isometry) and not isinstance(outer, SpectralOperator):
        return ComposedIsometry(outer, inner)
    kind = _kind_of(outer, inner)
    if isinstance(outer, CoilOperator) and isinstance(inner, Isometry | CoIsometry):
        return _with(CoilChain, kind)(outer, inner)
    both = isinstance(outer, LocalOperator) and isinstance(inner, LocalOperator)
    return (_with(LocalChain, kind) if both else kind)(outer, inner)


def _kind_of(outer: LinearOperator, inner: LinearOperator) -> "type[Composed]":
    """The class of a composition, its locality left out."""
    if isinstance(outer, SpectralOperator) and isinstance(inner, Isometry):
        return SpectralInFrame
    if isinstance(outer, CoIsometry) and isinstance(inner, CoIsometry):
        return ComposedCoIsometry
    if isinstance(outer, SpectralOperator) and isinstance(inner, CoIsometry):
        return SpectralAfter
    if isinstance(outer, ResolventOperator) and isinstance(inner, Isometry | CoIsometry):
        return ResolventAfter
    if isinstance(outer, PseudoInvertible) and isinstance(inner, Isometry | CoIsometry):
        return PseudoInvertibleAfter
    return Composed


class Chain(LinearOperator):
    """outer after inner.

    Attributes:
        outer: applied last.
        inner: applied first.
    """

    if TYPE_CHECKING:

        @property
        def outer(self) -> LinearOperator: ...

        @property
        def inner(self) -> LinearOperator: ...

    def __repr__(self) -> str:
        return f"{self.outer!r} @ {self.inner!r}"

    @property
    def kind(self) -> str:
        return self.outer.kind

    @property
    def sampled(self) -> Tensor | None:
        return self.outer.sampled

    def __call__(self, x: Tensor) -> Tensor:
        return self.outer(self.inner(x))

    def adjoint(self, y: Tensor) -> Tensor:
        return self.inner.adjoint(self.outer.adjoint(y))

    def normal(self, x: Tensor) -> Tensor:
        return self.inner.adjoint(self.outer.normal(self.inner(x)))

    def preconditioner(self, gamma: float | Tensor) -> Callable[[Tensor], Tensor] | None:
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

    def stacked(self, operators: Sequence[Operator]) -> Operator | None:
        chains = [one for one in operators if isinstance(one, Chain) and type(one) is type(self)]
        if len(chains) < len(operators):
            return None
        outer, inner = side_by_side([one.outer for one in chains]), side_by_side([one.inner for one in chains])
        return outer @ inner if isinstance(outer, LinearOperator) and isinstance(inner, LinearOperator) else None


class LocalChain(Chain, LocalOperator):
    """outer after inner, both local."""

    @property
    def _parts(self) -> tuple[LocalOperator, LocalOperator]:
        return as_local(self.outer), as_local(self.inner)

    @property
    def grain(self) -> int:
        outer, inner = self._parts
        return outer.grain * inner.grain

    @property
    def halo(self) -> int:
        outer, inner = self._parts
        return outer.halo * inner.grain + inner.halo

    def restrict(self, window: Window) -> LocalOperator:
        outer, inner = self._parts
        return as_local(outer.restrict(inner.footprint(window)) @ inner.restrict(window))

    def footprint(self, window: Window) -> Window:
        outer, inner = self._parts
        return outer.footprint(inner.footprint(window))

    def coarsen(self, factor: int) -> tuple[LocalOperator, int]:
        outer, inner = self._parts
        if not isinstance(inner, Isometry | CoIsometry):  # the entries that it drops would enter the means of the others
            raise no_coarser_form(self)
        coarse, rest = inner.coarsen(factor)
        coarse_outer, rest = outer.coarsen(rest)
        return as_local(coarse_outer @ coarse), rest


class CoilChain(Chain, CoilOperator):
    """An MRI encoding after a change of coordinates or a co-isometry, through which its coils are seen as well."""

    @property
    def coils(self) -> Coils:
        L, outer = self.inner, self.outer
        assert isinstance(L, Isometry | CoIsometry)  # as `compose` saw
        assert isinstance(outer, CoilOperator)
        seen, power, measure = outer.coils, L.scale**2, outer.coils.measure @ L
        assert isinstance(measure, SpectralOperator)  # after an isometry or a co-isometry it stays one

        def through(change: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
            return lambda x: L.adjoint(change(L(x))) / power

        return Coils(seen.count, measure, through(seen.spread), through(seen.combine), through(seen.root))


@dataclass(frozen=True)
class Composed(Chain):
    """outer after inner."""

    outer: LinearOperator
    inner: LinearOperator

    @property
    def support(self) -> Tensor | None:
        if self.outer.support is None or not isinstance(self.inner, Isometry | CoIsometry):
            return None
        return self.inner.lift(self.outer.support)


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


@dataclass(frozen=True)
class SpectralInFrame(Composed, SpectralOperator):
    """A L, for a spectral A and an isometry L: the same singular vectors seen through L, and s scaled.

    The coefficients are seen through L as well, so that they are shaped like the image.
    """

    outer: SpectralOperator
    inner: Isometry

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
class SpectralAfter(Composed, SpectralOperator):
    """A B, for a spectral A and a co-isometry B.

    B's range coefficients are re-expanded in A's singular vectors, which stay orthonormal because B weighs them all
    alike; B's null space stays as it is.
    """

    outer: SpectralOperator
    inner: CoIsometry

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
    """A B, for an A with a resolvent and a change of coordinates or a co-isometry B, whose null space stays as it is."""

    outer: ResolventOperator
    inner: Isometry | CoIsometry

    @property
    def gamma(self) -> float:
        return self.outer.gamma / self.inner.scale**2

    def resolve(self, x: Tensor) -> Tensor:
        B = self.inner
        seen = B(x)
        return x + B.adjoint(self.outer.resolve(seen) - seen) / B.scale**2


@dataclass(frozen=True)
class PseudoInvertibleAfter(Composed, PseudoInvertible):
    """A B, for an A with a pseudo-inverse and a change of coordinates or a co-isometry B, which reaches every image of A."""

    outer: PseudoInvertible
    inner: Isometry | CoIsometry

    def pinv(self, y: Tensor) -> Tensor:
        return self.inner.adjoint(self.outer.pinv(y)) / self.inner.scale**2


@dataclass(frozen=True)
class ComposedCoIsometry(SpectralAfter, CoIsometry):
    """A co-isometry after another."""

    outer: CoIsometry
    inner: CoIsometry

    @property
    def scale(self) -> float:
        return self.outer.scale * self.inner.scale


@cache
def _with(part: type[Chain], kind: type[Composed]) -> type[Composed]:
    """The class `kind` of compositions that are also what `part` says."""
    return type(kind.__name__, (part, kind), {"__module__": __name__})
