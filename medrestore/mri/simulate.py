"""Simulated scans: the k-space that a coil array with known noise acquires of an image."""

import torch
from torch import Tensor

from ..errors import InputError
from ..fft import fft2c

_PHASE_ORDER = 3  # cosines an axis: varies over the field of view like a B0 or coil phase, not like anatomy


def simulate_scan(
    image: Tensor,
    maps: Tensor,
    mask: Tensor,
    *,
    noise_std: float | None = None,
    snr_db: float | None = None,
    generator: torch.Generator,
) -> Tensor:
    """k-space (1, coil, h, w) complex64 of a complex image (1, 1, h, w), with noise on the sampled entries only.

    maps: (1, coil, h, w); mask: (1, w) or (h, w). The noise is given either as `noise_std`, the std of every real
    number of it in k-space units, or as `snr_db` = 20 log10(a / b), a being the rms of the image inside the support of
    the maps and b = sqrt(2) noise_std the std of the complex noise. The transform is orthonormal, so noise has the
    same std in k-space as in coil images. Raises InputError unless exactly one of the two is given.
    """
    if noise_std is None and snr_db is not None:
        std = _std_for(image, maps, snr_db)
    elif noise_std is not None and snr_db is None:
        std = noise_std
    else:
        raise InputError("A simulated scan takes either noise_std or snr_db, not both and not neither.")
    kspace = fft2c(maps * image).to(torch.complex64)
    noise = torch.randn(*kspace.shape, 2, generator=generator, dtype=torch.float32)
    return (kspace + std * torch.view_as_complex(noise).to(kspace.device)) * mask


def add_smooth_phase(image: Tensor, generator: torch.Generator, *, strength: float = 1.0) -> Tensor:
    """The image (1, 1, h, w) with a smooth random phase, complex64: a sum of low cosines, `strength` radians rms."""
    height, width = image.shape[-2:]
    y, x = (torch.cos(torch.pi * torch.arange(_PHASE_ORDER)[:, None] * (torch.arange(n) + 0.5) / n) for n in (height, width))
    phase = torch.einsum("ij,ih,jw->hw", torch.randn(_PHASE_ORDER, _PHASE_ORDER, generator=generator), y, x)
    return (image * torch.exp(1j * strength * phase / phase.square().mean().sqrt())).to(torch.complex64)


def _std_for(image: Tensor, maps: Tensor, snr_db: float) -> float:
    support = (maps != 0).any(dim=1, keepdim=True)
    rms = image.abs()[support.expand_as(image)].square().mean().sqrt()
    return float(rms) * 10 ** (-snr_db / 20) / 2**0.5
