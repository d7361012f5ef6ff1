"""Complex brain images for a two-channel prior, made from magnitude slices by wide augmentation.

A magnitude slice says nothing of phase, coil shading or other contrasts, and a prior that has seen one contrast at
one resolution fails on the next scanner. So each crop gets its own geometry and resolution (by Fourier truncation,
as a scanner would have acquired it), tissue contrast, shading and smooth phase.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..fft import fft2c, ifft2c

ZOOMS = (1.0, 1.4, 2.0, 2.7)  # pixel sizes, in source pixels, of the stored resolutions
WIDEST = 270  # source pixels: a crop that covers more is mostly air


def load_volumes(path: Path | str) -> Tensor:
    """Axial slices as (subject, slice, height, width) in [0, 1], anterior up; empty slices stay empty.

    Args:
        path: an .npz with key `vol`, uint8 (subject, x, y, slice).
    """
    with np.load(path, allow_pickle=False) as file:
        volumes = file["vol"]
    return torch.from_numpy(np.ascontiguousarray(volumes.transpose(0, 3, 2, 1)[:, :, ::-1])).float() / 255


def truncate(image: Tensor, zoom: float) -> Tensor:
    """The slice as acquired with pixels `zoom` times larger: the centre of its k-space, mean kept."""
    h, w = image.shape[-2:]
    m, n = (2 * round(side / zoom / 2) for side in (h, w))
    top, left = h // 2 - m // 2, w // 2 - n // 2
    k = fft2c(image.to(torch.complex64))[..., top : top + m, left : left + n]
    return ifft2c(k).abs() * (m * n / (h * w)) ** 0.5


def _uniform(generator: torch.Generator, low: float, high: float, *shape: int) -> Tensor:
    return low + (high - low) * torch.rand(shape, generator=generator)


@dataclass
class ComplexCrops:
    """Random complex crops of magnitude slices, as (batch, 2, side, side): real and imaginary part, magnitude about 1.

    Args:
        volumes: (subject, slice, height, width) in [0, 1].
        generator: where every random choice comes from.
    """

    volumes: Tensor
    generator: torch.Generator

    def __post_init__(self) -> None:
        slices = self.volumes.flatten(0, 1)
        slices = slices[slices.mean((1, 2)) > 0.02]
        self._stacks = [slices if zoom == 1 else truncate(slices, zoom) for zoom in ZOOMS]

    def __call__(self, batch: int, side: int) -> Tensor:
        g = self.generator
        fitting = [stack for stack, zoom in zip(self._stacks, ZOOMS, strict=True) if zoom == 1 or zoom * side <= WIDEST]
        stack = fitting[int(torch.randint(len(fitting), (), generator=g))]
        images = stack[torch.randint(len(stack), (batch,), generator=g)][:, None]
        contrast = self._contrast(batch)
        bright = torch.quantile(contrast(images[..., ::2, ::2]).flatten(1), 0.99, dim=1).clamp(min=0.05)
        crop = contrast(F.grid_sample(images, self._grid(images.shape[-2:], batch, side), align_corners=False).clamp(min=0))
        gain = (0.15 * torch.randn(batch, generator=g)).exp() / bright
        shading = (_uniform(g, 0.05, 0.35, batch, 1, 1, 1) * self._smooth(batch, side, 3)).exp()
        magnitude = crop * shading * gain[:, None, None, None]
        phase = self._phase(batch, side)
        return torch.cat([magnitude * phase.cos(), magnitude * phase.sin()], 1)

    def _grid(self, source: torch.Size, batch: int, side: int) -> Tensor:
        """Rotation (any quarter turn and up to 20 degrees), flip, zoom, stretch and shift of each crop."""
        g = self.generator
        angle = _uniform(g, -0.35, 0.35, batch) + math.pi / 2 * torch.randint(4, (batch,), generator=g)
        zoom = _uniform(g, math.log(0.75), math.log(1.1), batch).exp()
        stretch = _uniform(g, 0.9, 1.1, batch)
        flip = 2 * torch.randint(2, (batch,), generator=g) - 1
        rotate = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1).reshape(-1, 2, 2)
        scale = torch.stack([zoom * stretch * flip, zoom / stretch], 1)
        pixels = (torch.arange(side) - (side - 1) / 2).float()
        yx = torch.stack(torch.meshgrid(pixels, pixels, indexing="xy"), -1).reshape(1, -1, 2)  # (x, y)
        size = torch.tensor([source[1], source[0]], dtype=torch.float32)
        room = (size - 0.6 * side).clamp(min=0.15 * size[0]) / 2
        shift = _uniform(g, -1, 1, batch, 1, 2) * room
        at = (yx * scale[:, None]) @ rotate.transpose(1, 2) + shift
        return (2 * at / size).reshape(batch, side, side, 2)

    def _contrast(self, batch: int):
        """A random tissue contrast for each image: a curve from intensity to intensity, air staying dark."""
        g, knots = self.generator, 7
        plain = torch.linspace(0, 1, knots).repeat(batch, 1)
        curve = torch.rand(batch, knots, generator=g)
        curve[:, 0] = 0
        share = torch.where(torch.rand(batch, 1, generator=g) < 0.35, 0.0, torch.rand(batch, 1, generator=g))
        curve = (1 - share) * plain + share * curve

        def apply(image: Tensor) -> Tensor:
            at = (image.clamp(0, 1) * (knots - 1)).flatten(1)
            i = at.long().clamp(max=knots - 2)
            low, high = curve.gather(1, i), curve.gather(1, i + 1)
            return (low + (at - i) * (high - low)).reshape(image.shape)

        return apply

    def _smooth(self, batch: int, side: int, cells: int) -> Tensor:
        """A smooth field of about unit variance, (batch, 1, side, side)."""
        coarse = torch.randn(batch, 1, cells, cells, generator=self.generator)
        return F.interpolate(coarse, size=(side, side), mode="bicubic", align_corners=True)

    def _phase(self, batch: int, side: int) -> Tensor:
        g = self.generator
        slow = _uniform(g, 0.0, 1.5, batch, 1, 1, 1) * self._smooth(batch, side, 3)
        fine = _uniform(g, 0.0, 0.3, batch, 1, 1, 1) * self._smooth(batch, side, 7)
        return slow + fine + _uniform(g, 0, 2 * math.pi, batch, 1, 1, 1)
