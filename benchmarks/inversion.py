"""Inversion of the sampler, operators that are not linear, and coil maps estimated with the image: the numbers of docs/inversion.md.

Each part writes benchmarks/results/inversion-PART.json; `figures` draws docs/inversion-*.png from them and from what they kept.

    python benchmarks/inversion.py nonlinear             # JPEG, saturation, varying blur of scenes; phase retrieval of MR slices
    python benchmarks/inversion.py known                 # SHRED beside DPS, DIP, DDNM: settings, starts, time
    python benchmarks/inversion.py blind --volumes V.npz # unknown kernels beside SelfDeblur
    python benchmarks/inversion.py maps --scan FILE.mat  # coil maps from few calibration lines
    python benchmarks/inversion.py figures
"""

import argparse
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from medrestore.baselines import rss
from medrestore.codecs import ComplexChannels
from medrestore.datasets.brain import load_volumes
from medrestore.datasets.scenes import render_frame
from medrestore.inversion import Blind, kernel_correlation, restore_blind
from medrestore.io import read_kspace
from medrestore.levels import karras
from medrestore.methods import DDNM, DPS, SHRED, Method
from medrestore.metrics import psnr
from medrestore.mri import sampling_mask
from medrestore.operators import JPEG, CircularBlur, Mask, PhaseRetrieval, Saturation, motion_kernel, sample_pixels, varying_blur
from medrestore.priors import Prior, load
from medrestore.problem import Problem
from medrestore.recon import reconstruct
from medrestore.restoration import restore

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
SIDE = 64
HELD_OUT = 5000  # seed of scenes that no training used
SUBJECTS = range(52, 60)  # of the volumes, that no training used
KEPT = ROOT / "benchmarks" / "kept"  # images for the figures, not committed


def scene(number: int) -> Tensor:
    """A held-out scene (1, 3, h, w) in [0, 1]."""
    return render_frame(HELD_OUT, number, 0, size=(SIDE, SIDE)).truth[None]


def slice_of(volumes: Tensor, number: int) -> Tensor:
    """The middle of a held-out slice (1, 1, h, w), bright tissue about 1."""
    image = volumes[SUBJECTS[number % len(SUBJECTS)], 9]
    top, left = ((side - SIDE) // 2 for side in image.shape)
    image = image[top : top + SIDE, left : left + SIDE]
    return (image / image.quantile(0.99))[None, None]


def noise_like(x: Tensor, seed: int) -> Tensor:
    return torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))


def quality(image: Tensor, truth: Tensor) -> float:
    """PSNR; the images are laid over one another first, as kernels and Fourier magnitudes leave a shift open."""
    a, b = image.abs() if image.is_complex() else image, truth
    match = torch.fft.ifft2(torch.fft.fft2(b).mul(torch.fft.fft2(a).conj()).sum((0, 1))).real
    at = divmod(int(match.argmax()), a.shape[-1])
    return psnr(a.roll(at, (-2, -1)).numpy(), b.numpy(), data_range=float(b.max()))


def write(part: str, rows: list[dict[str, Any]]) -> None:
    """Stored after every row, so that a run that is stopped leaves what it measured."""
    (RESULTS / f"inversion-{part}.json").write_text(json.dumps(rows, indent=1) + "\n")


def keep(name: str, **images: Tensor) -> None:
    """Arrays for the figures."""
    KEPT.mkdir(exist_ok=True)
    np.savez(KEPT / f"{name}.npz", **{key: image.detach().numpy() for key, image in images.items()})


def anisotropic(seed: int, side: int = 41) -> Tensor:
    """A random Gaussian kernel: std 1.5 to 3.5 pixels along one direction, 0.6 to 1.6 across."""
    turn, long, short = torch.rand(3, generator=torch.Generator().manual_seed(seed)).tolist()
    at = torch.arange(side) - side // 2
    along = at * math.cos(math.pi * turn) + at[:, None] * math.sin(math.pi * turn)
    across = at[:, None] * math.cos(math.pi * turn) - at * math.sin(math.pi * turn)
    kernel = torch.exp(-0.5 * ((along / (1.5 + 2 * long)) ** 2 + (across / (0.6 + short)) ** 2))
    return kernel / kernel.sum()


def moving(seed: int, side: int = 41) -> Tensor:
    """A random straight motion of 5 to 11 pixels, in a field of zeros."""
    angle, length = torch.rand(2, generator=torch.Generator().manual_seed(seed)).tolist()
    kernel = motion_kernel(5 + 6 * length, 180 * angle)
    margin = (side - kernel.shape[-1]) // 2
    return torch.nn.functional.pad(kernel, (margin,) * 4)


def nonlinear(images: int, steps: int, step_size: float, volumes: Path | None) -> None:
    """DPS on operators that are not linear, beside what one sees without it."""
    rows: list[dict[str, Any]] = []
    kernels = torch.zeros(2, 2, 15, 15)
    for k, kernel in enumerate((motion_kernel(9.0, 20.0), motion_kernel(7.0, 70.0), motion_kernel(5.0, 120.0), motion_kernel(9.0, 160.0))):
        margin = (15 - kernel.shape[-1]) // 2
        kernels[k // 2, k % 2] = torch.nn.functional.pad(kernel, (margin,) * 4)
    tasks = {
        "JPEG, quality 10": (JPEG(10), 0.01, lambda y: y),
        "saturation, gain 2": (Saturation(2.0), 0.01, lambda y: y / 2),
        "varying motion blur": (varying_blur(kernels, (SIDE, SIDE)), 0.01, lambda y: y),
    }
    prior = load("surgical-starter", device="cpu", bf16=False)
    for number in range(images):
        truth = scene(number)
        for name, (operator, sigma, naive) in tasks.items():
            y = operator(truth) + (0 if name.startswith("JPEG") else sigma) * noise_like(truth, number)
            rows.append(by_dps(name, Problem(operator, y, sigma), prior, truth, naive(y), number, steps, step_size))
            write("nonlinear", rows)
    if volumes is None:
        return
    stored, prior, A = load_volumes(volumes), load("brain-mr-starter", device="cpu", bf16=False), PhaseRetrieval()
    for number in range(images):
        truth = slice_of(stored, number)
        y = A(truth) + 0.005 * noise_like(A(truth), number)
        naive = torch.fft.ifft2(y.to(torch.complex64), norm="ortho").real[..., :SIDE, :SIDE]
        rows.append(by_dps("phase retrieval", Problem(A, y, 0.005), prior, truth, naive, number, steps, step_size, ComplexChannels(1.0)))
        write("nonlinear", rows)


def by_dps(name: str, problem: Problem, prior: Prior, truth: Tensor, naive: Tensor, number: int, steps: int, step_size: float,
           codec: ComplexChannels | None = None) -> dict[str, Any]:
    began = time.perf_counter()
    made = restore(problem, prior, DPS(step_size), codec=codec, size=(SIDE, SIDE), levels=karras(steps, 20.0, 0.01), seed=number)
    seconds = time.perf_counter() - began
    keep(f"nonlinear {name} {number}", truth=truth, naive=naive, restored=made.samples.abs() if codec else made.samples)
    row = {"task": name, "image": number, "naive": round(quality(naive, truth), 2), "DPS": round(quality(made.samples, truth), 2),
           "misfit": round(float(made.misfit), 2), "calls": steps, "seconds": round(seconds, 1)}
    print(row, flush=True)
    return row
