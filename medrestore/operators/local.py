"""Local operators: a window of the image is a problem of its own."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor

from .base import CoIsometry, LinearOperator, Operator, Spectrum, Window, same


class LocalOperator(LinearOperator):
    """A whose measurement of a window of the image depends on that window alone.

    Attributes:
        grain: windows of the image must begin and end at multiples of this many pixels.
        halo: pixels nearer than this to an edge of a window inside the image are known only in part by what the window
            explains; 0 where each entry of the measurement depends on one patch of pixels.
    """

    if TYPE_CHECKING:

        @property
        def grain(self) -> int: ...

        @property
        def halo(self) -> int: ...

    else:
        grain = 1
        halo = 0

    @abstractmethod
    def restrict(self, window: Window) -> "LocalOperator":
        """The same operator on a window of the image."""

    @abstractmethod
    def footprint(self, window: Window) -> Window:
        """The part of the measurement that a window of the image explains."""

    def coarsen(self, factor: int) -> "tuple[LocalOperator, int]":
        """(B, rest) such that B(pool(x)) = pool_rest(A(x)), pool taking means of factor x factor pixels.

        The same measurement of a coarser image, and by how much its data must be pooled. An entry of the pooled data
        counts as measured when all the entries of its mean are (`sampled`).

        Raises:
            TypeError: A(x) does not follow from means of x.
            ValueError: the factor does not divide the sides of the operator.
        """
        raise no_coarser_form(self)


def as_local(operator: Operator) -> LocalOperator:
    """The operator, when it is local.

    Raises:
        TypeError: it is not.
    """
    if not isinstance(operator, LocalOperator):
        raise TypeError(f"{operator.kind} is not local: a window of its image is not a problem of its own; "
                        "restore the whole image instead")
    return operator


def no_coarser_form(operator: Operator) -> TypeError:
    """The error of an operator that cannot be made coarser."""
    return TypeError(f"{type(operator).__name__} has no coarser form: its measurement does not follow from means of the image")


def no_window(side: int, width: int) -> ValueError:
    """The error of a window that no filter fits into."""
    return ValueError(f"a window of {side} pixels explains nothing of a filter of {width}; take larger windows")


class PixelOperator(LocalOperator):
    """A of each pixel on its own, the same for all."""

    def restrict(self, window: Window) -> Self:
        return self

    def footprint(self, window: Window) -> Window:
        return window

    def coarsen(self, factor: int) -> tuple[Self, int]:
        return self, factor


class Isometry(PixelOperator):
    """L with Lh L = L Lh = scale^2 I: a change of coordinates, of each pixel on its own."""

    def lift(self, support: Tensor) -> Tensor:
        """Where the image may differ from zero when L x may within `support`; both are shaped as `Operator.support`."""
        return support

    if TYPE_CHECKING:

        @property
        def scale(self) -> float: ...

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
