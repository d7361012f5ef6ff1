"""The end-to-end variational network: cascades of a data term and a U-Net, with coil maps of its own."""

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from ..errors import InputError
from ..extras import extra
from ..fft import fft2c, ifft2c
from ..mri.sampling import calibration_region
from ..settings import Bounds
from .supervised import Channels, Correction, Reconstructor

GRID = 64  # samples a side of the calibration block that coil maps are made from


@dataclass(eq=False, repr=False)
class VarNet(Reconstructor):
    """k <- k - eta M (k - y) - E U(R k), cascade by cascade: Sriram et al., MICCAI 2020, section 3.

    M is the mask, R combines coil images by the coil maps, E is its adjoint and U a U-Net. The cascades are MONAI's
    `VariationalNetworkModel`. Departures from the paper: the network's own coil maps only serve inside; the last k-space is
    combined by the maps that every baseline is given, which makes a complex image of the same phase as theirs instead of a
    root-sum-of-squares. U begins at zero, so a new network is the zero-filled image. Coil maps are made by `CoilMaps`.

    Args:
        cascades: how many.
        channels: of the first level of each cascade's U-Net.
        map_channels: of the first level of the U-Net for coil maps.
    """

    kind = "varnet"
    cascades: Annotated[int, Bounds(at_least=1, at_most=64)] = 4
    channels: Channels = 16
    map_channels: Channels = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        with extra("baselines", "a supervised baseline"):
            from monai.apps.reconstruction.networks.nets.varnet import VariationalNetworkModel

        self.model = VariationalNetworkModel(CoilMaps(self.map_channels), _LastAxis(Correction(self.channels)), self.cascades)

    def forward(self, kspace: Tensor, maps: Tensor, mask: Tensor) -> Tensor:
        return (maps.conj() * ifft2c(self.kspace(kspace, mask))).sum(1, keepdim=True)

    def kspace(self, kspace: Tensor, mask: Tensor) -> Tensor:
        """The k-space after the last cascade, (batch, coil, height, width) complex64; arguments as for `forward`."""
        measured, sampled = torch.view_as_real(kspace), mask[..., None] > 0
        own = self.model.coil_sensitivity_model(measured, sampled)
        k = measured
        for cascade in self.model.cascades:
            k = cascade(k, measured, sampled, own)
        return torch.view_as_complex(k.contiguous())


class CoilMaps(nn.Module):
    """Coil maps of unit root-sum-of-squares from the calibration region, coil by coil through one U-Net.

    Sriram et al., 2020, section 3.2, but the U-Net corrects the low-resolution coil images instead of replacing them, and works
    at their resolution: at most 64 samples a side, brought to the full grid by zeros around them. Takes the place of MONAI's
    model, which knows masks along one axis only, runs past the end of a mask without gaps, takes a region one column off where
    the width is odd and its own number of columns even, and divides by zero for a dead coil.

    Args:
        channels: of the first level of the U-Net.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.correction = Correction(channels)

    def forward(self, kspace: Tensor, mask: Tensor) -> Tensor:
        """Maps shaped like `kspace`, (batch, coil, height, width, 2); `mask` is (batch, 1, height, width, 1)."""
        k = torch.view_as_complex(kspace)
        batch, coils, *size = k.shape
        rows, columns = (slice(n // 2 - min(n, GRID) // 2, n // 2 - min(n, GRID) // 2 + min(n, GRID)) for n in size)
        small = ifft2c((k * _calibration_windows(mask[:, 0, ..., 0]))[..., rows, columns]).flatten(0, 1)[:, None]
        corrected = fft2c(small + self.correction(small)).unflatten(0, (batch, coils))[:, :, 0]
        padded = torch.zeros_like(k)
        padded[..., rows, columns] = corrected
        images = ifft2c(padded)
        norm = images.abs().square().sum(1, keepdim=True).clamp(min=1e-20).sqrt()
        return torch.view_as_real(images / norm)


class _LastAxis(nn.Module):
    """A correction in the form of MONAI's cascades: (batch, 1, height, width, 2), to be subtracted."""

    def __init__(self, correction: Correction) -> None:
        super().__init__()
        self.correction = correction

    def forward(self, x: Tensor) -> Tensor:
        return torch.view_as_real(self.correction(torch.view_as_complex(x.contiguous())))


def _calibration_windows(masks: Tensor) -> Tensor:
    """1 in the calibration region of each mask (batch, height, width) and 0 elsewhere, (batch, 1, height, width)."""
    windows = torch.zeros(len(masks), 1, *masks.shape[1:], device=masks.device)
    for window, mask in zip(windows, masks, strict=True):
        rows, columns = calibration_region(mask)
        if rows.stop == rows.start or columns.stop == columns.start:
            raise InputError("The centre of k-space is not sampled, so there is nothing to make coil maps from; "
                             "take another baseline.")
        window[0, rows, columns] = 1
    return windows
