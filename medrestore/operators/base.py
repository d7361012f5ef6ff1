"""Operators, and what is known about them as types.

    Operator            A(x), differentiable                 DPS, SHRED; DDS, DiffPIR and HQS, which linearise it
    RoundingOperator    adds the linear samples it rounds    all that the linear operator of the samples serves
    LinearOperator      adds the adjoint                     DAPS, PnP-DM, PiGDM, Langevin
    ResolventOperator   adds (I + gamma Ah A)^-1, one gamma  DDS with a fixed gamma, solved exactly
    PseudoInvertible    adds A^+                             methods that need A and A^+ only
    SpectralOperator    adds A = U diag(s) Vh, hence A^+     DDNM, DDNM+, DDRM, RePaint, constraints
    CoIsometry          adds A Ah = scale^2 I                may stand inside another operator, which stays spectral

`local.LocalOperator` is a capability of its own: a window of the image is a problem of its own. So is `coils.CoilOperator`: the
images of the coils of an MRI encoding are known.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor

from .representation import ShortRepr

Window = tuple[slice, slice]


Capability = TypeVar("Capability", bound="Operator")


class Operator(ShortRepr, ABC):
    """A(x), differentiable.

    Attributes:
        support: (height, width), or (batch, 1, height, width) for operators side by side, with as many channels as the
            image where these differ, of 0 and 1: where the image may differ from zero; None when it may everywhere.
            Outside it nothing is measured and the image is zero, so a restoration keeps it at zero.
        sampled: 0 and 1, broadcasting against the measurement: the entries that A can reach, or None for all of them.
        differentiable: whether its gradient is its derivative; False where it is that of a smooth stand-in, such as for rounding.
    """

    if TYPE_CHECKING:  # read-only, so that a subclass may have a field, a constant or a property of the name

        @property
        def support(self) -> Tensor | None: ...

        @property
        def sampled(self) -> Tensor | None: ...

        @property
        def differentiable(self) -> bool: ...

    else:
        support = None
        sampled = None
        differentiable = True

    @abstractmethod
    def __call__(self, x: Tensor) -> Tensor:
        """A(x): (batch, channel, height, width) to the measurement's shape."""

    @property
    def kind(self) -> str:
        """The name of what measures, for messages: that of the outermost operator of a composition."""
        return type(self).__name__

    def stacked(self, operators: "Sequence[Operator]") -> "Operator | None":
        """One operator that applies the k-th of these to image k of a batch, or None where none is known.

        A shortcut of `stack`, which otherwise applies each to its own images. An operator whose parameters may carry a
        batch axis overrides this.

        Args:
            operators: one for each image, not all the same object; the first is this one.
        """
        return None


def side_by_side(operators: Sequence[Operator]) -> Operator | None:
    """One operator that applies the k-th of these to image k, where all are one object or their class knows one."""
    first = operators[0]
    return first if all(operator is first for operator in operators) else first.stacked(operators)


def required(operator: Operator, capability: type[Capability]) -> Capability:
    """The operator, when it has the capability.

    Raises:
        TypeError: it has not.
    """
    if not isinstance(operator, capability):
        raise TypeError(f"a {capability.__name__} is needed, and {operator.kind} is not one")
    return operator


class NumbersOperator(Operator):
    """A dataclass of plain numbers: equal ones are one operator."""

    def stacked(self, operators: Sequence[Operator]) -> Operator | None:
        return self if all(one == self for one in operators) else None


class LinearOperator(Operator):
    """A and its adjoint for the real inner product Re<., .>."""

    @abstractmethod
    def adjoint(self, y: Tensor) -> Tensor:
        """Ah y, shaped like the image."""

    def normal(self, x: Tensor) -> Tensor:
        """Ah A x."""
        return self.adjoint(self(x))

    def preconditioner(self, gamma: float | Tensor) -> Callable[[Tensor], Tensor] | None:
        """An approximation of (I / gamma + Ah A)^-1 on images, Hermitian, positive and far cheaper than Ah A.

        None where none is known.

        Args:
            gamma: finite; one number, or (batch, 1, 1, 1).
        """
        return None

    def __matmul__(self, inner: "LinearOperator") -> "LinearOperator":
        """A after `inner`; see `compose`."""
        from .compose import compose

        return compose(self, inner)


