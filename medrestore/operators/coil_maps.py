"""Coil maps that are smooth: what k-space is as a function of the maps, the image being known."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from .base import LinearOperator


@dataclass(frozen=True)
class SmoothMaps(LinearOperator):
    """Maps (batch, coil, height, width) of few Fourier coefficients (batch, coil, n, n), over a field twice as large.

    The larger field lets the maps differ at opposite edges of the image.

    Args:
        size: (height, width) of the maps.
        device: of the coefficients.
    """

    size: tuple[int, int]
    width: int
    device: torch.device | str = "cpu"

    @cached_property
    def _bases(self) -> tuple[Tensor, Tensor]:
        """(height, n) and (width, n): the waves along either axis."""
        orders = torch.arange(self.width, dtype=torch.float64) - self.width // 2

        def waves(length: int) -> Tensor:
            place = torch.arange(length, dtype=torch.float64) - length // 2
            phase = torch.pi * place[:, None] * orders / length
            return (torch.polar(torch.ones_like(phase), phase) / length**0.5).to(torch.complex64).to(self.device)

        with torch.device("cpu"):
            return waves(self.size[0]), waves(self.size[1])

    def __call__(self, x: Tensor) -> Tensor:
        rows, columns = self._bases
        return rows @ x @ columns.T

    def adjoint(self, y: Tensor) -> Tensor:
        rows, columns = self._bases
        return rows.mH @ y @ columns.conj()


@dataclass(frozen=True)
class EncodedMaps(LinearOperator):
    """What coils measure of one known image, linear in the coefficients of their maps.

    Args:
        maps: from coefficients to maps.
        image: (1, 1, height, width) complex.
        encoding: of a single coil, whose map is 1: Cartesian or along a trajectory.
    """

    maps: SmoothMaps
    image: Tensor
    encoding: LinearOperator

    @property
    def sampled(self) -> Tensor | None:
        return self.encoding.sampled

    def __call__(self, x: Tensor) -> Tensor:
        coils = self.image * self.maps(x)
        y = self.encoding(coils.flatten(0, 1)[:, None])
        return y.reshape(*coils.shape[:2], *y.shape[-2:])

    def adjoint(self, y: Tensor) -> Tensor:
        coils = self.encoding.adjoint(y.flatten(0, 1)[:, None])
        return self.maps.adjoint(self.image.conj() * coils.reshape(*y.shape[:2], *coils.shape[-2:]))

    def normal(self, x: Tensor) -> Tensor:
        coils = self.image * self.maps(x)
        seen = self.encoding.normal(coils.flatten(0, 1)[:, None])
        return self.maps.adjoint(self.image.conj() * seen.reshape(coils.shape))
