"""What degraded pictures are restored to without a diffusion prior."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from ..errors import InputError
from ..operators import LinearOperator, PseudoInvertible
from ..operators.base import required
from ..problem import Problem


class PictureBaseline(ABC):
    """A restoration of one picture from what was measured of it, without a diffusion prior."""

    @abstractmethod
    def restore(self, problem: Problem[LinearOperator]) -> Tensor:
        """(1, channel, height, width) in the units of the picture, about 0 to 1.

        Raises:
            InputError: data that it has no use for.
        """


@dataclass(frozen=True)
class PseudoInverse(PictureBaseline):
    """A^+ y, the smallest picture that explains the data."""

    def restore(self, problem: Problem[LinearOperator]) -> Tensor:
        return required(problem.operator, PseudoInvertible).pinv(problem.y)  # type: ignore[type-abstract]  # any subclass will do


@dataclass(frozen=True)
class Degraded(PictureBaseline):
    """The picture as it was given: small ones enlarged by repeating pixels, grey ones grey in every channel."""

    def restore(self, problem: Problem[LinearOperator]) -> Tensor:
        return _at_image_size(problem, "nearest")


@dataclass(frozen=True)
class Bicubic(PictureBaseline):
    """Bicubic interpolation of a small picture: Keys, IEEE Trans. ASSP 29, 1981."""

    def restore(self, problem: Problem[LinearOperator]) -> Tensor:
        return _at_image_size(problem, "bicubic")


def _at_image_size(problem: Problem[LinearOperator], mode: str) -> Tensor:
    """y as a picture of the size and the channels of x."""
    y, size = problem.y, problem.back_projected.shape
    if y.ndim != 4 or y.is_complex() or any(side % small for side, small in zip(size[-2:], y.shape[-2:], strict=True)):
        raise InputError(f"{problem.operator.kind} measures {tuple(y.shape[1:])}, which is no picture; take PseudoInverse")
    if y.shape[1] == 1:
        y = y.expand(-1, size[1], -1, -1)
    if y.shape[-2:] == size[-2:]:
        return y
    if mode == "nearest":
        return F.interpolate(y, size[-2:], mode=mode)
    return F.interpolate(y, size[-2:], mode=mode, antialias=True)  # which has Keys' a = -1/2, and blurs only where it shrinks
