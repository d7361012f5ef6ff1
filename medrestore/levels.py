"""Schedules of noise levels: the decreasing sigmas of a trajectory, ending at 0.

A level is the standard deviation of the noise in every real number of `x = x0 + sigma n`, in a prior's coordinates.
"""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

from .errors import InputError
from .settings import FieldError


def _check_steps(steps: int) -> None:
    if steps < 2:
        raise ValueError(f"noise levels need at least 2 steps, got {steps}")


def karras(steps: int, sigma_max: float, sigma_min: float, rho: float = 7.0) -> list[float]:
    """Evenly spaced in sigma^(1/rho): Karras et al., NeurIPS 2022, eq. 5."""
    _check_steps(steps)
    if not sigma_max > sigma_min > 0:
        raise ValueError(f"noise levels fall from sigma_max to a positive sigma_min, got {sigma_max} and {sigma_min}")
    top, bottom = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    return [(top + i / (steps - 1) * (bottom - top)) ** rho for i in range(steps)] + [0.0]


def levels_inside(steps: int, sigma: float, lowest: float) -> list[float]:
    """Levels from `sigma` to 0 for a trajectory within a step of another: `karras` over two decades, as far as `lowest` allows.

    Args:
        steps: 1 is one step to 0.
        lowest: level below which the prior is not to be asked; half of sigma where sigma itself is hardly above.
    """
    return [sigma, 0.0] if steps == 1 else karras(steps, sigma, min(max(sigma / 100, lowest), sigma / 2))


def linear_sigmas(beta_start: float = 1e-4, beta_end: float = 0.02, train_steps: int = 1000) -> list[float]:
    """The noise level of each training step of a linear-beta DDPM (Ho, Jain & Abbeel, NeurIPS 2020), increasing."""
    abar, sigmas = 1.0, []
    for i in range(train_steps):
        abar *= 1 - (beta_start + (beta_end - beta_start) * i / (train_steps - 1))
        sigmas.append(math.sqrt(1 / abar - 1))
    return sigmas


def _pick(sigmas: Sequence[float], positions: list[float], sigma_max: float, sigma_min: float) -> list[float]:
    """The noise levels of fractional training steps, clamped to the two bounds."""
    picked: list[float] = []
    for at in positions:
        i = min(int(at), len(sigmas) - 2)
        sigma = math.exp(math.log(sigmas[i]) + (at - i) * (math.log(sigmas[i + 1]) - math.log(sigmas[i])))
        sigma = min(max(sigma, sigma_min), sigma_max)
        if not picked or sigma < picked[-1]:
            picked.append(sigma)
    return [*picked, 0.0]


def _position(sigmas: Sequence[float], sigma: float) -> float:
    """The fractional training step of a noise level."""
    if sigma <= sigmas[0]:
        return 0.0
    for i in range(len(sigmas) - 1):
        if sigma < sigmas[i + 1]:
            return i + math.log(sigma / sigmas[i]) / math.log(sigmas[i + 1] / sigmas[i])
    return float(len(sigmas) - 1)


def ddpm(steps: int, sigma_max: float = math.inf, sigma_min: float = 0.0, *, power: float = 1.0) -> list[float]:
    """Training steps of a linear-beta DDPM, between two noise levels.

    Args:
        power: with N steps, the i-th lies (i / (N - 1)) ** power of the way down; 1 spaces them evenly.
    """
    _check_steps(steps)
    sigmas = linear_sigmas()
    top, bottom = _position(sigmas, sigma_max), _position(sigmas, sigma_min)
    return _pick(sigmas, [top + (i / (steps - 1)) ** power * (bottom - top) for i in range(steps)], sigma_max, sigma_min)


def quadratic(steps: int, sigma_max: float = math.inf, sigma_min: float = 0.0) -> list[float]:
    """Training steps of a linear-beta DDPM, dense where the noise is low.

    The spacing "quad" of DiffPIR (Zhu et al., CVPRW 2023, sec. 4): with N steps of T, the i-th lies sqrt(i/(N-1)) of
    the way down.
    """
    return ddpm(steps, sigma_max, sigma_min, power=0.5)


