"""Fh W F for samples anywhere in k-space: a Toeplitz matrix, applied by Fourier transforms of twice the side."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from .nufft import nufft_adjoint
from .representation import ShortRepr


@dataclass(frozen=True, repr=False)
class Toeplitz(ShortRepr):
    """The convolution of an image by the point spread of weighted samples: Wajer & Pruessmann, ISMRM 2001.

    The circulant matrix of twice the side that holds it is never formed: its even and its odd frequencies along an axis are
    transforms of the image itself and of the image times a phase ramp, so that no zeros are transformed.

    Args:
        lags: (2 height, 2 width) complex: the point spread at shifts -height to height - 1, and -width to width - 1.
    """

    lags: Tensor

    @classmethod
    def of(cls, points: Tensor, power: Tensor, shape: tuple[int, int]) -> "Toeplitz":
        """That of samples at points with weights.

        Args:
            points: (n, 2) in cycles per field of view.
            power: (n,) real and not negative, the weight of |y|^2 of each sample.
            shape: (height, width).
        """
        height, width = shape
        double = power.detach().to("cpu", torch.complex128)
        # the field of view has twice the pixels, so the same point has twice the cycles
        lags = nufft_adjoint(double, 2 * points.detach().to("cpu", torch.float64), (2 * height, 2 * width))
        lags *= 2 * (height * width) ** 0.5 / (height * width)  # 1 / sqrt(4 h w) was applied, 1 / (h w) belongs there
        lags[0], lags[:, 0] = 0, 0  # shifts that no two pixels have
        return cls(lags.to(power.device, torch.complex64))

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) of the images."""
        return self.lags.shape[0] // 2, self.lags.shape[1] // 2

    def cropped(self, shape: tuple[int, int]) -> "Toeplitz":
        """The same for images that are zero outside a window of this size."""
        (height, width), (rows, columns) = self.shape, shape
        lags = self.lags[height - rows:height + rows, width - columns:width + columns].clone()
        lags[0], lags[:, 0] = 0, 0
        return Toeplitz(lags)

    @cached_property
    def _phases(self) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """((h, 1), (1, w)) ramps by which rows and columns are multiplied for odd frequencies, and their conjugates."""
        height, width = self.shape
        rows = torch.exp(-1j * torch.pi * torch.arange(height, device="cpu") / height).to(self.lags.device)[:, None]
        columns = torch.exp(-1j * torch.pi * torch.arange(width, device="cpu") / width).to(self.lags.device)[None]
        return (rows, columns), (rows.conj().resolve_conj(), columns.conj().resolve_conj())

    @cached_property
    def _transfer(self) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
        """(h, w) real each: the transfer function at even and odd frequencies, [odd column][odd row].

        Real, as the point spread is Hermitian; with the factors of the transforms, which have none.
        """
        full = torch.fft.fft2(torch.fft.ifftshift(self.lags)).real / (4 * self.shape[0] * self.shape[1])
        return tuple(  # type: ignore[return-value]
            tuple(full[row::2, column::2].contiguous() for row in (0, 1)) for column in (0, 1))

    @property
    def largest(self) -> Tensor:
        """A bound on its norm: the largest entry of the transfer function."""
        full = 4 * self.shape[0] * self.shape[1]
        return torch.stack([part.abs().amax() for column in self._transfer for part in column]).amax() * full

    def __call__(self, images: Tensor) -> Tensor:
        """(..., height, width) complex64 to the same."""
        (down, across), (up, back) = self._phases
        out: Tensor | None = None
        for column in (0, 1):
            along = torch.fft.fft(images * across if column else images, dim=-1)
            total: Tensor | None = None
            for row in (0, 1):
                k = torch.fft.fft(along * down if row else along, dim=-2)
                k *= self._transfer[column][row]
                k = torch.fft.ifft(k, dim=-2, norm="forward")
                total = k if total is None else total.addcmul_(up.expand_as(k), k)
            assert total is not None
            back_again = torch.fft.ifft(total, dim=-1, norm="forward")
            out = back_again if out is None else out.addcmul_(back.expand_as(back_again), back_again)
        assert out is not None
        return out
