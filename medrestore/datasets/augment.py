"""Random crops to train on: complex MR from magnitudes or complex images, RGB frames, and MONAI's transforms.

A magnitude slice says nothing of phase, coil shading or other contrasts, and a prior that has seen one
contrast at one resolution fails on the next scanner. So each complex crop gets its own geometry and
resolution (by Fourier truncation, as a scanner would have acquired it), tissue contrast, shading and smooth
phase.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..codecs import CalibratedComplex
from ..errors import InputError
from ..fft import fft2c, ifft2c
from ..settings import Bounds, Checked, build
from .base import Augment, Images

# pixel sizes, in source pixels, at which a slice may have been acquired
ZOOMS = (1.0, 1.4, 2.0, 2.7, 3.8, 5.3)
COARSEST = 72  # pixels along the longer side of a slice: a coarser one shows no anatomy
WIDEST = 1.25  # of the longer side: a crop that covers more is mostly air
KNOTS = 7  # of a contrast curve
SAMPLES = 12_000  # pixels of a slice that its brightness is judged by
Share = Annotated[float, Bounds(at_least=0, at_most=1)]
BRIGHTEST = 1.5  # magnitude at most that tells tissues apart; more are outliers such as vessels


def uniform(generator: torch.Generator, low: float, high: float) -> float:
    """A number drawn evenly from [low, high)."""
    return low + (high - low) * float(torch.rand((), generator=generator))


def truncate(image: Tensor, zoom: float) -> Tensor:
    """The complex image (..., h, w) at pixels `zoom` times larger: the centre of its k-space; the mean is
    unchanged.
    """
    image = image.to(torch.complex64)
    for axis in (-1, -2):  # one after the other: the second transform has fewer columns to do
        size = image.shape[axis]
        samples = min(max(2 * round(size / zoom / 2), 2), size)
        k = fft2c(image, axes=(axis,)).narrow(axis, size // 2 - samples // 2, samples)
        image = ifft2c(k, axes=(axis,)) * (samples / size) ** 0.5
    return image


def smooth(size: int | tuple[int, int], cells: int, generator: torch.Generator) -> Tensor:
    """A smooth random field of about unit variance: (height, width), or (size, size)."""
    coarse = torch.randn(1, 1, cells, cells, generator=generator)
    return F.interpolate(coarse, size=size, mode="bicubic", align_corners=True)[0, 0]


@dataclass(frozen=True)
class ComplexMR(Checked):
    """Complex crops (real, imaginary), magnitude about 1, of magnitude slices or of complex ones, whose phase
    is preserved.

    Each crop is the slice at a resolution of its own, turned (any quarter turn and up to 20 degrees),
    flipped, stretched and moved, with a random tissue contrast (a curve from magnitude to magnitude, air
    staying dark), shading and smooth phase. Slices of any size will do; what a crop covers beyond them is
    zero.

    Args:
        contrast: the share of crops that get another tissue contrast, from 0 to 1.
    """

    channels = 2
    symmetries = ("left-right", "up-down", "phase")
    contrast: Share = 0.65

    def __call__(self, image: Tensor, side: int, generator: torch.Generator) -> Tensor:
        return self._with_grid(image, side, generator)[0]

    def pair(self, image: Tensor, reference: Tensor, side: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """A crop, and the magnitude of another image of the same place, of a brightness of its own."""
        crop, grid = self._with_grid(image, side, generator)
        gain = math.exp(0.15 * float(torch.randn((), generator=generator)))
        return crop, gain * F.grid_sample(_magnitude(reference)[None, None], grid, align_corners=False)[0]

    def _with_grid(self, image: Tensor, side: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """A crop, and the positions of its pixels in the slice."""
        if image.shape[0] not in (1, 2) or (image.shape[0] == 1 and float(image.min()) < 0):
            raise InputError("complex_mr needs magnitudes (one channel, none below 0) or complex images (two channels); "
                             "set magnitude: true and channels: 1 for pictures of magnitudes, or use frames.")  # fmt: skip
        image = self._at_resolution(image, side, generator)
        curve = self._curve(generator)
        every = max(1, math.isqrt(image.shape[-1] * image.shape[-2] // SAMPLES))
        judged = _magnitude(image[:, ::every, ::every])
        top = min(max(float(judged.max()), 1.0), BRIGHTEST)
        seen = _apply_curve(judged, curve, top).flatten()
        bright = float(seen.kthvalue(max(1, round(0.99 * len(seen)))).values)
        grid = self._grid(image.shape[-2:], side, generator)
        crop = F.grid_sample(image[None], grid, align_corners=False)[0]
        gain = math.exp(0.15 * float(torch.randn((), generator=generator))) / max(bright, 0.05)
        shading = (uniform(generator, 0.05, 0.35) * smooth(side, 3, generator)).exp()
        before = _magnitude(crop)
        magnitude = _apply_curve(before, curve, top) * shading * gain
        slow = uniform(generator, 0.0, 1.5) * smooth(side, 3, generator)
        fine = uniform(generator, 0.0, 0.3) * smooth(side, 7, generator)
        phase = slow + fine + uniform(generator, 0, 2 * math.pi)
        if len(crop) == 1:
            return torch.stack([magnitude * phase.cos(), magnitude * phase.sin()]), grid
        out = torch.view_as_real(torch.polar(magnitude / before.clamp(min=1e-6), phase) * torch.complex(crop[0], crop[1]))
        return out.permute(2, 0, 1).contiguous(), grid

    def _at_resolution(self, image: Tensor, side: int, generator: torch.Generator) -> Tensor:
        """The slice at a resolution that leaves it recognisable and lets the crop show more than air."""
        longer = max(image.shape[-2:])
        fitting = [zoom for zoom in ZOOMS if zoom == 1 or (zoom * side <= WIDEST * longer and zoom * COARSEST <= longer)]
        zoom = fitting[int(torch.randint(len(fitting), (), generator=generator))]
        if zoom == 1:
            return image
        coarse = truncate(torch.complex(image[0], image[1] if len(image) == 2 else torch.zeros_like(image[0])), zoom)
        return coarse.abs()[None] if len(image) == 1 else torch.view_as_real(coarse).permute(2, 0, 1)

    def _grid(self, source: torch.Size, side: int, generator: torch.Generator) -> Tensor:
        """Positions of the crop's pixels in the slice, (1, side, side, 2) in grid_sample's coordinates."""
        angle = uniform(generator, -0.35, 0.35) + math.pi / 2 * int(torch.randint(4, (), generator=generator))
        zoom = math.exp(uniform(generator, math.log(0.75), math.log(1.1)))
        stretch = uniform(generator, 0.9, 1.1)
        flip = 2 * int(torch.randint(2, (), generator=generator)) - 1
        wide, tall = zoom * stretch * flip, zoom / stretch
        height, width = source
        least = 0.15 * width
        across, along = (uniform(generator, -1, 1) * max(n - 0.6 * side, least) / 2 for n in (width, height))
        c, s = math.cos(angle), math.sin(angle)
        affine = torch.tensor([[[c * wide * side / width, -s * tall * side / width, 2 * across / width],
                                [s * wide * side / height, c * tall * side / height, 2 * along / height]]])  # fmt: skip
        return F.affine_grid(affine, [1, 1, side, side], align_corners=False)

    def _curve(self, generator: torch.Generator) -> Tensor:
        """A random tissue contrast, (KNOTS,): from 0 at air, through any level, mixed with the plain one."""
        plain = torch.linspace(0, 1, KNOTS)
        drawn = torch.rand(KNOTS + 2, generator=generator)
        share = float(drawn[-1]) if float(drawn[-2]) < self.contrast else 0.0
        curve = (1 - share) * plain + share * drawn[:KNOTS]
        curve[0] = 0
        return curve


def _magnitude(image: Tensor) -> Tensor:
    """(h, w) of (1, h, w) or (2, h, w)."""
    return image[0].clamp(min=0) if len(image) == 1 else image[0].hypot(image[1])


def _apply_curve(magnitude: Tensor, curve: Tensor, top: float) -> Tensor:
    """The curve, which has its knots from 0 to `top`, applied to magnitudes; those above `top` count as
    `top`.
    """
    at = (magnitude / top).clamp(max=1) * (KNOTS - 1)
    i = at.long().clamp(max=KNOTS - 2)
    steps = curve.diff()
    return (curve[i] + (at - i) * steps[i]) * top


@dataclass(frozen=True)
class Frames(Checked):
    """Crops of RGB or grey pictures in [-1, 1]: zoomed out (antialiased), moved, flipped, with other light.

    Args:
        zoom_out: how much of a picture a crop shows, as a share of all that it can: 0 takes every crop at
            full resolution, 1 draws evenly, on a logarithmic scale, from full resolution to the whole of the
            shorter side.
        flip: left to right, half of the time.
        turns: any quarter turn.
        brightness: of the light, up to this share more or less.
        contrast: about the crop's mean, up to this share more or less.
        balance: of the channels against each other, up to this share more or less.
    """

    channels = None
    zoom_out: Share = 1.0
    flip: bool = True
    turns: bool = False
    brightness: Share = 0.2
    contrast: Share = 0.2
    balance: Share = 0.08

    @property
    def symmetries(self) -> tuple[str, ...]:
        return ("left-right",) * self.flip + ("up-down",) * (self.flip and self.turns)

    def __call__(self, image: Tensor, side: int, generator: torch.Generator) -> Tensor:
        height, width = image.shape[-2:]
        largest_zoom = max(min(height, width) / side, 1.0)
        extent = min(round(side * largest_zoom ** (self.zoom_out * uniform(generator, 0, 1))), height, width)
        top, left = (int(torch.randint(n - extent + 1, (), generator=generator)) for n in (height, width))
        crop = image[:, top : top + extent, left : left + extent]
        if extent != side:
            crop = F.interpolate(crop[None], size=(side, side), mode="bilinear", antialias=True,
                                 align_corners=False)[0]
        draw = torch.rand(7, generator=generator).tolist()
        if self.flip and draw[0] < 0.5:
            crop = crop.flip(-1)
        if self.turns:
            crop = crop.rot90(int(4 * draw[1]), (-2, -1))
        return self._relight(crop, [2 * value - 1 for value in draw[2:]])

    def _relight(self, crop: Tensor, draw: list[float]) -> Tensor:
        """Other light: all of it acts on [0, 1], where black stays black under brightness."""
        light = (crop + 1) / 2
        gains = torch.tensor([1 + self.balance * value for value in draw[: len(crop)]])[:, None, None]
        gains = gains * (1 + self.brightness * draw[3]) if len(crop) > 1 else torch.tensor(1 + self.brightness * draw[3])
        light = light * gains
        mean = light.mean()
        return (2 * (mean + (light - mean) * (1 + self.contrast * draw[4])) - 1).clamp(-1, 1)


@dataclass(frozen=True)
class Plain:
    """A random window of the image and nothing else; what it covers beyond the image is its darkest value."""

    channels = None

    def __call__(self, image: Tensor, side: int, generator: torch.Generator) -> Tensor:
        return window(image, side, generator)

    def pair(self, image: Tensor, reference: Tensor, side: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The same window of both."""
        if image.shape[-2:] != reference.shape[-2:]:
            raise InputError(f"an image is {tuple(image.shape[-2:])} and its reference image {tuple(reference.shape[-2:])}; they "
                             "must be of one size, registered to each other")
        parts = (*image.split(2 if len(image) == 2 else 1), *reference.split(1))  # each padded by its own darkest value
        state = generator.get_state()
        made = []
        for part in parts:
            generator.set_state(state)
            made.append(window(part, side, generator))
        together = torch.cat(made)
        return together[: len(image)], together[len(image) :]


