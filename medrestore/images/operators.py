"""The operators of what was done to images, for images of a size."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..io.frames.base import decode_picture
from ..io.frames.masks import to_known
from ..io.frames.pictures import read_bytes, read_values
from ..io.guards import finite, open_npy
from ..operators import (
    JPEG,
    AveragePool,
    BlockWalsh,
    Grayscale,
    Identity,
    LinearOperator,
    Mask,
    Operator,
    PhaseRetrieval,
    ReflectingBlur,
    Saturation,
    bicubic_downsample,
    gaussian_blur,
    motion_kernel,
    sample_pixels,
)
from ..operators.plugged import plugged
from .degradation import Degradation
from .steps import (
    Bicubic,
    Gaussian,
    Grey,
    Hide,
    Jpeg,
    Kernel,
    Modulus,
    Motion,
    Pixels,
    Plugged,
    Pool,
    Saturate,
    Step,
    Unknown,
    Walsh,
)

Size = tuple[int, int]
BLOCK = 32  # side of the blocks of compressed sensing where the image is no power of two
LARGEST_KERNEL = 2**20  # values of a kernel in a file
FOUND = "the kernel that was found"  # its name among the kernels of a degradation


@dataclass(frozen=True)
class DegradationFiles:
    """The masks and kernels that a degradation names, read.

    Attributes:
        masks: by name, (height, width) of 0 and 1, 1 where a pixel is kept.
        kernels: by name, (a, b), summing to one.
    """

    masks: Mapping[str, Tensor]
    kernels: Mapping[str, Tensor]

    @classmethod
    def read(cls, degradation: Degradation) -> "DegradationFiles":
        """Those of a degradation.

        Raises:
            InputError: one cannot be read, or is no mask or kernel.
        """
        masks = {step.file: read_mask(step) for step in degradation.steps if isinstance(step, Hide)}
        kernels = {
            step.file: read_kernel(step.file) for step in degradation.steps if isinstance(step, Kernel)
        }
        return cls(masks, kernels)


def read_mask(step: Hide) -> Tensor:
    """(height, width) of 0 and 1, 1 where a pixel is kept."""
    pixels, lossless = decode_picture(read_bytes(step.file), step.file, kind="mask")
    known = to_known(pixels, step.means, step.file, lossless=lossless)
    if not known.any():
        raise InputError(f"{step.file} hides every pixel; look whether `mask_means` is right")
    return torch.from_numpy(known.astype(np.float32))


def read_kernel(path: str) -> Tensor:
    """A kernel (a, b) that sums to one, from a .npy or a grey picture."""
    values = np.array(open_npy(path, max_gb=1.0)) if path.lower().endswith(".npy") else read_values(path)
    if values.ndim != 2 or values.dtype.kind not in "biuf" or values.size > LARGEST_KERNEL:
        raise InputError(
            f"{path} holds {values.dtype} of shape {values.shape}; a kernel is (height, width) of real numbers"
        )
    values = finite(values.astype(np.float64), path, "the kernel")
    if not values.sum() > 0:
        raise InputError(
            f"{path}: the values of the kernel sum to {values.sum():g}, and must sum to more than 0"
        )
    return torch.from_numpy((values / values.sum()).astype(np.float32))


def size_before(steps: Sequence[Step], measured: Size) -> Size:
    """(height, width) of the image of which something of the size `measured` is left."""
    height, width = measured
    for step in reversed(steps):
        if isinstance(step, Pool | Bicubic):
            height, width = height * step.factor, width * step.factor
        elif isinstance(step, Modulus):
            height, width = height // step.oversampling, width // step.oversampling
    return height, width


def grain(steps: Sequence[Step]) -> int:
    """What must divide the sides of an image."""
    product = 1
    for step in steps:
        product *= step.factor if isinstance(step, Pool | Bicubic) else 1
    return product


def image_channels(steps: Sequence[Step], measured: int, *, colour: bool) -> int:
    """Channels of the image of which so many are left; `colour`: whether a grey one may have been in colour."""
    return 3 if colour and any(isinstance(step, Grey) for step in steps) else measured


def operator_of(
    degradation: Degradation, size: Size, channels: int, files: DegradationFiles, number: int = 0
) -> Operator:
    """What is done to an image.

    Args:
        size: (height, width) of the image.
        channels: 1 or 3.
        number: of the slice, whose random pixels and coefficients are its own.

    Raises:
        InputError: a mask, a kernel or a factor that does not fit the image.
    """
    whole: Operator = Identity()
    for at, step in enumerate(degradation.steps):
        digest = hashlib.blake2b(repr((degradation.pattern_seed, number, at)).encode(), digest_size=7)
        seed = int.from_bytes(digest.digest())
        one = _operator(step, size, channels, files, torch.Generator().manual_seed(seed))
        whole = _after(one, whole)
        if isinstance(step, Pool | Bicubic):
            size = size[0] // step.factor, size[1] // step.factor
        elif isinstance(step, Modulus):
            size = size[0] * step.oversampling, size[1] * step.oversampling
        channels = 1 if isinstance(step, Grey) else channels
    return whole


def _after(outer: Operator, inner: Operator) -> Operator:
    if isinstance(inner, Identity):
        return outer
    if not isinstance(outer, LinearOperator) or not isinstance(inner, LinearOperator):
        raise InputError(
            f"{outer.kind} cannot follow {inner.kind}, which are not both linear; give one of them alone"
        )
    return outer @ inner


def _operator(step: Step, size: Size, channels: int, files: DegradationFiles, generator: torch.Generator) -> Operator:
    match step:
        case Pool(factor) | Bicubic(factor):
            _check_divides(factor, size)
            return AveragePool(factor, size) if isinstance(step, Pool) else bicubic_downsample(size, factor)
        case Gaussian(std):
            if 4 * max(std) > min(size):
                raise InputError(
                    f"a blur of std {max(std):g} reaches over more than the {size[0]} x {size[1]} pixels of the image; "
                    "give a smaller std"
                )
            return gaussian_blur(size, (std[0], std[-1]))
        case Motion(length, angle):
            return _reflecting_blur(motion_kernel(length, angle), size, f"a motion over {length:g} pixels")
        case Kernel(file):
            return _reflecting_blur(files.kernels[file], size, file)
        case Unknown(side):
            kernel = files.kernels.get(FOUND)
            return _reflecting_blur(torch.ones(1, 1) if kernel is None else kernel, size, f"a kernel of {side} pixels")
        case Grey(weights):
            return Identity() if channels == 1 else Grayscale(weights)
        case Hide(file):
            return Mask(_fitting(files.masks[file], size, file))
        case Pixels(keep):
            _check_share(keep, size)
            return sample_pixels(size, keep, generator=generator)
        case Jpeg(quality, white):
            return JPEG(quality, high=white)
        case Saturate(gain, white):
            return Saturation(gain, -math.inf, white)  # black is no end: no image lies below it
        case Modulus(oversampling):
            return PhaseRetrieval(oversampling)
        case Walsh(keep, block):
            _check_share(keep, size)
            transform = BlockWalsh(size, torch.randperm(_block_side(block, size) ** 2, generator=generator))
            return Mask(_kept_coefficients(transform, keep, generator)) @ transform
        case Plugged(name, options):
            return plugged(name, size, channels, options)


def _check_divides(factor: int, size: Size) -> None:
    for side, name in zip(size, ("rows", "columns"), strict=True):
        if side % factor:
            raise InputError(
                f"{side} {name} do not divide by a factor of {factor}; pass `crop` to leave out the last "
                f"{side % factor}, or crop the image yourself"
            )


def _check_share(keep: float, size: Size) -> None:
    if round(keep * size[0] * size[1]) < 1:
        raise InputError(f"a share of {keep:g} of {size[0]} x {size[1]} pixels is none of them; keep more")


def _reflecting_blur(kernel: Tensor, size: Size, name: str) -> ReflectingBlur:
    if any(k > n for k, n in zip(kernel.shape, size, strict=True)):
        raise InputError(
            f"{name}: the kernel has {kernel.shape[0]} x {kernel.shape[1]} pixels, more than the image of "
            f"{size[0]} x {size[1]}; cut its empty border off, or give the right one"
        )
    return ReflectingBlur(kernel, size)


def _fitting(mask: Tensor, size: Size, name: str) -> Tensor:
    if tuple(mask.shape) != size:
        raise InputError(
            f"{name} has {mask.shape[0]} x {mask.shape[1]} pixels (rows x columns), and the image there has "
            f"{size[0]} x {size[1]}; give a mask of that size"
        )
    return mask


def _block_side(given: int | None, size: Size) -> int:
    """Side of the blocks."""
    if given is not None and given.bit_count() != 1:
        raise InputError(
            f"blocks of {given} pixels have no Walsh-Hadamard transform; give a power of two as `block`"
        )
    if given is None and size[0] == size[1] and size[0].bit_count() == 1:
        return size[0]
    return given or BLOCK


def _kept_coefficients(transform: BlockWalsh, keep: float, generator: torch.Generator) -> Tensor:
    """(height, width) of 0 and 1: random coefficients, the mean of every block among them."""
    kept = sample_pixels(transform.size, keep, generator=generator).keep
    rows, columns = (_block_starts(side, transform.side) for side in transform.size)
    kept[rows[:, None], columns] = 1
    return kept


def _block_starts(length: int, side: int) -> Tensor:
    """Where blocks begin along a side."""
    starts, at = [], 0
    while at < length:
        starts.append(at)
        at += side if length - at >= side else 1 << ((length - at).bit_length() - 1)
    return torch.tensor(starts)
