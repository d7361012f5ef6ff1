"""Deblurring when the kernel is not known."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor

from ..codecs import CalibratedComplex, Codec, ComplexChannels, Interval
from ..consistency import misfit, relative_misfit
from ..errors import InputError
from ..levels import karras
from ..noise import Noise
from ..operators import CircularBlur, Identity, LinearOperator, Mask, Operator
from ..operators.representation import ShortRepr
from ..priors import Prior
from ..problem import Problem, straightened
from ..settings import Bounds, check
from .descent import BestSoFar, descend
from .em import DiffusionEM, find_image_and_kernel
from .kernels import KernelNetwork, off_centre
from .trajectory import Trajectory

CLOSE = 1.05  # times the least misfit: of the kernel sizes that come so near the smallest is taken
OnStep = Callable[[int, Tensor], None]


@dataclass(frozen=True)
class Blind:
    """SHRED, Alg. 2: image and kernel from a blurred image (Chihaoui, Lemkhenter & Favaro, arXiv 2405.19572).

    Adam on the initial noise of the image and on the weights of the network that draws the kernel.

    Args:
        sizes: sides of the kernel, odd; of several the smallest that explains the data as well as any is taken.
        lr: of the noise; 0.003 in the published code.
        kernel_lr: of the weights; 0.0002 in the published code.
        iterations: at most; 100 in the published code.
        gradient: "full" or "shortcut", as the published code; see `Trajectory`.
        clip: of clean estimates; see `Trajectory`.
        edges: "circular" takes the image to repeat beyond its edges; "unknown" leaves out of the data the margin of half a
            kernel, which depends on what lies outside.
    """

    sizes: tuple[Annotated[int, Bounds(at_least=3)], ...] = (41,)
    lr: Annotated[float, Bounds(above=0)] = 0.003
    kernel_lr: Annotated[float, Bounds(above=0)] = 2e-4
    iterations: Annotated[int, Bounds(at_least=1)] = 100
    gradient: Literal["full", "shortcut"] = "full"
    clip: Annotated[float | None, Bounds(above=0)] = None
    edges: Literal["circular", "unknown"] = "circular"
    default_steps: ClassVar[int] = 10

    def __post_init__(self) -> None:
        check(self)
        if not self.sizes:
            raise InputError("sizes of the kernel are missing; give one or more odd numbers")

    def operator(self, kernel: Tensor, size: tuple[int, int]) -> LinearOperator:
        """The blur of images of a (height, width) by a kernel."""
        blur = CircularBlur(kernel, size)
        if self.edges == "circular":
            return blur
        margins = [side // 2 for side in kernel.shape]
        known = kernel.new_zeros(size)
        known[tuple(slice(margin, length - margin) for margin, length in zip(margins, size, strict=True))] = 1
        return Mask(known) @ blur


@dataclass(frozen=True, repr=False)
class BlindRestoration(ShortRepr):
    """Images and the kernels that blur them into the data.

    Attributes:
        samples: (sample, channel, height, width), in the units of the data.
        kernels: (sample, side, side), non-negative and of sum 1.
        misfit: (sample,) as of `Restoration`.
        history: of each sample the mean squared misfit of all iterations, in the prior's units; empty where it was no descent.
        method, levels, seeds: how they were found.
    """

    samples: Tensor
    kernels: Tensor
    misfit: Tensor
    history: tuple[Tensor, ...]
    method: Blind | DiffusionEM
    levels: tuple[float, ...]
    seeds: tuple[int, ...]

    @property
    def best(self) -> Tensor:
        """(channel, height, width): the sample of least misfit."""
        return self.samples[int(self.misfit.argmin())]

    @property
    def kernel(self) -> Tensor:
        """(side, side): of the sample of least misfit."""
        return self.kernels[int(self.misfit.argmin())]


def restore_blind(y: Tensor, prior: Prior, method: Blind | DiffusionEM | None = None, *, sigma: float = 0.0,
                  codec: Codec | None = None, levels: Sequence[float] | None = None, steps: int | None = None, samples: int = 1,
                  seed: int = 0, on_step: OnStep | None = None) -> BlindRestoration:
    """Restores an image that an unknown kernel has blurred.

    Args:
        y: (1, channel, height, width), real or complex as the prior's images are.
        method: with its hyper-parameters; None is `DiffusionEM()`, which finds kernels where `Blind` does not
            (docs/inversion.md).
        sigma: std of every real number of the noise in y; with `Blind` it ends the descent of a sample that explains y to it,
            and `DiffusionEM` needs it above 0.
        codec: from images to the prior's coordinates; by default that of the prior's recipe, whose scale comes from y.
        levels: noise levels; by default `steps` levels of `karras` over the prior's range, for `DiffusionEM` from 5 at most.
        steps: by default as many as the method says: 30, and 10 for `Blind`.
        samples, seed: sample k begins at noise (and, with `Blind`, kernel) of seed + k.
        on_step: called with the number of the iteration or step and the images of it, in the prior's coordinates.

    Raises:
        InputError: y is no image of the prior, the kernel is larger than it, or the noise that is needed is not given.
    """
    method = DiffusionEM() if method is None else method
    codec = _codec_of_recipe(prior, y) if codec is None else codec
    _check_blurred(y, prior, method, codec, samples)
    if levels is None:
        levels = blind_levels(prior, method, method.default_steps if steps is None else steps)
    seeds = tuple(range(seed, seed + samples))
    if isinstance(method, DiffusionEM):
        noise_std = float(torch.as_tensor(Problem(Identity(), y, sigma).encoded(codec).sigma))
        if not noise_std > 0:
            raise InputError(f"sigma is {sigma:g}, and DiffusionEM weighs the data by their noise; give its std, above 0")
        found, kernels = find_image_and_kernel(codec.encode(y), prior, method, noise_std, levels, Noise(seeds, y.device),
                                               constraints=straightened(codec, _size_of(y), y.device), on_step=on_step)
        images, history = codec.decode(found), tuple(y.new_zeros(0, dtype=torch.float32) for _ in seeds)
    else:
        each = [_of_sizes(y, prior, method, sigma, codec, levels, one, on_step) for one in seeds]
        side = max(kernel.shape[-1] for _, kernel, _ in each)
        kernels = torch.stack([_in_field(kernel, side) for _, kernel, _ in each])
        images, history = torch.cat([image for image, _, _ in each]), tuple(losses for _, _, losses in each)
    misfits = torch.cat([
        relative_misfit(Problem(_blur_by(method, kernel, _size_of(y)), _measured(method, kernel, y), sigma), image[None])
        for image, kernel in zip(images, kernels, strict=True)])
    return BlindRestoration(images, kernels, misfits, history, method, tuple(levels), seeds)


def blind_levels(prior: Prior, method: Blind | DiffusionEM, steps: int) -> list[float]:
    """`steps` levels of `karras` over the prior's range; those of `DiffusionEM` begin at 5, where an image is all noise."""
    low, high = max(prior.sigma_range[0], 0.005), min(prior.sigma_range[1], 40.0)
    return karras(steps, high, low) if isinstance(method, Blind) else karras(steps, min(high, 5.0), max(low, 0.01))


