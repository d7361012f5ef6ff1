"""The problems that are timed, and how their parts are usually written."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

from medrestore.fft import fft2c, ifft2c
from medrestore.mri import add_smooth_phase, simulate_scan, simulated_maps
from medrestore.operators import Sense


@dataclass(frozen=True)
class Size:
    """How large everything is.

    Args:
        side, coils: of the one image.
        several, several_side, several_coils: of those that come at once.
        samples: of a posterior.
        calls, sample_calls: network calls of the whole run, and of the run on all samples.
        widths: channels of each level of the network.
        slices, slice_side, slice_coils: of the volume.
        scans: (coils, (height, width)) for which it is measured when an exact form pays.
    """

    side: int = 320
    coils: int = 15
    several: int = 8
    several_side: int = 256
    several_coils: int = 16
    samples: int = 8
    calls: int = 50
    sample_calls: int = 10
    widths: tuple[int, ...] = (64, 128, 128, 160)
    slices: int = 36
    slice_side: int = 256
    slice_coils: int = 8
    scans: tuple[tuple[int, tuple[int, int]], ...] = ((8, (217, 182)), (16, (256, 256)), (15, (320, 320)), (8, (640, 368)))


QUICK = Size(side=64, coils=8, several=3, several_side=48, several_coils=6, samples=2, calls=4, sample_calls=3,
             widths=(32, 32), slices=3, slice_side=64, slice_coils=4, scans=((4, (48, 40)),))


def plain_normal(sense: Sense, x: Tensor) -> Tensor:
    """Ah A as it is usually written: shift, transform both axes, shift, mask, and back."""
    return (sense.maps.conj() * ifft2c(sense.mask * fft2c(sense.maps * x))).sum(1, keepdim=True)


def cg_walk(normal: Callable[[Tensor], Tensor], b: Tensor, x: Tensor, gamma: float) -> Iterator[Tensor]:
    """x, and what each conjugate-gradient step makes of it on the way to (I + gamma Ah A)^-1 (x + gamma Ah y)."""
    def square(r: Tensor) -> Tensor:
        return r.abs().square().sum((1, 2, 3), keepdim=True)

    r = gamma * (b - normal(x))
    p, rr = r, square(r)
    while True:
        yield x
        Ap = p + gamma * normal(p)
        alpha = rr / (p.conj() * Ap).real.sum((1, 2, 3), keepdim=True)
        x, r = x + alpha * p, r - alpha * Ap
        rr, old = square(r), rr
        p = r + rr / old * p


def plain_cg(sense: Sense, b: Tensor, x: Tensor, gamma: float, steps: int) -> Tensor:
    """The data step of DDS in its usual form: a few conjugate-gradient steps with the plain operator."""
    return next(islice(cg_walk(lambda z: plain_normal(sense, z), b, x, gamma), steps, None))


def head(coils: int, shape: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """A fully sampled scan (1, coil, h, w) of a textured ellipse with air around it, and a mask of 24 central lines."""
    generator = torch.Generator().manual_seed(0)
    maps = simulated_maps(coils, shape, generator=generator)
    scan = simulate_scan(ellipse(shape, generator), maps, torch.ones(1, shape[1]), snr_db=30, generator=generator)
    lines = torch.zeros(1, shape[1])
    lines[:, shape[1] // 2 - 12 : shape[1] // 2 + 12] = 1
    return scan, lines


def ellipse(shape: tuple[int, int], generator: torch.Generator) -> Tensor:
    """A textured ellipse (1, 1, h, w) of about unit brightness, with a smooth phase."""
    y, x = (torch.linspace(-1, 1, n) for n in shape)
    inside = (y[:, None] / 0.85) ** 2 + (x / 0.7) ** 2 < 1
    return add_smooth_phase((inside * (0.6 + 0.4 * torch.rand(shape, generator=generator)))[None, None], generator)


def distance(x: Tensor, y: Tensor) -> float:
    """|x - y| / |y|, the images of a batch taken together."""
    return float(torch.linalg.vector_norm((x - y).flatten()) / torch.linalg.vector_norm(y.flatten()))
