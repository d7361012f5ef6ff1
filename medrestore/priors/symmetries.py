"""Ways in which the images that a network has learned might as well lie."""

import hashlib
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

FLIPS = {"left-right": -1, "up-down": -2}  # the axis that each turns over
PHASE = "phase"  # of complex images, as real and imaginary part: any constant phase
SYMMETRIES = (*FLIPS, PHASE)


@dataclass(frozen=True)
class Way:
    """One way to lie.

    Attributes:
        axes: that are turned over.
        phase: by which a complex image is turned, in radians.
    """

    axes: tuple[int, ...] = ()
    phase: float = 0.0

    def turned(self, x: Tensor) -> Tensor:
        """Images (batch, channel, height, width) so turned; the phase is that of the first two channels."""
        return _with_phase(x.flip(self.axes) if self.axes else x, self.phase)

    def back(self, x: Tensor) -> Tensor:
        """What `turned` has made of images, undone."""
        x = _with_phase(x, -self.phase)
        return x.flip(self.axes) if self.axes else x


def way_at(symmetries: tuple[str, ...], sigma: float) -> Way:
    """A way drawn from the symmetries, the same at each call with the same noise level and another at other levels.

    A network that has learned from images in every way to lie denoises all of them equally well, but not in the same way turned:
    what it gets wrong depends on the way. Turned at random over the levels, its errors do not add up (Terris, Moreau, Pustelnik
    & Tachella, "Equivariant plug-and-play image reconstruction", CVPR 2024, eq. 9, whose group is drawn at each iteration).
    """
    drawn = hashlib.sha256(repr(float(sigma)).encode()).digest()
    chances = {name: int.from_bytes(drawn[4 * i : 4 * i + 4]) / 2**32 for i, name in enumerate(SYMMETRIES)}
    axes = tuple(axis for name, axis in FLIPS.items() if name in symmetries and chances[name] < 0.5)
    return Way(axes, 2 * math.pi * chances[PHASE] if PHASE in symmetries else 0.0)


def are_symmetries(names: Any, channels: int) -> bool:
    """Whether these are names of symmetries that images of so many channels may have."""
    known = SYMMETRIES if channels == 2 else tuple(FLIPS)
    return isinstance(names, list | tuple) and all(name in known for name in names) and len(set(names)) == len(names)


def _with_phase(x: Tensor, phase: float) -> Tensor:
    if not phase:
        return x
    real, imaginary, c, s = x[:, :1], x[:, 1:2], math.cos(phase), math.sin(phase)
    return torch.cat([c * real - s * imaginary, s * real + c * imaginary, x[:, 2:]], 1)
