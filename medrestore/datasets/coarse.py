"""Coarse images made of fine ones, for networks that learn to undo it: plain pooling, or a random recipe.

The recipe is in the manner of BSRGAN (Zhang et al., ICCV 2021, sec. 3), whose training latent super-resolution follows
(Rombach et al., CVPR 2022, sec. 4.4): blur, resizing, noise and JPEG compression in random order, once each, and the factor
at the end.
"""

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ..operators.jpeg import JPEG
from .augment import uniform

Recipe = Literal["bsr", "average"]
WIDEST = 2.0  # std of the blur at most, pixels of the fine image at a factor of 4, in proportion at others
SIZES = (0.5, 1.2)  # of the resized image, relative
MODES = ("area", "bilinear", "bicubic")
NOISIEST = 25 / 255  # std of the noise at most, of the span from black to white
QUALITIES = (30, 95)  # of the JPEG
RADIUS = 10  # of the blur kernel, pixels


def coarse(image: Tensor, factor: int, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """The coarse image (channels, height / factor, width / factor) of one (channels, height, width).

    Args:
        image: in [-1, 1], or complex as (real, imaginary) of magnitude about 1: two channels, which are not compressed.
        factor: how many pixels become one along each axis; must divide the sides.
        generator: of all chance; `average`, means over pixels, has none.
    """
    size = (image.shape[-2] // factor, image.shape[-1] // factor)
    x = image[None]
    if recipe == "bsr":
        steps = STEPS[:3] if len(image) == 2 else STEPS
        for number in torch.randperm(len(steps), generator=generator).tolist():
            x = steps[number](x, factor, generator)
        if x.shape[-2:] != image.shape[-2:]:
            x = F.interpolate(x, size=image.shape[-2:], mode="bilinear", antialias=True, align_corners=False)
    x = F.adaptive_avg_pool2d(x, size)[0]
    return x if len(image) == 2 else x.clamp(-1, 1)


def _blurred(x: Tensor, factor: int, generator: torch.Generator) -> Tensor:
    """By a Gaussian, half of the time of two stds at an angle."""
    widest = WIDEST * factor / 4
    first = uniform(generator, 0.1, widest)
    second = uniform(generator, 0.1, widest) if float(torch.rand((), generator=generator)) < 0.5 else first
    angle = uniform(generator, 0, math.pi)
    at = torch.arange(-RADIUS, RADIUS + 1, dtype=x.dtype, device=x.device)
    rows, columns = torch.meshgrid(at, at, indexing="ij")
    along, across = columns * math.cos(angle) + rows * math.sin(angle), rows * math.cos(angle) - columns * math.sin(angle)
    kernel = (-((along / first) ** 2 + (across / second) ** 2) / 2).exp()
    kernel = (kernel / kernel.sum()).expand(x.shape[1], 1, -1, -1)
    radius = min(RADIUS, x.shape[-1] - 1, x.shape[-2] - 1)
    kernel = kernel[..., RADIUS - radius : RADIUS + radius + 1, RADIUS - radius : RADIUS + radius + 1]
    kernel = kernel / kernel.sum((-2, -1), keepdim=True)
    return F.conv2d(F.pad(x, (radius,) * 4, mode="reflect"), kernel, groups=x.shape[1])


def _resized(x: Tensor, factor: int, generator: torch.Generator) -> Tensor:
    """To another size, by one of three filters."""
    scale = uniform(generator, *SIZES)
    mode = MODES[int(torch.randint(len(MODES), (), generator=generator))]
    size = [max(8, round(side * scale)) for side in x.shape[-2:]]
    smooth = {} if mode == "area" else {"antialias": True, "align_corners": False}
    return F.interpolate(x, size=size, mode=mode, **smooth)


def _noisy(x: Tensor, factor: int, generator: torch.Generator) -> Tensor:
    """With white noise, whose std is of the span of 2, or of a magnitude of 1."""
    span = 1.0 if x.shape[1] == 2 else 2.0
    return x + span * uniform(generator, 0, NOISIEST) * torch.randn(x.shape, generator=generator)


def _compressed(x: Tensor, factor: int, generator: torch.Generator) -> Tensor:
    """By JPEG."""
    quality = round(uniform(generator, *QUALITIES))
    return JPEG(quality, low=-1.0, high=1.0)(x.clamp(-1, 1))


STEPS: tuple[Callable[[Tensor, int, torch.Generator], Tensor], ...] = (_blurred, _resized, _noisy, _compressed)
