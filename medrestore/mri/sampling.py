"""Cartesian sampling masks: which phase-encode lines or points of k-space an accelerated scan acquires.

Two families. Ours fix the number of samples, drawn without replacement, so the realised acceleration is the asked one to
the nearest sample. fastMRI's five column masks (Zbontar et al., arXiv 1811.08839; Defazio, arXiv 1912.01101 for the
"magic" ones) reproduce the public ones bit for bit; their own rules decide the rate.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import hypot, isfinite, isqrt
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError

Seed = int | tuple[int, ...]
Width = int | tuple[int, int]
Extent = TypeVar("Extent", int, np.ndarray)

_CENTRE_SHARE = 0.32  # of the sampled lines are calibration lines: fastMRI's 8 % at 4x, 4 % at 8x
_CALIBRATION_2D = 24  # points a side, where a third of the budget allows it
_GAUSSIAN_STD = 0.2  # of the matrix: the edge of k-space has 4 % of the weight of its centre
_POISSON_PASSES = 14


@dataclass(frozen=True)
class Sampling:
    """A mask, its realised acceleration and calibration width, and how it was drawn."""

    mask: Tensor  # (1, width) or (height, width) float32, 1 where sampled
    kind: str
    acceleration: float  # realised: all samples of the grid / samples taken
    acs: Width  # realised calibration width, (height, width) of it for masks over both axes
    seed: Seed

    def __repr__(self) -> str:
        return (f"Sampling({self.kind!r}, mask {tuple(self.mask.shape)}, acceleration={self.acceleration:.4g}, acs={self.acs}, "
                f"seed={self.seed})")


def sampling_mask(kind: str, shape: tuple[int, int], accel: float, *, acs: Width | None = None, seed: Seed) -> Sampling:
    """The mask of one kind for a (height, width) matrix.

    `accel` is the asked acceleration; `acs` the calibration lines (a number or, over both axes, also (height, width)),
    by default 32 % of the sampled lines as in fastMRI, and 24 x 24 points or a third of the samples over both axes.
    `seed` is an integer or, as fastMRI does per file, `fastmri_seed(filename)`. Raises InputError on arguments that
    cannot be met.
    """
    if kind not in KINDS:
        raise InputError(f"There is no sampling mask {kind!r}; choose one of {', '.join(KINDS)}.")
    if len(shape) != 2 or min(shape) < 1:
        raise InputError(f"A sampling mask needs a (height, width) of positive integers, not {shape}.")
    if not (isfinite(accel) and accel >= 1):
        raise InputError(f"The acceleration is {accel}, but it must be a number of at least 1.")
    draw, axes = KINDS[kind]
    width = _asked_width(shape, accel, acs, axes)
    sampled = draw(shape, accel, width, _random_state(seed))
    mask = torch.from_numpy(sampled.astype(np.float32)).reshape(shape if axes == 2 else (1, shape[1]))
    return Sampling(mask, kind, sampled.size / int(sampled.sum()), calibration_width(mask), seed)


def fastmri_seed(filename: str) -> tuple[int, ...]:
    """The seed fastMRI gives every slice of a file: the code points of the file's name."""
    return tuple(map(ord, filename))


def calibration_width(mask: Tensor) -> Width:
    """The width of the fully sampled centre: a number for a (1, width) mask, (height, width) of it otherwise.

    Along one axis it is the run of samples around the origin n // 2; over both axes the largest centred rectangle.
    0, or (0, 0), where the origin is not sampled.
    """
    rows, columns = calibration_region(mask)
    width = columns.stop - columns.start
    return width if mask.shape[0] == 1 else (rows.stop - rows.start, width)