def window(image: Tensor, side: int, generator: torch.Generator) -> Tensor:
    """A random window (c, side, side) of an image (c, h, w), which is padded around with its least value
    where smaller.

    Complex images, which have two channels, are padded with 0.
    """
    height, width = image.shape[-2:]
    tall, wide = max(side - height, 0), max(side - width, 0)
    if tall or wide:
        least = 0.0 if len(image) == 2 else float(image.min())
        image = F.pad(image, (wide // 2, wide - wide // 2, tall // 2, tall - tall // 2), value=least)
    top, left = (int(torch.randint(max(n - side, 0) + 1, (), generator=generator)) for n in (height, width))
    return image[:, top : top + side, left : left + side].clone()


def check_light(augment: Augment, images: Images) -> None:
    """Refuses to change the light of images whose black is not -1: MR in the units of its own brightness.

    Raises:
        InputError: `frames` on such images.
    """
    if isinstance(augment, Frames) and isinstance(images.recipe, CalibratedComplex):
        raise InputError("augment: frames is for pictures in [-1, 1], and these images are magnitudes or complex; "
                         "take complex_mr or crop.")


KINDS: dict[str, type[Augment]] = {"complex_mr": ComplexMR, "frames": Frames, "crop": Plain}


def augmentation(spec: str | Mapping[str, Any] | Sequence[Any] | None) -> Augment:
    """The augmentation of a config.

    Args:
        spec: `complex_mr`, `frames` or `crop`; a mapping with that as `kind` and settings beside it; or a
            list of MONAI transforms, each a name or {name: {argument: value}}, after which a random window is
            taken; null is `crop`.

    Raises:
        InputError: unknown names, settings or values.
    """
    if isinstance(spec, Sequence) and not isinstance(spec, str):
        from .monai_transforms import MonaiTransforms

        return MonaiTransforms(spec)
    settings = dict(spec) if isinstance(spec, Mapping) else {"kind": "crop" if spec is None else spec}
    kind = settings.pop("kind", None)
    if not isinstance(kind, str) or kind not in KINDS:
        raise InputError(f"augment: kind must be one of {', '.join(KINDS)}, or give a list of MONAI transforms; got {kind!r}.")
    return build(KINDS[kind], settings, f"augment {kind}")