class RoundingOperator(Operator):
    """A that rounds linear samples of the image and returns what is left of it.

    What is known of the image is then linear, within the rounding: the samples, with noise of a known std each.
    """

    @abstractmethod
    def samples(self, y: Tensor, sigma: float | Tensor) -> tuple[LinearOperator, Tensor, float]:
        """(B, c, std): c = B x + white noise of that std, as y tells it.

        Args:
            y: (batch, channel, height, width), rounded by this operator.
            sigma: std of the noise of the image before, one number or (batch, 1, 1, 1).
        """


class ResolventOperator(LinearOperator):
    """A whose data step is known in closed form for one weight of the data.

    Attributes:
        gamma: that weight.
    """

    if TYPE_CHECKING:

        @property
        def gamma(self) -> float: ...

    @abstractmethod
    def resolve(self, x: Tensor) -> Tensor:
        """(I + gamma Ah A)^-1 x."""


class PseudoInvertible(LinearOperator):
    """A whose pseudo-inverse is known."""

    @abstractmethod
    def pinv(self, y: Tensor) -> Tensor:
        """A^+ y: the smallest of the images whose A(x) is nearest to y."""


@dataclass(frozen=True, repr=False)
class Spectrum(ShortRepr):
    """A = U diag(s) Vh, with every factor on the grid of V's coefficients, which is shaped like the image.

    `s` is non-negative and broadcasts against the coefficients; its zeros are the null space. Uh y is zero there and
    U ignores the values there, so range and null space need no index bookkeeping: every formula is elementwise.
    """

    s: Tensor
    analyse: Callable[[Tensor], Tensor]  # Vh: image -> coefficients
    synthesise: Callable[[Tensor], Tensor]  # V: coefficients -> image
    measure: Callable[[Tensor], Tensor]  # U: coefficients -> measurement
    unmeasure: Callable[[Tensor], Tensor]  # Uh: measurement -> coefficients
    shortcut: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None  # computes `correct`, where there is a faster way

    def correct(self, x: Tensor, trust: Tensor, target: Tensor) -> Tensor:
        """x with every coefficient moved towards the target's: V (c + trust (target - c)) with c = Vh x.

        Args:
            trust: shaped like s, or (batch, ...) of it; 0 in the null space.
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


class SpectralOperator(PseudoInvertible):
    """A whose singular value decomposition is known."""

    @property
    @abstractmethod
    def spectrum(self) -> Spectrum:
        """U, s and V."""

    def pinv(self, y: Tensor) -> Tensor:
        """A^+ y, exact, from the spectrum."""
        with y.device:
            S = self.spectrum
        return S.synthesise(S.invert(S.unmeasure(y)))


class FromSpectrum(SpectralOperator):
    """A spectral operator that is computed by its spectrum."""

    def __call__(self, x: Tensor) -> Tensor:
        with x.device:
            S = self.spectrum
        return S.measure(S.s * S.analyse(x))

    def adjoint(self, y: Tensor) -> Tensor:
        with y.device:
            S = self.spectrum
        return S.synthesise(S.s * S.unmeasure(y))


class CoIsometry(SpectralOperator):
    """A with A Ah = scale^2 I: every number of the measurement is reached, all equally well."""

    if TYPE_CHECKING:

        @property
        def scale(self) -> float: ...

    def lift(self, support: Tensor) -> Tensor:
        """Where the image may differ from zero when A(x) may within `support`; both are shaped as `Operator.support`."""
        four = support if support.ndim == 4 else support[None, None]
        lifted = self.adjoint(four) != 0
        lifted = (lifted if four.shape[1] > 1 else lifted.any(1, keepdim=True)).to(support)
        return lifted if support.ndim == 4 else lifted[0, 0]


def same(x: Tensor) -> Tensor:
    """x."""
    return x


def on_device(value: Any, device: torch.device | str) -> Any:
    """An operator, or what one is made of, with its tensors on a device."""
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, tuple):
        made = tuple(on_device(one, device) for one in value)
        return value if all(a is b for a, b in zip(made, value, strict=True)) else made
    if not is_dataclass(value) or isinstance(value, type):
        return value
    own = {one.name: getattr(value, one.name) for one in fields(value)}
    given = {name: on_device(one, device) for name, one in own.items()}
    return value if all(given[name] is own[name] for name in own) else replace(value, **given)
