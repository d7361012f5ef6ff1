"""The interface of reconstructions without a prior."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from ..errors import InputError
from ..operators import NonCartesian, SmoothPhase


class Baseline(ABC):
    """A reconstruction of one slice from its samples and coil maps, without a diffusion prior.

    Attributes:
        holds_phase: whether it can hold the phase of the image to a known one, by `in_phase`.
    """

    holds_phase: ClassVar[bool] = False

    @abstractmethod
    def reconstruct(self, kspace: Tensor, maps: Tensor, mask: Tensor) -> Tensor:
        """The image behind `kspace`.

        Args:
            kspace: (1, coil, height, width) complex, centred; what `mask` leaves out is ignored.
            maps: coil sensitivities (set, coil, height, width).
            mask: (1, width) or (height, width), 1 where sampled and 0 elsewhere.

        Returns:
            (1, set, height, width) complex64, an image for each set of maps, in the units of `kspace`, on its device.

        Raises:
            InputError: shapes do not fit together, or values are not finite.
        """

    def along(self, A: NonCartesian, y: Tensor) -> Tensor:
        """The images (1, set, height, width) complex64 behind samples (1, coil, readout, sample) along a trajectory.

        Args:
            A: of one slice, its mask 0 or 1.
            y: what the mask leaves out is ignored.

        Raises:
            InputError: the method takes Cartesian scans alone.
        """
        raise InputError(f"{type(self).__name__} takes Cartesian scans alone, and this one was acquired along a trajectory; take "
                         "zero-filled, CG-SENSE, total variation or L1-wavelet")

    def in_phase(self, A: SmoothPhase, y: Tensor) -> Tensor:
        """The image (1, 1, height, width) complex64 behind samples of A's encoding, its phase held to that of A.

        Args:
            A: of one slice, the mask of its encoding 0 or 1.
            y: samples of the encoding; what the mask leaves out is ignored.

        Raises:
            InputError: the method holds no phase.
        """
        raise InputError(f"{type(self).__name__} holds no phase; take CG-SENSE, total variation or L1-wavelet")


def check_slice(kspace: Tensor, maps: Tensor, mask: Tensor, *, several: bool = False) -> None:
    """Refuse what no baseline can reconstruct, in one sentence.

    Args:
        several: whether it takes several sets of maps.
    """
    if kspace.ndim != 4 or len(kspace) != 1 or not kspace.is_complex():
        raise InputError(f"k-space is {_describe(kspace)} but one slice, complex (1, coil, height, width), is needed.")
    if len(maps) > 1 and not several:
        raise InputError(f"There are {len(maps)} sets of coil maps and this method takes one; take zero-filled, CG-SENSE, "
                         "total variation or L1-wavelet, which take several.")
    if maps.shape[1:] != kspace.shape[1:] or not maps.is_complex():
        raise InputError(f"The coil maps are {_describe(maps)} but k-space is {_describe(kspace)}; "
                         "compute the maps from this scan.")
    height, width = kspace.shape[-2:]
    if tuple(mask.shape) not in ((1, width), (height, width)):
        raise InputError(f"The mask is {_describe(mask)} but k-space needs (1, {width}) or ({height}, {width}).")
    if not ((mask == 0) | (mask == 1)).all() or not mask.any():
        raise InputError("The mask must be 0 or 1 everywhere and keep at least one sample.")
    if not torch.isfinite(kspace).all():
        raise InputError("k-space has values that are not finite; convert the scan again.")
    if not torch.isfinite(maps).all():
        raise InputError("The coil maps have values that are not finite; estimate them again.")
    if not maps.any():
        raise InputError("The coil maps are zero everywhere, so no image can be formed; estimate them again.")


def _describe(values: Tensor) -> str:
    return f"{str(values.dtype).removeprefix('torch.')} {tuple(values.shape)}"
