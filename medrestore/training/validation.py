"""Validation of a denoiser on held-out images, as scores and as pictures, with fixed noise."""

import math
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

from ..codecs import CalibratedComplex, Recipe
from ..files import write_file
from ..io.scenes.writer import encode_png
from ..levels import karras
from ..priors.parametrisations import Network, Parametrisation
from .batches import SAMPLES, stream
from .checkpoint import ADVICE
from .conditioning import Told
from .loss import Draw, Weight
from .task import SCORE

LEVELS = (0.02, 0.1, 0.5, 2.0)  # std of the noise
COLUMNS = (SCORE, *(f"psnr_at_{level}" for level in LEVELS))
BATCH = 16  # images in one call of the network
HIGHEST, LOWEST = 40.0, 0.01  # noise levels between which samples are drawn


@torch.no_grad()
def scores(
    net: Told, target: Parametrisation, images: Tensor, *, draw: Draw, weight: Weight, seed: int
) -> dict[str, float]:
    """The denoising loss, and the denoising PSNR in dB at each of `LEVELS`.

    The peak is 1: the magnitude that complex images have about, and half the range of images in [-1, 1].

    Args:
        net: the network, told what is known of these images.
        images: (n, channels, height, width) clean, on the network's device.
    """
    generator = stream(seed, SAMPLES, 1, device=images.device)
    noise = torch.randn(images.shape, generator=generator, device=images.device)

    def error(sigma: Tensor) -> Tensor:
        """(n,) mean squared error of every real number of each image."""
        x = images + sigma.reshape(-1, 1, 1, 1) * noise
        return (_denoised(net, target, x, sigma) - images).square().mean((1, 2, 3))

    sigma = draw(len(images), generator)
    scores = {SCORE: float((weight(sigma) * error(sigma)).mean())}
    numbers = 2 if images.shape[1] == 2 else 1  # in a pixel of a complex image
    for level in LEVELS:
        scores[f"psnr_at_{level}"] = float(
            -10 * (numbers * error(torch.full_like(sigma, level)).mean()).log10()
        )
    return scores


def _denoised(net: Told, target: Parametrisation, x: Tensor, sigma: Tensor) -> Tensor:
    parts = [range(len(x))[start : start + BATCH] for start in range(0, len(x), BATCH)]
    return torch.cat([target.estimate(net(part), x[part.start : part.stop], sigma[part.start : part.stop]) for part in parts])


@torch.no_grad()
def sampled_images(net: Network, target: Parametrisation, noise: Tensor, *, steps: int = 20) -> Tensor:
    """Images from white noise: DDIM with eta 0 (Song, Meng & Ermon, ICLR 2021) on Karras noise levels."""
    low, high = target.sigma_range
    levels = karras(steps, min(high, HIGHEST), max(low, LOWEST))
    x = levels[0] * noise
    for sigma, below in pairwise(levels):
        x0 = target.estimate(net, x, torch.full((len(x),), sigma, device=x.device))
        x = x0 + below / sigma * (x - x0)
    return x


@torch.no_grad()
def pictures(
    net: Told, target: Parametrisation, images: Tensor, recipe: Recipe, *, seed: int
) -> dict[str, Tensor]:
    """Sheets to look at, (1 or 3, height, width) in [0, 1].

    Args:
        net: the network, told what is known of these images; the samples are of the same classes.
        images: (n, channels, height, width) clean.

    Returns:
        `samples`, eight images from noise; `denoising`, a row for each of `LEVELS` of clean, noisy, denoised
        triples.
    """
    generator = stream(seed, SAMPLES, 2, device=images.device)
    noise = torch.randn((8, *images.shape[1:]), generator=generator, device=images.device)
    shown = images[:4]
    cells = []
    for level in LEVELS:
        noisy = shown + level * noise[: len(shown)]
        clean = target.estimate(net(range(len(shown))), noisy, torch.full((len(shown),), level, device=images.device))
        cells.append(torch.stack([shown, noisy, clean], 1).flatten(0, 1))
    return {
        "samples": _sheet(_visible(sampled_images(net([number % len(images) for number in range(8)]), target, noise), recipe),
                          columns=4),
        "denoising": _sheet(_visible(torch.cat(cells), recipe), columns=3 * len(shown)),
    }


def write_pictures(sheets: dict[str, Tensor], folder: Path, seen: int) -> None:
    """`<name>-<images seen>.png` of each sheet."""
    for name, sheet in sheets.items():
        pixels = (sheet * 255).round().byte().permute(1, 2, 0).numpy()
        png = encode_png(pixels[..., 0] if len(sheet) == 1 else pixels)
        write_file(folder / f"{name}-{seen:09d}.png", png, advice=ADVICE)


def _visible(images: Tensor, recipe: Recipe) -> Tensor:
    """(n, 1 or 3, height, width) in [0, 1]: magnitudes of complex images, else all channels or the first."""
    images = images.cpu()
    if isinstance(recipe, CalibratedComplex):
        return images.square().sum(1, keepdim=True).sqrt().clamp(0, 1)
    return ((images if images.shape[1] in (1, 3) else images[:, :1]) + 1).div(2).clamp(0, 1)


def _sheet(images: Tensor, *, columns: int) -> Tensor:
    """Images (n, channels, height, width) side by side, (channels, rows * height, columns * width)."""
    n, channels, height, width = images.shape
    rows = math.ceil(n / columns)
    filled = torch.cat([images, images.new_zeros(rows * columns - n, channels, height, width)])
    return (
        filled.reshape(rows, columns, channels, height, width)
        .permute(2, 0, 3, 1, 4)
        .reshape(channels, rows * height, -1)
    )