def ddpm_strided(stride: int, sigma_max: float = math.inf, sigma_min: float = 0.0) -> list[float]:
    """Every `stride`-th of the thousand training steps of a linear-beta DDPM, down to the first: 900, 800, ... 0 for 100.

    The few large steps of SHRED (arXiv 2405.19572). Levels beyond the two bounds are clamped to them.
    """
    sigmas = linear_sigmas()
    if not 1 <= stride < len(sigmas):
        raise ValueError(f"the stride over {len(sigmas)} training steps is 1 to {len(sigmas) - 1}, got {stride}")
    last = (len(sigmas) - 1) // stride * stride
    return _pick(sigmas, [float(at) for at in range(last, -1, -stride)], sigma_max, sigma_min)


LADDERS: dict[str, Callable[[int, float, float], list[float]]] = {"karras": karras, "ddpm": ddpm, "quadratic": quadratic}


def time_travel(levels: Sequence[float], length: int, repeat: int) -> list[float]:
    """Noise levels with each stretch of `length` steps `repeat` times: down, back up in one jump, down again.

    Lugmayr et al., CVPR 2022, sec. 4.2. The last stretch, which ends at 0, stands once: no noise is left to renew.
    In `x = x0 + sigma n` one jump up equals the many small ones of the paper.
    """
    if length < 1 or repeat < 1:
        raise ValueError(f"time travel needs length >= 1 and repeat >= 1, got {length} and {repeat}")
    trajectory = list(levels[:1])
    for i in range(0, len(levels) - 1, length):
        stretch = list(levels[i : i + length + 1])
        times = repeat if stretch[-1] > 0 else 1
        trajectory += stretch[1:] + (times - 1) * stretch
    return trajectory


def below(levels: Sequence[float], sigma: float) -> list[float]:
    """The noise levels from `sigma` down, for a trajectory that starts from a first reconstruction.

    Chung, Sim & Ye, "Come-Closer-Diffuse-Faster", CVPR 2022, Alg. 1.
    """
    if sigma <= 0:
        raise ValueError(f"a trajectory must start at a positive noise level, got {sigma}")
    return [sigma, *(level for level in levels if level < sigma)]


def check_levels(levels: Sequence[float]) -> None:
    """Refuses noise levels that do not run from the first, the highest, down to 0; rises in between are time travel.

    Raises:
        InputError: what is wrong with them.
    """
    if len(levels) < 2 or levels[-1] != 0:
        raise InputError(f"noise levels run from a positive level down to 0, got {_shortened(levels)}; add a 0 at the end")
    if not all(0 < level < math.inf for level in levels[:-1]):
        raise InputError(f"noise levels must be finite, and positive but for the last, got {_shortened(levels)}")
    if max(levels) > levels[0] or any(sigma == sigma_next for sigma, sigma_next in pairwise(levels)):
        raise InputError(f"noise levels must decrease from the first, which none may exceed, got {_shortened(levels)}; "
                         "sort them, or take a ladder of medrestore.levels")


def _shortened(levels: Sequence[float]) -> str:
    """The levels, shortened."""
    shown = [f"{level:g}" for level in levels]
    return ", ".join(shown if len(shown) <= 6 else [*shown[:3], "...", *shown[-2:]]) or "none"


def check_reach(sigma_max: float, low: float, high: float, **starts: float | None) -> None:
    """Refuses a plan whose noise levels are outside those of its prior.

    Args:
        sigma_max: field of the plan, the level to begin at.
        low, high: least and largest level that the plan may use with the prior.
        starts: further fields of the plan, each a level to begin part-way from, or None.

    Raises:
        FieldError: names the field.
    """
    if sigma_max <= low:
        raise FieldError("Plan", "sigma_max", f"is {sigma_max:g}, not above the least noise level of the prior, {low:g}")
    for name, level in starts.items():
        if level is not None and not low < level <= high:
            raise FieldError("Plan", name, f"is {level:g}, outside the noise levels of the prior, {low:g} to {high:g}")
