"""All that decides how frames are filled."""

import math
from dataclasses import dataclass, field
from typing import Literal

from ..levels import below, karras, time_travel
from ..methods import DDNMPlus, Method
from ..priors import Prior

LATTICE = 8  # windows begin at multiples of their side's 8th: a hole that moves little keeps its window, and its noise
LEAST_SIGMA = 0.005  # below it a prior in [-1, 1] has less than a grey level to say


@dataclass(frozen=True)
class Plan:
    """All that decides the fill, but for the frames and the prior.

    Args:
        method: any that works with a mask.
        steps, sigma_max: network calls a window, and the noise level to begin at, in the prior's units.
        travel: (length, repeat) of time travel; (1, 1) is none.
        noise_std: std of the noise of the known pixels, grey levels of 255; they come back as they are all the same.
        window: side of the windows, pixels; None takes the prior's own size, else 256.
        shift: from window to window, pixels; None for half a window, or the even number below. "auto" needs an even one.
        factor: of hierarchical restoration; "auto" makes as coarse a picture as each hole needs, 1 none, nor does more than
            the shorter side of a frame.
        samples, seed: the fill is the mean of the samples; sample k uses seed + k.
        start_sigma: noise level at which a frame begins from `smooth_fill`, prior's units; None begins at noise.
        grow: pixels by which the masks of a scene are grown before anything else; `inpaint_frame` takes its mask as it is.
        warm_start: noise level at which a frame begins from the one before instead, prior's units; None does not.
        temporal_fill: take pixels that other frames of a camera at rest have shown from there.
        feather: width of the band inside the hole over which the fill goes over into what is around it, pixels.
        batch_size: windows times samples drawn together.
    """

    method: Method = field(default_factory=DDNMPlus)
    steps: int = 25
    sigma_max: float = 40.0
    travel: tuple[int, int] = (1, 1)
    noise_std: float = 0.0
    window: int | None = None
    shift: int | None = None
    factor: int | Literal["auto"] = "auto"
    samples: int = 1
    seed: int = 0
    start_sigma: float | None = None
    warm_start: float | None = None
    grow: int = 0
    temporal_fill: bool = True
    feather: int = 2
    batch_size: int = 8

    def levels(self, prior: Prior, start: float | None = None) -> list[float]:
        """The noise levels that a frame walks, from noise or from a first picture at the level `start`."""
        low, high = prior.sigma_range
        levels = karras(self.steps, min(high, self.sigma_max), max(low, LEAST_SIGMA))
        return time_travel(levels if start is None else below(levels, start), *self.travel)

    def grid(self, prior: Prior) -> tuple[tuple[int, int], tuple[int, int], int]:
        """The window and the shift, (height, width) each, and the lattice that windows begin on."""
        window = (prior.size or (256, 256)) if self.window is None else (self.window, self.window)
        shift = tuple(side // 4 * 2 or side for side in window) if self.shift is None else (self.shift, self.shift)  # even
        return window, shift, math.gcd(*window, *shift, *(max(side // LATTICE, 1) for side in window))
