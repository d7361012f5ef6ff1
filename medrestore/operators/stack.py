"""Several operators side by side along the batch: many problems as one."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import groupby

import torch
from torch import Tensor

from .base import (
    LinearOperator,
    Operator,
    PseudoInvertible,
    ResolventOperator,
    SpectralOperator,
    Spectrum,
    Window,
    same,
    side_by_side,
)
from .coils import CoilOperator, Coils
from .local import LocalOperator


def stack(operators: Sequence[Operator]) -> Operator:
    """The operators as one: operator k acts on image k of the batch.

    The result has the capabilities that all of them have (linear, pseudo-invertible, spectral, resolvent, local). Where
    they are one object, or their class can combine them (`Operator.stacked`), no loop over images is needed.

    Args:
        operators: one for each image of the batch, for images of one size and measurements of one shape.
    """
    if not operators:
        raise ValueError("there are no operators to stack; give one for each image")
    one = side_by_side(operators)
    if one is not None:
        return one
    runs = [list(run) for _, run in groupby(operators, key=id)]
    firsts = tuple(run[0] for run in runs)
    parts = [part for capability, part in PARTS if all(isinstance(operator, capability) for operator in firsts)]
    if _one_gamma(firsts):
        parts.append(ResolventStack)
    return _class_of(tuple(parts) or (Stack,))(firsts, tuple(len(run) for run in runs))


def _one_gamma(operators: Sequence[Operator]) -> bool:
    """Whether all have a resolvent, at the same gamma."""
    gammas = [operator.gamma for operator in operators if isinstance(operator, ResolventOperator)]
    return len(gammas) == len(operators) and all(math.isclose(gammas[0], gamma, rel_tol=1e-6) for gamma in gammas)


@cache
def _class_of(parts: "tuple[type[Stack], ...]") -> "type[Stack]":
    """A stack that has all of these capabilities."""
    most = tuple(part for part in parts if not any(other is not part and issubclass(other, part) for other in parts))
    return most[0] if len(most) == 1 else type("Stack", most, {})


@dataclass(frozen=True)
class Stack(Operator):
    """Each operator acts on its own images of the batch, (batch, channel, height, width).

    Args:
        operators: in the order of the images.
        counts: for how many images in a row each stands.
    """

    operators: tuple[Operator, ...]
    counts: tuple[int, ...]

    @property
    def kind(self) -> str:
        return self.operators[0].kind

    @cached_property
    def support(self) -> Tensor | None:
        return self._side_by_side([operator.support for operator in self.operators])

    @cached_property
    def sampled(self) -> Tensor | None:
        return self._side_by_side([operator.sampled for operator in self.operators])

    @property
    def differentiable(self) -> bool:
        return all(operator.differentiable for operator in self.operators)

    def _side_by_side(self, masks: Sequence[Tensor | None]) -> Tensor | None:
        """Masks (h, w), or (batch, 1, h, w), as one (batch, 1, h, w); one that is missing is 1 everywhere."""
        given = [mask for mask in masks if mask is not None]
        if not given:
            return None
        return self._expanded([given[0].new_ones(()) if mask is None else mask for mask in masks])

    def _expanded(self, values: Sequence[Tensor]) -> Tensor:
        """One tensor for each operator, as one with a row for each image."""
        four = [value.reshape((1,) * (4 - value.ndim) + value.shape) for value in values]
        shape = torch.broadcast_shapes(*(value.shape[1:] for value in four))
        return torch.cat([value.expand(count, *shape) for value, count in zip(four, self.counts, strict=True)])

    def _each(self, calls: Sequence[Callable[..., Tensor]], *values: Tensor) -> Tensor:
        """Each call on its own images of all values."""
        parts = zip(*(value.split(self.counts) for value in values), strict=True)
        return torch.cat([call(*some) for call, some in zip(calls, parts, strict=True)])

    def __call__(self, x: Tensor) -> Tensor:
        return self._each(self.operators, x)


class LinearStack(Stack, LinearOperator):
    """Linear operators side by side."""

    operators: tuple[LinearOperator, ...]

    def adjoint(self, y: Tensor) -> Tensor:
        return self._each([operator.adjoint for operator in self.operators], y)

    def normal(self, x: Tensor) -> Tensor:
        return self._each([operator.normal for operator in self.operators], x)

    def preconditioner(self, gamma: float | Tensor) -> Callable[[Tensor], Tensor] | None:
        """That of each operator, and x itself for those that have none."""
        gammas = gamma.split(self.counts) if isinstance(gamma, Tensor) else (gamma,) * len(self.counts)
        each = [operator.preconditioner(one) for operator, one in zip(self.operators, gammas, strict=True)]
        if all(one is None for one in each):
            return None
        return lambda x: self._each([one or same for one in each], x)


class PseudoInvertibleStack(LinearStack, PseudoInvertible):
    """Operators with a pseudo-inverse side by side."""

    operators: tuple[PseudoInvertible, ...]

    def pinv(self, y: Tensor) -> Tensor:
        return self._each([operator.pinv for operator in self.operators], y)


class SpectralStack(PseudoInvertibleStack, SpectralOperator):
    """Spectral operators side by side: singular values (batch, channel or 1, height, width)."""

    operators: tuple[SpectralOperator, ...]

    @cached_property
    def spectrum(self) -> Spectrum:
        spectra = [operator.spectrum for operator in self.operators]

        def each(calls: Sequence[Callable[[Tensor], Tensor]]) -> Callable[[Tensor], Tensor]:
            return lambda x: self._each(calls, x)

        def correct(x: Tensor, trust: Tensor, target: Tensor) -> Tensor:
            return self._each([S.correct for S in spectra], x, trust, target.expand(len(x), *target.shape[1:]))

        return Spectrum(
            self._expanded([S.s for S in spectra]),
            each([S.analyse for S in spectra]),
            each([S.synthesise for S in spectra]),
            each([S.measure for S in spectra]),
            each([S.unmeasure for S in spectra]),
            correct,
        )


class ResolventStack(LinearStack, ResolventOperator):
    """Operators with a resolvent at the same gamma side by side."""

    operators: tuple[ResolventOperator, ...]

    @property
    def gamma(self) -> float:
        return self.operators[0].gamma

    def resolve(self, x: Tensor) -> Tensor:
        return self._each([operator.resolve for operator in self.operators], x)


class LocalStack(LinearStack, LocalOperator):
    """Local operators side by side."""

    operators: tuple[LocalOperator, ...]

    @property
    def grain(self) -> int:
        return math.lcm(*(operator.grain for operator in self.operators))

    @property
    def halo(self) -> int:
        return max(operator.halo for operator in self.operators)

    def _repeated(self, operators: Sequence[LocalOperator]) -> LocalOperator:
        images = [operator for operator, count in zip(operators, self.counts, strict=True) for _ in range(count)]
        stacked = stack(images)
        assert isinstance(stacked, LocalOperator)  # a stack of local operators is local
        return stacked

    def restrict(self, window: Window) -> LocalOperator:
        return self._repeated([operator.restrict(window) for operator in self.operators])

    def footprint(self, window: Window) -> Window:
        first, *others = (operator.footprint(window) for operator in self.operators)
        if any(other != first for other in others):
            raise ValueError("a window of the image explains other parts of the measurement for some of the stacked operators "
                             "than for the first; restore these problems one by one")
        return first

    def coarsen(self, factor: int) -> tuple[LocalOperator, int]:
        coarse, rests = zip(*(operator.coarsen(factor) for operator in self.operators), strict=True)
        if len(set(rests)) > 1:
            raise ValueError("the stacked operators pool their data differently; make these problems coarser one by one")
        return self._repeated(coarse), rests[0]


class CoilStack(LinearStack, CoilOperator):
    """MRI encodings with as many coils side by side."""

    operators: tuple[CoilOperator, ...]

    @property
    def coils(self) -> Coils:
        each = [operator.coils for operator in self.operators]
        count = each[0].count
        measure = stack([coils.measure for coils, images in zip(each, self.counts, strict=True) for _ in range(images * count)])
        assert isinstance(measure, SpectralOperator)  # a stack of spectral operators is spectral

        def together(calls: Sequence[Callable[[Tensor], Tensor]]) -> Callable[[Tensor], Tensor]:
            sizes = [count * images for images in self.counts]
            return lambda images: torch.cat([call(some) for call, some in zip(calls, images.split(sizes), strict=True)])

        return Coils(count, measure, lambda x: self._each([coils.spread for coils in each], x),
                     together([coils.combine for coils in each]), together([coils.root for coils in each]))


PARTS: tuple[tuple[type[Operator], type[Stack]], ...] = (
    (LinearOperator, LinearStack), (LocalOperator, LocalStack), (PseudoInvertible, PseudoInvertibleStack),
    (SpectralOperator, SpectralStack), (CoilOperator, CoilStack),
)
