"""Deblurring when the kernel is not known, by expectation and maximisation along the trajectory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor

from ..consistency import project
from ..errors import InputError
from ..noise import Noise
from ..operators import PseudoInvertible
from ..priors import Prior
from ..problem import Problem
from ..settings import Bounds, check

PENALTY = 0.1  # of the splitting that finds a kernel, relative to the mean power of the image
FINEST, COARSEST = 0.05, 1.0  # noise levels between which the kernel is looked for
AVERAGED = 5  # kernels of the last of these levels, of which the mean is taken
BROAD = 16.0  # side of the first kernel, a Gaussian, over its std, which is a pixel at least


@dataclass(frozen=True)
class DiffusionEM:
    """Image and kernel in turn, at every noise level: Laroche, Almansa & Coupete, WACV 2024 (Fast Diffusion EM, Alg. 2).

    E-step: the clean estimate made to agree with the data by the present kernel. M-step: the kernel that explains the data best
    on average over the image's posterior, non-negative and of sum 1. Departures: the posterior of the image is the Gaussian of
    mean and covariance known in closed form (blurs are diagonal in the Fourier domain) where the paper draws samples; the
    kernel lies on the simplex, where the paper denoises it by a network; the estimates of the last levels are averaged, and a
    second trajectory with the kernel as it is draws the image.

    Args:
        size: side of the kernel, odd.
        lam: how much less than their noise justifies data are trusted while the kernel is looked for. With 1 the image
            explains the data by the present kernel, whatever that is, and the kernel hardly moves.
        spread: of the image's covariance in the M-step; 0 looks for a kernel that suits the mean alone.
        image_lam: as `lam`, once the kernel is fixed.
        iterations: of the splitting of each M-step.
        edges: "circular" takes the image to repeat beyond its edges; "tapered" blends pictures that do not into a blurred
            copy of themselves there.

    Where the constants come from: docs/inversion.md.
    """

    size: Annotated[int, Bounds(at_least=3)] = 41
    lam: Annotated[float, Bounds(above=0)] = 100.0
    spread: Annotated[float, Bounds(at_least=0)] = 2.0
    image_lam: Annotated[float, Bounds(above=0)] = 3.0
    iterations: Annotated[int, Bounds(at_least=1)] = 30
    edges: Literal["circular", "tapered"] = "circular"
    default_steps: ClassVar[int] = 30

    def __post_init__(self) -> None:
        check(self)
        if self.size % 2 == 0:
            raise InputError(f"the side of a blur kernel must be odd, got {self.size}")


@dataclass(frozen=True)
class Explained:
    """What is known of an image at one noise level.

    Attributes:
        x: (sample, channel, h, w) mean of the image given the clean estimate, data and kernel.
        variance: (sample, h, w) of each of its unnormalised Fourier coefficients, of one channel.
        open: how many channels have it; None for all.
    """

    x: Tensor
    variance: Tensor
    open: int | None = None


@dataclass(frozen=True)
class Known:
    """What is known of an image exactly, besides its data.

    Attributes:
        constraints: on every pixel alike.
        open: channels that they leave open.
    """

    constraints: Sequence[Problem[PseudoInvertible]]
    open: int

    def held(self, image: Explained) -> Explained:
        """The image with its mean on the constraints, and its variance in what they leave open."""
        x = image.x
        for one in self.constraints:
            x = project(one, x)
        return Explained(x, image.variance, self.open)


def find_image_and_kernel(y: Tensor, prior: Prior, method: DiffusionEM, sigma: float, levels: Sequence[float], noise: Noise, *,
                          constraints: Sequence[Problem[PseudoInvertible]] = (),
                          on_step: Callable[[int, Tensor], None] | None = None) -> tuple[Tensor, Tensor]:
    """Images and kernels (sample, side, side) from a blurred image in the prior's coordinates.

    Args:
        y: (1, channel, h, w).
        sigma: std of the noise in y, above 0.
        levels: noise levels of each of the two trajectories, the last of them 0.
        noise: one stream per sample.
        constraints: what else is known of the image, exactly: what stays open has so many channels less.
        on_step: called with the number of the step, over both trajectories, and the images.
    """
    kernels = first_kernels(len(noise.seeds), method.size, y.device)
    known = Known(constraints, y.shape[1] - sum(one.y.shape[1] for one in constraints))
    data = tapered(y, kernels[:1]) if method.edges == "tapered" else y
    _, found = _trajectory(data, prior, method, sigma, levels, noise, kernels, known, on_step)
    kernels = torch.stack(found[-AVERAGED:]).mean(0)
    if method.edges == "tapered":
        data = torch.cat([tapered(y, kernel[None]) for kernel in kernels])
    x, _ = _trajectory(data, prior, method, sigma, levels, noise, kernels, known, on_step, fixed=True)
    return x, kernels


def _trajectory(y: Tensor, prior: Prior, method: DiffusionEM, sigma: float, levels: Sequence[float], noise: Noise,
                kernels: Tensor, known: "Known", on_step: Callable[[int, Tensor], None] | None, *,
                fixed: bool = False) -> tuple[Tensor, list[Tensor]]:
    """The images at the end of the levels, and the kernels of those at which they are looked for; with `fixed` at none."""
    shape = (len(noise.seeds), *y.shape[1:])
    x, found = levels[0] * noise(shape), []
    lam, first = (method.image_lam, len(levels) - 1) if fixed else (method.lam, 0)
    for i, (level, lower) in enumerate(pairwise(levels)):
        image = known.held(expected_image(prior(x, level), y, kernels, level**2 / lam, sigma))
        if not fixed and FINEST < level < COARSEST:
            kernels = fitted_kernel(image, y, kernels, method)
            found.append(kernels)
        x = image.x
        if lower > 0:
            x = x + lower * noise(shape)
        if on_step is not None:
            on_step(first + i, x)
    return x, found


def expected_image(x0: Tensor, y: Tensor, kernels: Tensor, variance: float, sigma: float) -> Explained:
    """The E-step: the image given a clean estimate x0 of a variance, and y = k * x + n: argmin |x - x0|^2 + gamma |k * x - y|^2.

    Args:
        x0: (sample, channel, h, w).
        y: (1 or sample, channel, h, w).
        kernels: (sample, side, side).
        variance: of the pixels of x0, one from another independent.
        sigma: std of n.
    """
    height, width = x0.shape[-2:]
    transfer, gamma = transfers(kernels, (height, width)), variance / sigma**2
    share = 1 / (1 + gamma * transfer.abs().square())
    x = share[:, None] * (torch.fft.fft2(x0) + gamma * transfer.conj()[:, None] * torch.fft.fft2(y))
    return Explained(torch.fft.ifft2(x).real, height * width * variance * share)


def fitted_kernel(image: Explained, y: Tensor, kernels: Tensor, method: DiffusionEM) -> Tensor:
    """The M-step: argmin_k E|k * x - y|^2 over kernels that are not negative and sum to 1, by splitting from `kernels`."""
    side, (height, width) = kernels.shape[-1], y.shape[-2:]
    x = torch.fft.fft2(image.x)
    product = (x.conj() * torch.fft.fft2(y)).sum(1)
    unsure = y.shape[1] if image.open is None else image.open
    power = x.abs().square().sum(1) + method.spread * unsure * image.variance
    weight = PENALTY * power.mean((-2, -1), keepdim=True)
    z, dual = kernels, torch.zeros_like(kernels)
    for _ in range(method.iterations):
        free = torch.fft.ifft2((product + weight * transfers(z - dual, (height, width))) / (power + weight)).real
        k = free.roll((side // 2, side // 2), (-2, -1))[..., :side, :side]
        z = on_simplex(k + dual)
        dual = dual + k - z
    return z


def on_simplex(v: Tensor) -> Tensor:
    """The nearest kernels (sample, side, side) that are not negative and sum to 1 (Held, Wolfe & Crowder, 1974)."""
    flat = v.flatten(1)
    ordered = flat.sort(1, descending=True).values
    over = (ordered.cumsum(1) - 1) / torch.arange(1, flat.shape[1] + 1, device=v.device)
    last = (ordered > over).sum(1, keepdim=True) - 1
    return (flat - over.gather(1, last)).clamp(min=0).reshape(v.shape)


def transfers(kernels: Tensor, size: tuple[int, int]) -> Tensor:
    """(sample, h, w) complex: how kernels (sample, side, side), their origin in the middle, act on Fourier coefficients."""
    side = kernels.shape[-1]
    field = torch.nn.functional.pad(kernels, (0, size[1] - side, 0, size[0] - side))
    return torch.fft.fft2(field.roll((-(side // 2), -(side // 2)), (-2, -1)))


def first_kernels(count: int, side: int, device: torch.device) -> Tensor:
    """(count, side, side): a Gaussian, where nothing is known."""
    at = (torch.arange(side, device=device) - side // 2) / max(1.0, side / BROAD)
    kernel = torch.exp(-0.5 * (at[:, None].square() + at.square()))
    return (kernel / kernel.sum()).expand(count, side, side)


def tapered(y: Tensor, kernels: Tensor) -> Tensor:
    """Images (1, channel, h, w) that go over into blurred copies of themselves within half a kernel of their edges.

    What a circular blur by `kernels` (1, side, side) leaves is then continuous across the edges.
    """
    height, width = y.shape[-2:]
    blurred = torch.fft.ifft2(transfers(kernels, (height, width))[:, None] * torch.fft.fft2(y)).real
    reach = kernels.shape[-1] // 2
    down, along = (_taper(length, reach, y.device) for length in (height, width))
    inside = down[:, None] * along
    return inside * y + (1 - inside) * blurred


def _taper(length: int, reach: int, device: torch.device) -> Tensor:
    """1 inside, and down to 0 at the ends, by a raised cosine over `reach`."""
    at = torch.arange(length, device=device)
    return 0.5 - 0.5 * torch.cos(torch.pi * (torch.minimum(at, length - 1 - at) / reach).clamp(max=1))
