"""Frames that are blurred: the kernel is found in what is known of a frame, and what fills it is blurred alike."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from ..codecs import Interval, Padded
from ..errors import InputError
from ..inversion import DiffusionEM
from ..inversion.em import find_image_and_kernel
from ..levels import karras
from ..noise import Noise
from ..operators import Mask, ReflectingBlur
from ..operators.base import Window
from ..priors import Prior
from ..problem import Problem
from ..restoration import padded_size
from ..sampling import in_batches, sample
from .plan import Plan

WIDEST = 256  # sides of the part of a frame in which a kernel is looked for, pixels
FIRST, LAST = 5.0, 0.01  # noise levels of the search, in the prior's units
LEAST_NOISE = 1.0  # grey levels: what a blur leaves faint cannot be told from rounding


def kernel_of_frame(frame: Tensor, known: Tensor, side: int, prior: Prior, codec: Interval, plan: Plan, *,
                    device: torch.device | str = "cpu") -> Tensor:
    """The kernel (side, side) that has blurred a frame, from the largest square of it that nothing hides.

    Args:
        frame: (3, height, width) uint8.
        known: (height, width) bool.
        codec: of the prior.

    Raises:
        InputError: no such square is twice as large as the kernel and suits the prior.
    """
    rows, columns = seen_square(known)
    length = prior.size[0] if prior.size is not None else min(rows.stop - rows.start, WIDEST) // prior.multiple * prior.multiple
    if length < 2 * side or length > rows.stop - rows.start:
        least = length if prior.size is not None else -(-2 * side // prior.multiple) * prior.multiple
        raise InputError(f"the largest square of the frame that nothing hides has {rows.stop - rows.start} x "
                         f"{rows.stop - rows.start} pixels, and to find a blur of {side} it takes {least} x {least}; give a "
                         "smaller `blur`, or leave it out")
    top, left = (part.start + (part.stop - part.start - length) // 2 for part in (rows, columns))
    y = frame[None, :, top : top + length, left : left + length].to(device) / 255
    low, high = prior.sigma_range
    method = DiffusionEM(side, edges="tapered")
    _, kernels = find_image_and_kernel(codec.encode(y), prior, method, _noise_of(plan) / codec.scale,
                                       karras(method.default_steps, min(high, FIRST), max(low, LAST)), Noise([plan.seed], device))
    return kernels[0]


def seen_square(known: Tensor) -> Window:
    """The largest square of odd sides of a mask (height, width) in which all is known; empty where nothing is."""
    depth = torch.from_numpy(ndimage.distance_transform_cdt(F.pad(known, (1, 1, 1, 1)).numpy(), "chessboard"))[1:-1, 1:-1]
    row, column = divmod(int(depth.argmax()), known.shape[1])
    reach = int(depth.max())
    start, stop = (0, 0) if reach == 0 else (1 - reach, reach)
    return slice(row + start, row + stop), slice(column + start, column + stop)


def blurred_fills(frame: Tensor, known: Tensor, kernel: Tensor, prior: Prior, codec: Interval, plan: Plan,
                  seeds: Sequence[int], device: torch.device | str) -> Tensor:
    """Samples (sample, 3, height, width) of a part of a frame, in grey levels, as blurred as the frame is.

    The sharp image is restored from what its blur shows where nothing hides it, and blurred again.

    Args:
        frame, known: of the part.
        kernel: of the blur.
        seeds: of the noise of each sample.
        device: of the prior.
    """
    size, keep = (known.shape[0], known.shape[1]), known.to(device).float()
    blur = ReflectingBlur(kernel, size)
    problem = Problem(Mask(keep) @ blur, keep * frame[None].to(device) / 255, _noise_of(plan)).encoded(codec)
    field = Padded(padded_size(prior, size), size)
    inner = problem.encoded(field)

    def draw(some: Sequence[int]) -> Tensor:
        return sample(inner, prior, plan.sampler, plan.levels(prior), noise=Noise(some, device), size=field.size)

    z = torch.cat(list(in_batches(draw, seeds, plan.batch_size)))
    return (255 * blur(codec.decode(field.decode(z)))).cpu()


def _noise_of(plan: Plan) -> float:
    """Std of the noise of frames in [0, 1]."""
    return max(plan.noise_std, LEAST_NOISE) / 255