def calibration_region(mask: Tensor) -> tuple[slice, slice]:
    """(rows, columns) of the fully sampled centre in the mask's own index; empty slices where there is none."""
    sampled = mask.detach().cpu().numpy() > 0
    height, width = sampled.shape
    if height == 1:
        missing = np.flatnonzero(~sampled[0])
        centre = width // 2
        if not sampled[0, centre]:
            return slice(0, 0), slice(centre, centre)
        after = int(np.searchsorted(missing, centre))
        start = int(missing[after - 1]) + 1 if after > 0 else 0
        return slice(0, 1), slice(start, int(missing[after]) if after < len(missing) else width)
    above, beside = np.arange(height + 1), np.arange(width + 1)
    (top, bottom), (left, right) = _centred(height, above), _centred(width, beside)
    count = np.pad(sampled.astype(np.int64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    inside = count[np.ix_(bottom, right)] - count[np.ix_(top, right)] - count[np.ix_(bottom, left)] + count[np.ix_(top, left)]
    area = np.outer(above, beside)
    a, b = np.unravel_index(np.argmax(np.where(inside == area, area, 0)), area.shape)
    return slice(int(top[a]), int(bottom[a])), slice(int(left[b]), int(right[b]))


# Ours. Each takes (shape, accel, calibration width, random state) and returns the mask as booleans.


def uniform1d(shape: tuple[int, int], accel: float, acs: int, rng: np.random.RandomState) -> np.ndarray:
    """Columns at one fractional spacing outside the calibration band, from a random offset."""
    mask = _centre_block((shape[1],), (acs,))
    free = np.flatnonzero(~mask)
    samples = _samples_left(mask, accel)
    if samples > 0:
        mask[free[np.floor((np.arange(samples) + rng.uniform()) * (len(free) / samples)).astype(int)]] = True
    return mask


def random1d(shape: tuple[int, int], accel: float, acs: int, rng: np.random.RandomState) -> np.ndarray:
    """Columns outside the calibration band at random, all equally likely."""
    return _fill(_centre_block((shape[1],), (acs,)), accel, rng)


def gaussian1d(shape: tuple[int, int], accel: float, acs: int, rng: np.random.RandomState) -> np.ndarray:
    """Columns outside the calibration band at random, Gaussian density around the centre."""
    return _fill(_centre_block((shape[1],), (acs,)), accel, rng, log_weight=_log_gaussian((shape[1],)))


def uniform2d(shape: tuple[int, int], accel: float, acs: tuple[int, int], rng: np.random.RandomState) -> np.ndarray:
    """Points outside the calibration rectangle at random, all equally likely."""
    return _fill(_centre_block(shape, acs), accel, rng)


def gaussian2d(shape: tuple[int, int], accel: float, acs: tuple[int, int], rng: np.random.RandomState) -> np.ndarray:
    """Points outside the calibration rectangle at random, Gaussian density around the centre."""
    return _fill(_centre_block(shape, acs), accel, rng, log_weight=_log_gaussian(shape))


def poisson2d(shape: tuple[int, int], accel: float, acs: tuple[int, int], rng: np.random.RandomState) -> np.ndarray:
    """Points that keep a distance which grows with |k|: a variable-density Poisson disc around a calibration rectangle.

    Dart throwing on the grid (Cook, ACM TOG 1986), every point being tried once in a random order. The radius is
    scaled by bisection until at most 1 % of the samples are missing; these are then added at random.
    """
    centre = _centre_block(shape, acs)
    target = int(centre.sum()) + _samples_left(centre, accel)
    if target == centre.sum() or target == centre.size:
        return _fill(centre, accel, rng)
    y, x = (np.maximum(np.abs(np.arange(n) - n // 2) - a / 2, 0) / (n / 2) for n, a in zip(shape, acs, strict=True))
    radius = 1 + (accel**0.5 - 1) * np.hypot(y[:, None], x)  # about full sampling beside the centre at any acceleration
    radius *= rng.uniform(0.75, 1.25, size=shape)  # distances on a grid come in steps: without this, so does the density
    order = rng.permutation(np.flatnonzero(~centre))
    low, high, best = 0.0, 3 * accel**0.5, centre
    for _ in range(_POISSON_PASSES):
        scale = (low + high) / 2
        mask = _throw(centre, order, scale * radius)
        count = int(mask.sum())
        if best.sum() < count <= target:
            best = mask
        if 0.99 * target <= count <= target:
            break
        low, high = (scale, high) if count > target else (low, scale)
    return _fill(best, accel, rng)


# fastMRI's. Draws come in fastMRI's order, the choice among its (fraction, acceleration) pairs first, so that the
# same seed gives the same mask.


def fastmri_random(shape: tuple[int, int], accel: float, acs: int, rng: np.random.RandomState) -> np.ndarray:
    """Every column independently, with the right expected count (fastMRI's knee masks)."""
    columns, centre = shape[1], _fastmri_centre(shape[1], acs)
    rng.randint(1)
    return centre | (rng.uniform(size=columns) < (_budget(columns, accel, acs) - acs) / max(columns - acs, 1))


def fastmri_equispaced(shape: tuple[int, int], accel: float, acs: int, rng: np.random.RandomState) -> np.ndarray:
    """Every accel-th column and the centre: denser than the asked acceleration."""
    mask, step = _fastmri_centre(shape[1], acs), _integer(accel, "equispaced")
    rng.randint(1)
    mask[rng.randint(0, step) :: step] = True
    return mask


def fastmri_equispaced_fraction(shape: tuple[int, int], accel: float, acs: int, rng: np.random.RandomState) -> np.ndarray:
    """Columns at the fractional spacing that gives about the asked acceleration (fastMRI's brain masks)."""
    columns, mask = shape[1], _fastmri_centre(shape[1], acs)
    if acs >= _budget(columns, accel, acs):
        return mask
    step = accel * (acs - columns) / (acs * accel - columns)
    rng.randint(1)
    offset = rng.randint(0, round(step))
    mask[np.around(np.arange(offset, columns - 1, step)).astype(int)] = True
    return mask


def fastmri_magic(shape: tuple[int, int], accel: float, acs: int, rng: np.random.RandomState) -> np.ndarray:
    """Equispaced columns, offset between the two halves of k-space so that conjugate pairs are not both taken."""
    step = _integer(accel, "magic")
    rng.randint(1)
    return _fastmri_centre(shape[1], acs) | _magic_columns(shape[1], step, rng)


def fastmri_magic_fraction(shape: tuple[int, int], accel: float, acs: int, rng: np.random.RandomState) -> np.ndarray:
    """The offset columns, at the integer spacing that gives about the asked acceleration."""
    columns = shape[1]
    target = round(columns / accel)
    acs = max(min(acs, target), 1)
    if target == acs:
        raise InputError(f"The {acs} calibration lines take all {target} lines of a {accel:g}x mask; ask for fewer lines.")
    rng.randint(1)
    return _fastmri_centre(columns, acs) | _magic_columns(columns, round(columns / (target - acs)), rng)


KINDS: dict[str, tuple[Callable[..., np.ndarray], int]] = {  # the function, and how many axes it undersamples
    "uniform1d": (uniform1d, 1),
    "random1d": (random1d, 1),
    "gaussian1d": (gaussian1d, 1),
    "uniform2d": (uniform2d, 2),
    "gaussian2d": (gaussian2d, 2),
    "poisson2d": (poisson2d, 2),
    "random": (fastmri_random, 1),
    "equispaced": (fastmri_equispaced, 1),
    "equispaced_fraction": (fastmri_equispaced_fraction, 1),
    "magic": (fastmri_magic, 1),
    "magic_fraction": (fastmri_magic_fraction, 1),
}


def _asked_width(shape: tuple[int, int], accel: float, acs: Width | None, axes: int) -> Width:
    """The calibration width to aim for, a number or a pair by the kind; InputError where it does not fit the matrix."""
    height, width = shape
    if acs is None and axes == 1:
        return round(width * (_CENTRE_SHARE / accel))
    if acs is None:
        return (min(_CALIBRATION_2D, height, width, isqrt(int(height * width / accel / 3))),) * 2
    if axes == 1 and isinstance(acs, tuple):
        raise InputError(f"This mask undersamples one axis, so its calibration width is one number, not {acs}.")
    asked = acs if isinstance(acs, tuple) else (acs, acs)
    for lines, size in list(zip(asked, shape, strict=True))[-axes:]:
        if not 0 <= lines <= size:
            raise InputError(f"A calibration width of {lines} does not fit a matrix of {height} x {width}; ask for 0 to {size}.")
    return asked if axes == 2 else acs


def _random_state(seed: Seed) -> np.random.RandomState:
    """The generator of a seed. RandomState because its stream is frozen for good, and is the one fastMRI uses."""
    try:
        return np.random.RandomState(seed)
    except (TypeError, ValueError) as error:
        raise InputError(f"The seed {seed!r} is not an integer from 0 to 2**32 - 1 or a tuple of such integers.") from error


def _centred(size: int, width: Extent) -> tuple[Extent, Extent]:
    """(start, stop) of the block of `width` whose origin is that of an axis of `size`."""
    start = size // 2 - width // 2
    return start, start + width


def _centre_block(shape: tuple[int, ...], widths: tuple[int, ...]) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    mask[tuple(slice(*_centred(size, width)) for size, width in zip(shape, widths, strict=True))] = True
    return mask


def _fastmri_centre(columns: int, acs: int) -> np.ndarray:
    """fastMRI's centre block. It is one column further right than ours for odd sizes with an even block."""
    mask = np.zeros(columns, dtype=bool)
    start = (columns - acs + 1) // 2
    mask[start : start + acs] = True
    return mask


def _magic_columns(columns: int, step: int, rng: np.random.RandomState) -> np.ndarray:
    offset = rng.randint(0, step)
    right, left = (offset + 1, offset + 2) if offset % 2 == 0 else (offset + 2, offset - 1)
    positive, negative = np.zeros((columns + 1) // 2, dtype=bool), np.zeros(columns // 2, dtype=bool)
    positive[right::step] = True
    negative[left::step] = True
    return np.fft.fftshift(np.concatenate([positive, negative[::-1]]))


def _integer(accel: float, kind: str) -> int:
    if accel != round(accel):
        raise InputError(f"The mask {kind!r} needs a whole acceleration, not {accel:g}; {kind}_fraction takes any.")
    return round(accel)


def _budget(size: int, accel: float, centre: int) -> float:
    """The number of samples that the acceleration allows; InputError when the calibration region alone takes more."""
    budget = size / accel
    if centre > max(round(budget), budget):
        raise InputError(f"The calibration region alone takes {centre} samples, but {accel:g}x leaves {budget:.0f} of {size}; "
                         "ask for a smaller region or a lower acceleration.")  # fmt: skip
    return budget


def _samples_left(centre: np.ndarray, accel: float) -> int:
    """The number of samples still to be placed outside those already taken."""
    taken = int(centre.sum())
    return max(1, round(_budget(centre.size, accel, taken))) - taken


def _fill(mask: np.ndarray, accel: float, rng: np.random.RandomState, log_weight: np.ndarray | None = None) -> np.ndarray:
    """The mask with as many more samples as the acceleration allows, drawn without replacement.

    Adding Gumbel noise to the log weights and taking the largest is weighted drawing without replacement, exactly
    (Efraimidis & Spirakis, IPL 2006).
    """
    mask, free = mask.copy(), np.flatnonzero(~mask)
    key = rng.gumbel(size=len(free)) + (0 if log_weight is None else log_weight.flat[free])
    samples = _samples_left(mask, accel)
    mask.flat[free[np.argsort(-key, kind="stable")[:samples]]] = True
    return mask


def _log_gaussian(shape: tuple[int, ...]) -> np.ndarray:
    offsets = np.meshgrid(*((np.arange(n) - n // 2) / n for n in shape), indexing="ij")
    return -0.5 * sum((offset**2 for offset in offsets), np.zeros(shape)) / _GAUSSIAN_STD**2


def _throw(centre: np.ndarray, order: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Points of `order` taken one by one, each forbidding all others closer than its own radius."""
    width = centre.shape[1]
    reach = int(radius.max()) + 1
    forbidden = np.pad(np.zeros_like(centre), reach)
    span = range(-reach, reach + 1)
    distance = np.array([[hypot(i, j) for j in span] for i in span])
    step = 0.1
    discs: dict[int, tuple[int, np.ndarray]] = {}
    taken = centre.copy()
    for point in order.tolist():
        y, x = divmod(point, width)
        if forbidden[y + reach, x + reach]:
            continue
        taken[y, x] = True
        level = int(radius[y, x] / step)
        if level not in discs:
            r = int(level * step)
            discs[level] = r, (distance < level * step)[reach - r : reach + r + 1, reach - r : reach + r + 1]
        r, disc = discs[level]
        if r > 0:
            forbidden[y + reach - r : y + reach + r + 1, x + reach - r : x + reach + r + 1] |= disc
    return taken
