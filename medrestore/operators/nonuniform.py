"""Blurs that differ from place to place."""

from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InputError
from .base import LinearOperator
from .blur import CircularBlur


@dataclass(frozen=True)
class VaryingBlur(LinearOperator):
    """y = sum_k w_k (h_k * x): each pixel is blurred by its own mixture of kernels, the image repeating beyond its edges.

    The interpolated filters of Nagy & O'Leary, SIAM J. Sci. Comput. 19:1063, 1998.

    Args:
        kernels: h, (n, a, b) real.
        weights: w, (n, height, width), of which those of a pixel sum to one.

    Raises:
        InputError: shapes that do not go together.
    """

    kernels: Tensor
    weights: Tensor

    def __post_init__(self) -> None:
        if self.kernels.ndim != 3 or self.weights.ndim != 3 or len(self.kernels) != len(self.weights):
            raise InputError(f"kernels (n, a, b) and weights (n, height, width) are needed, got {tuple(self.kernels.shape)} "
                             f"and {tuple(self.weights.shape)}")
        if any(k > n for k, n in zip(self.kernels.shape[1:], self.weights.shape[1:], strict=True)):
            raise InputError(f"kernels of {tuple(self.kernels.shape[1:])} are larger than the image of "
                             f"{tuple(self.weights.shape[1:])} pixels")

    @cached_property
    def _blurs(self) -> tuple[CircularBlur, ...]:
        height, width = self.weights.shape[1:]
        return tuple(CircularBlur(kernel, (height, width)) for kernel in self.kernels)

    def __call__(self, x: Tensor) -> Tensor:
        y = torch.zeros_like(x)
        for blur, weight in zip(self._blurs, self.weights, strict=True):
            y = y + weight * blur(x)
        return y

    def adjoint(self, y: Tensor) -> Tensor:
        x = torch.zeros_like(y)
        for blur, weight in zip(self._blurs, self.weights, strict=True):
            x = x + blur.adjoint(weight * y)
        return x


def varying_blur(kernels: Tensor, size: tuple[int, int]) -> VaryingBlur:
    """A blur whose kernel changes evenly from one to the next of a grid that spans the image.

    Args:
        kernels: (rows, columns, a, b), those of the grid's corners standing at the corners of the image.
        size: (height, width).

    Raises:
        InputError: kernels without a grid.
    """
    if kernels.ndim != 4:
        raise InputError(f"a grid of kernels is (rows, columns, a, b), got {tuple(kernels.shape)}")
    rows, columns = kernels.shape[:2]
    unit = torch.eye(rows * columns, device=kernels.device, dtype=kernels.dtype).reshape(rows * columns, 1, rows, columns)
    weights = F.interpolate(unit, size=size, mode="bilinear", align_corners=True)[:, 0]
    return VaryingBlur(kernels.flatten(0, 1), weights)