def _blur_by(method: Blind | DiffusionEM, kernel: Tensor, size: tuple[int, int]) -> LinearOperator:
    """The blur by a kernel, as the method takes it to be at the edges."""
    return method.operator(kernel, size) if isinstance(method, Blind) else CircularBlur(kernel, size)


def _of_sizes(y: Tensor, prior: Prior, method: Blind, sigma: float, codec: Codec, levels: Sequence[float], seed: int,
              on_step: OnStep | None) -> tuple[Tensor, Tensor, Tensor]:
    """Image, kernel and losses from one start, with the smallest kernel that explains the data as well as any."""
    tried = []
    for size in sorted(method.sizes):
        found = _found_at_size(y, prior, method, sigma, codec, levels, size, seed, on_step)
        image, kernel = _kernel_centred(codec.decode(found.images), found.kept[0][0])
        tried.append((float(found.losses[0]) ** 0.5, image, kernel, found.history[:, 0]))
    least = min(loss for loss, *_ in tried)
    return next((image, kernel, history) for loss, image, kernel, history in tried if loss <= CLOSE * least)


def _kernel_centred(image: Tensor, kernel: Tensor) -> tuple[Tensor, Tensor]:
    """Both, shifted by whole pixels against one another so that the kernel's centre of mass is in its middle.

    A shift of the one makes up for that of the other, and the data do not tell them apart.
    """
    down, along = off_centre(kernel)
    return image.roll((down, along), (-2, -1)), kernel.roll((-down, -along), (0, 1))


