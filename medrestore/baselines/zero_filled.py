"""Images straight from the samples: what is missing counts as zero."""

from dataclasses import dataclass

import torch
from torch import Tensor

from medrestore.baselines.base import Baseline, check_slice
from medrestore.fft import ifft2c


@dataclass(frozen=True)
class ZeroFilled(Baseline):
    """The adjoint of the acquisition: inverse Fourier transform of what was sampled, coils combined by their maps."""

    def reconstruct(self, kspace: Tensor, maps: Tensor, mask: Tensor) -> Tensor:
        check_slice(kspace, maps, mask)
        images = ifft2c(kspace * mask.to(kspace.device))
        return (maps.to(kspace.device).conj() * images).sum(dim=1, keepdim=True).to(torch.complex64)


def rss(kspace: Tensor) -> Tensor:
    """Root of the sum of squares of the coil images: (batch, coil, height, width) complex to (batch, 1, height, width) real."""
    return torch.linalg.vector_norm(ifft2c(kspace), dim=1, keepdim=True)
