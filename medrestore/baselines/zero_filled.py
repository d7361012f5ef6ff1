"""Images straight from the samples: what is missing counts as zero."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..fft import ifft2c
from ..mri.density import pipe_menon
from ..operators import NonCartesian
from .base import Baseline, check_slice


@dataclass(frozen=True)
class ZeroFilled(Baseline):
    """The adjoint of the acquisition: inverse Fourier transform of what was sampled, coils combined by their maps.

    Along a trajectory it is gridding: the adjoint of samples weighted by the area of k-space that each stands for (Pipe & Menon).
    """

    def reconstruct(self, kspace: Tensor, maps: Tensor, mask: Tensor) -> Tensor:
        check_slice(kspace, maps, mask, several=True)
        images = ifft2c(kspace * mask.to(kspace.device))
        return (maps.to(kspace.device).conj() * images).sum(1)[None].to(torch.complex64)

    def along(self, A: NonCartesian, y: Tensor) -> Tensor:
        taken = A.mask > 0
        density = torch.zeros(taken.shape, device=y.device)
        density[taken] = pipe_menon(A.trajectory[taken][None], A.shape)[0]
        return A.adjoint(density * y)


@dataclass(frozen=True)
class RootSumOfSquares(Baseline):
    """The magnitude that needs no coil maps: root of the sum of squares of the zero-filled coil images; its phase is zero."""

    def reconstruct(self, kspace: Tensor, maps: Tensor, mask: Tensor) -> Tensor:
        check_slice(kspace, maps, mask)
        return rss(kspace * mask.to(kspace.device)).to(torch.complex64)


def rss(kspace: Tensor) -> Tensor:
    """Root of the sum of squares of the coil images: (batch, coil, height, width) complex to (batch, 1, height, width) real."""
    return torch.linalg.vector_norm(ifft2c(kspace), dim=1, keepdim=True)


def brightness(image: Tensor) -> float:
    """The 99 % quantile of the magnitude, or its maximum where almost all of the image is zero."""
    magnitude = image.detach().abs().cpu().numpy()
    quantile = float(np.quantile(magnitude, 0.99))
    return quantile if quantile > 0 else float(magnitude.max())