def _found_at_size(y: Tensor, prior: Prior, method: Blind, sigma: float, codec: Codec, levels: Sequence[float], size: int,
                   seed: int, on_step: OnStep | None) -> BestSoFar:
    network = KernelNetwork(size, generator=torch.Generator().manual_seed(seed), device=y.device)
    noise = Noise([seed], y.device)((1, prior.channels, *_size_of(y)))
    seen = _measured(method, network(), y)

    def problem(kernel: Tensor) -> Problem[Operator]:
        return Problem(method.operator(kernel, _size_of(y)), seen, sigma).encoded(codec)

    def judge(x: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        kernel = network()
        here = problem(kernel)
        return misfit(here, x).square() / here.count, (kernel[None],)

    noise_std = float(torch.as_tensor(problem(network().detach()).sigma))
    with y.device:
        return descend(Trajectory(prior, levels, method.gradient, method.clip), noise, judge, lr=method.lr,
                       iterations=method.iterations, enough=noise_std**2 if sigma > 0 else None,
                       others=[{"params": network.weights, "lr": method.kernel_lr}], on_step=on_step)


def _measured(method: Blind | DiffusionEM, kernel: Tensor, y: Tensor) -> Tensor:
    """y where the operator measures it, zero in the margin that it leaves out."""
    sampled = _blur_by(method, kernel.detach(), _size_of(y)).sampled
    return y if sampled is None else sampled * y


def _size_of(y: Tensor) -> tuple[int, int]:
    height, width = y.shape[-2:]
    return height, width


def _in_field(kernel: Tensor, side: int) -> Tensor:
    """The kernel in the middle of a field of zeros."""
    margin = (side - kernel.shape[-1]) // 2
    return torch.nn.functional.pad(kernel, (margin,) * 4)


def _codec_of_recipe(prior: Prior, y: Tensor) -> Codec:
    """The codec of the prior's recipe; the scale of complex images is that of y, which a blur leaves about as it was."""
    match prior.recipe:
        case Interval() as interval:
            return interval
        case CalibratedComplex(quantile):
            magnitude = y.abs().flatten().cpu()
            scale = float(magnitude.kthvalue(max(1, round(quantile * len(magnitude)))).values)
            if not scale > 0:
                raise InputError("y is zero nearly everywhere, so the image has no scale; pass codec=")
            return ComplexChannels(scale)
    raise InputError(f"the prior's recipe, {prior.recipe}, gives no codec for an image; pass one with codec=")


def _check_blurred(y: Tensor, prior: Prior, method: Blind | DiffusionEM, codec: Codec, samples: int) -> None:
    """Refuses, before the first iteration, what cannot be one blurred image of the prior."""
    if samples < 1:
        raise InputError(f"samples is {samples} and must be at least 1")
    if y.ndim != 4 or len(y) != 1 or not bool(y.isfinite().all()):
        raise InputError(f"y must be one image (1, channel, height, width) of finite values, got {tuple(y.shape)}")
    size = _size_of(y)
    if any(side % prior.multiple for side in size) or (prior.size is not None and size != prior.size):
        fits = f"{prior.size} pixels" if prior.size is not None else f"multiples of {prior.multiple}"
        raise InputError(f"y has {size} pixels and the prior takes {fits}; crop it")
    image = codec.decode(torch.zeros(1, prior.channels, *size, device=y.device))
    if image.shape != y.shape or image.is_complex() != y.is_complex():
        raise InputError(f"y is {y.dtype} {tuple(y.shape)} and images of the prior are {image.dtype} {tuple(image.shape)}; "
                         "take a prior of such images")
    largest = min(size) - 1 if method.edges == "unknown" else min(size)
    side, name = (max(method.sizes), "sizes") if isinstance(method, Blind) else (method.size, "size")
    if side > largest:
        raise InputError(f"a kernel of {side} is too large for an image of {size} pixels; take `{name}` up to {largest}")
