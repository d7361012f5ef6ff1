"""One frame: its hole filled by a prior, its known pixels untouched."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from ..codecs import Interval
from ..errors import InputError
from ..methods import FRAMES, serving
from ..noise import Noise, derived_seed
from ..operators import LinearOperator, Mask, ReflectingBlur
from ..operators.base import Window
from ..priors import Prior
from ..problem import Problem
from ..tiling import hierarchical, mask_shift
from ..tiling import plan as windows_of
from ..tiling.mask_shift import checked
from .blur import blurred_fills, kernel_of_frame
from .plan import Plan


@dataclass(frozen=True)
class LatticeMask(Mask):
    """A mask whose windows begin at multiples of `step` pixels."""

    step: int = 1

    @property
    def grain(self) -> int:
        return self.step

    def restrict(self, window: Window) -> Mask:
        return LatticeMask(self.keep[(..., *window)], self.step)

    def coarsen(self, factor: int) -> tuple[Mask, int]:
        coarse, by = super().coarsen(factor)
        return LatticeMask(coarse.keep, 1 if self.step % factor else self.step // factor), by


def check_inpaint_plan(plan: Plan, prior: Prior) -> None:
    """Refuses a prior that is not one of RGB pictures, and a plan that does not suit it.

    Raises:
        InputError: in one sentence, what does not fit and what would.
    """
    check_rgb(prior.channels, isinstance(prior.recipe, Interval), "the prior")
    plan.check_levels(prior)
    window, shift, step = plan.grid(prior)
    grain = math.lcm(
        step, 2 if plan.factor == "auto" else plan.factor
    )  # "auto" halves a picture once its lattice is used up
    sampler = plan.sampler
    empty = _masked_frame(torch.zeros(3, *window), torch.ones(window, dtype=torch.bool), 0.0, step, prior)
    if plan.noise_std > 0 and sampler.exact:
        raise InputError(f"{type(sampler).__name__} takes the known pixels as free of noise; with `noise_std` take one of "
                         f"{serving(empty.operator, noisy=True, use=FRAMES)}")
    if plan.blur is not None and (prior.size is not None or not sampler.served_by(_seen_through_blur(window))):
        raise InputError("`blur` takes a prior of any size and a method that needs no spectrum; take as `method` one of "
                         f"{serving(_seen_through_blur(window), noisy=True, use=FRAMES)}")
    try:
        checked(empty, prior, sampler, window, shift, grain)
    except (TypeError, ValueError) as error:
        raise InputError(f"`window` and `shift`: {error}") from error


def _seen_through_blur(size: tuple[int, int]) -> LinearOperator:
    """What is measured of a blurred frame of a size."""
    return Mask(torch.ones(size)) @ ReflectingBlur(torch.ones(1, 1), size)


def check_rgb(channels: int, interval: bool, name: str) -> None:
    """Refuses a prior that is not one of RGB pictures."""
    if channels != 3 or not interval:
        what = f"of {channels} channels{'' if interval else ', not of pictures in an interval'}"
        raise InputError(
            f"{name} is a prior {what}, and frames need one of RGB pictures; give another `prior`"
        )


def inpaint_frame(
    frame: Tensor,
    known: Tensor,
    prior: Prior,
    plan: Plan,
    *,
    before: Tensor | None = None,
    device: torch.device | str = "cpu",
    spread: Callable[[Window, Tensor], None] | None = None,
) -> Tensor:
    """The frame with its hole filled; known pixels are those of the frame, bit by bit.

    Args:
        frame: (3, height, width) uint8.
        known: (height, width) bool.
        prior, plan: of the fill; the mask is taken as it is, `Plan.grow` and `Plan.temporal_fill` are of
            scenes.
        before: the result of the previous frame, like `frame`, to begin from at `Plan.warm_start`.
        device: where to compute.
        spread: called with each part of the frame that is restored, and there with the std of the samples, (height, width)
            in grey levels, mean over the colours; zero where pixels are known.

    Returns:
        (3, height, width) uint8.
    """
    if bool(known.all()):
        return frame
    filled = frame.clone()
    kernel = None
    if plan.blur is not None:
        kernel = kernel_of_frame(frame, known, plan.blur, prior, _picture_codec(prior), plan, device=device)
    for here in regions(known, prior, plan):
        cut = (..., *here)
        smooth = smooth_fill(frame[cut], known[here])
        start, level = smooth, plan.start_sigma if bool(known[here].any()) else None
        if before is not None and plan.warm_start is not None:
            start, level = before[cut], plan.warm_start
        samples = _fill_region(
            frame[cut],
            known[here],
            None if level is None else (start, level),
            (here[0].start, here[1].start),
            prior,
            plan,
            device,
            kernel,
        )
        if spread is not None:
            spread(here, samples.std(0, correction=min(1, len(samples) - 1)).mean(0).where(~known[here], 0.0))
        fill = samples.mean(0).round().clamp(0, 255).to(torch.uint8)
        filled[cut] = torch.where(known[here], frame[cut], feathered(fill, smooth, known[here], plan.feather))
    return filled


def regions(known: Tensor, prior: Prior, plan: Plan) -> list[Window]:
    """The parts of a frame to restore, without overlap: time and memory go with the holes, not the frame.

    Exact pixels: each hole with half of its side, or half a window if that is more, around it, out to
    multiples of the window. Noisy pixels are restored as well, so there it is the windows of the holes alone,
    those that touch together.
    """
    window, shift, step = plan.grid(prior)
    size = (known.shape[0], known.shape[1])
    if size[0] < window[0] or size[1] < window[1]:
        return [(slice(0, size[0]), slice(0, size[1]))]
    if plan.noise_std > 0:
        boxes, gap = windows_of(~known, window, shift, grain=step), 1  # side by side they share a hole
    else:
        boxes, gap = [_surroundings(box, size, window, step) for box in _holes(known, step)], 0
    apart: list[Window] = []
    for box in boxes:
        while met := [one for one in apart if _meet(one, box, gap)]:
            apart = [one for one in apart if not _meet(one, box, gap)]
            rows, columns = ([one[axis] for one in (box, *met)] for axis in (0, 1))
            box = _span(rows), _span(columns)
        apart.append(box)
    return apart


def _span(parts: Sequence[slice]) -> slice:
    """From the first start of several slices to their last stop."""
    return slice(min(part.start for part in parts), max(part.stop for part in parts))


def windows_of_frame(known: Tensor, prior: Prior, plan: Plan) -> int:
    """How many windows a frame takes, those of coarser pictures left out."""
    window, shift, step = plan.grid(prior)
    count = 0
    for here in regions(known, prior, plan) if not bool(known.all()) else ():
        unknown = ~known[here] if plan.noise_std == 0 else torch.ones_like(known[here])
        spare = [-(-max(n, w) // step) * step - n for n, w in zip(unknown.shape, window, strict=True)]
        count += len(windows_of(F.pad(unknown, (0, spare[1], 0, spare[0])), window, shift, grain=step))
    return count


def _holes(known: Tensor, step: int) -> list[Window]:
    """Boxes around the holes, out to multiples of `step`."""
    height, width = known.shape
    hidden = (
        F.pad(~known, (0, -width % step, 0, -height % step))
        .unfold(0, step, step)
        .unfold(1, step, step)
        .any(-1)
        .any(-1)
    )
    return [(slice(step * rows.start, min(step * rows.stop, height)),
             slice(step * columns.start, min(step * columns.stop, width)))
            for rows, columns in ndimage.find_objects(ndimage.label(hidden.numpy())[0])]


def _surroundings(box: Window, size: tuple[int, int], window: tuple[int, int], step: int) -> Window:
    """The box of a hole with what the restoration of it looks at, at least a window, on the lattice."""
    grown = []
    for side, n, w in zip(box, size, window, strict=True):
        margin = max(w, side.stop - side.start) // 2
        first = min(max(side.start - margin, 0) // w * w, (n - w) // step * step)
        grown.append(slice(first, min(-(-(side.stop + margin) // w) * w, n)))
    return grown[0], grown[1]


def _meet(a: Window, b: Window, gap: int) -> bool:
    """Whether there are fewer than `gap` pixels between two boxes; with a gap of 0, whether they overlap."""
    return all(
        one.start < other.stop + gap and other.start < one.stop + gap for one, other in zip(a, b, strict=True)
    )


def _fill_region(
    frame: Tensor,
    known: Tensor,
    start: tuple[Tensor, float] | None,
    corner: tuple[int, int],
    prior: Prior,
    plan: Plan,
    device: torch.device | str,
    kernel: Tensor | None,
) -> Tensor:
    """Samples of one region, (sample, 3, height, width) grey levels, from a picture and its noise level or from noise.

    Noise is drawn by where the region lies. With the kernel of a blur the region is restored at once, from noise.
    """
    window, shift, step = plan.grid(prior)
    codec, size = _picture_codec(prior), (known.shape[0], known.shape[1])
    seeds = [derived_seed(plan.seed + k, *corner, size=7) for k in range(plan.samples)]
    if kernel is not None:
        return blurred_fills(frame, known, kernel, prior, codec, plan, seeds, device)
    problem = _masked_frame(frame.to(device) / 255, known.to(device), plan.noise_std / 255, step, prior)
    common: dict[str, Any] = dict(size=size, window=window, shift=shift, noise=Noise(seeds, device), batch=plan.batch_size)
    if start is None:
        factor = plan.factor if plan.factor == "auto" or plan.factor <= min(size) else 1
        z = hierarchical(problem, prior, plan.sampler, plan.levels(prior), factor=factor, **common)
    else:  # a picture to begin from has the layout that a coarser one would give
        first, level = start
        first = codec.encode(first[None].to(device) / 255)
        z = mask_shift(problem, prior, plan.sampler, plan.levels(prior, level), start=first, **common)
    return (255 * codec.decode(z)).cpu()


def _picture_codec(prior: Prior) -> Interval:
    """The codec of a prior of RGB pictures."""
    if not isinstance(prior.recipe, Interval):
        raise InputError("frames need a prior of pictures with values in an interval; give another `prior`")
    return prior.recipe


def _masked_frame(image: Tensor, known: Tensor, sigma: float, step: int, prior: Prior) -> Problem:
    """A frame in [0, 1] under its mask, as the prior sees it."""
    keep = known.float()
    return Problem(LatticeMask(keep, step), keep * image[None], sigma).encoded(_picture_codec(prior))


def feathered(filled: Tensor, smooth: Tensor, known: Tensor, width: int) -> Tensor:
    """The fill, blended with the smooth continuation of the known pixels over `width` pixels in the hole.

    Args:
        filled, smooth: (3, height, width) uint8.
        known: (height, width) bool.
        width: 0 leaves the fill as it is. At distance d from the known pixels the fill weighs d / (width +
            1).
    """
    if width == 0 or not bool(known.any()):
        return filled
    distance = torch.from_numpy(ndimage.distance_transform_edt(~known.numpy())).float()
    share = (distance / (width + 1)).clamp(max=1)
    return (share * filled.float() + (1 - share) * smooth.float()).round().to(torch.uint8)


def smooth_fill(frame: Tensor, known: Tensor) -> Tensor:
    """The frame with its hole filled by means of what is known nearby, nearer to the edge from less far.

    Means over 2 x 2 pixels of what is known, again and again until nothing is missing, then back up: the
    pull-push of Gortler et al., SIGGRAPH 1996.

    Args:
        frame: (3, height, width) uint8.
        known: (height, width) bool, somewhere true.

    Returns:
        (3, height, width) uint8.
    """
    keep = known.float()[None, None]
    return torch.where(
        known, frame, _pull_push(keep * frame.float()[None], keep)[0].round().clamp(0, 255).to(torch.uint8)
    )


def _pull_push(image: Tensor, keep: Tensor) -> Tensor:
    """An image (1, channels, height, width), zero where `keep` is, with means of its surroundings there."""
    if bool(keep.all()) or max(image.shape[-2:]) == 1:
        return image
    weight = F.avg_pool2d(keep, 2, ceil_mode=True)
    coarse = F.avg_pool2d(image, 2, ceil_mode=True) / weight.where(weight > 0, 1.0)
    around = F.interpolate(
        _pull_push(coarse, (weight > 0).float()), size=image.shape[-2:], mode="bilinear", align_corners=False
    )
    return torch.where(keep > 0, image, around)
