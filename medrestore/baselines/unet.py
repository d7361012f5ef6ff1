"""The U-Net baseline: the zero-filled image plus the correction of a U-Net."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..fft import ifft2c
from .supervised import Channels, Correction, Reconstructor


@dataclass(eq=False, repr=False)
class UNet(Reconstructor):
    """Zero-filled SENSE image plus a U-Net's correction: Zbontar et al., arXiv:1811.08839, section 6.

    The paper's U-Net maps the magnitude of one coil or of the root-sum-of-squares to the magnitude of the target; this one
    takes and gives complex images and predicts the difference. It never sees the samples again, so nothing binds the image to
    the data.

    Args:
        channels: of the first level.
    """

    kind = "unet"
    channels: Channels = 32

    def __post_init__(self) -> None:
        super().__post_init__()
        self.correction = Correction(self.channels)

    def forward(self, kspace: Tensor, maps: Tensor, mask: Tensor) -> Tensor:
        image = (maps.conj() * ifft2c(kspace)).sum(1, keepdim=True).to(torch.complex64)
        return image + self.correction(image)
