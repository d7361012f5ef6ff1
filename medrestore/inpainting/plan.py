"""All that decides how frames are filled, as plain data; importing it loads no torch."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

from ..conditions import Conditions
from ..levels import below, check_reach, karras, time_travel
from ..machine import PriorMachine
from ..methods import FRAMES, METHODS
from ..settings import Bounds, Checked, FieldError, OneOf, Privacy, check

if TYPE_CHECKING:
    from ..methods import Method
    from ..priors import Prior

LATTICE = 8  # windows begin at multiples of a side / 8: a hole that moves little keeps its window and noise
LEAST_SIGMA = 0.005  # below it a prior in [-1, 1] has less than a grey level to say


@dataclass(frozen=True)
class Plan(Conditions):
    """All that decides the fill, but for the frames and the weights of the prior.

    Args:
        mask_means: what white means in the masks, hole or keep; never guessed.
        hole_values: the grey levels that hide, of masks of labels or soft ones, in place of `mask_means`.
        dataset: dreaming, whose masks are white where the pixel is kept.
        prior: a prior's folder, or the name of a shipped one.
        method: how the known pixels decide the fill, by name; in Python also a `Method`, whose name and
            options are taken.
        options: the method's hyper-parameters, by the names of its paper.
        steps: network calls a window.
        sigma_max: noise level to begin at, in the prior's units (pixels are in -1 to 1).
        travel_length: steps of a stretch of time travel.
        travel_repeat: how often each stretch of time travel is sampled; 1 is no time travel.
        noise_std: noise of the frames, grey levels of 255; the fill follows them less closely, known pixels
            stay as they are.
        window: side of the windows, pixels; default the prior's own size, or 256.
        shift: from window to window, pixels; default half a window, or the even number below.
        factor: how much coarser a picture guides large holes: auto (as coarse as each hole needs), 1 (none),
            2, 4, ...; no more than the shorter side of a frame.
        samples: samples a frame; the fill is their mean, nearer to the truth and softer.
        seed: of the first sample, sample k uses the seed k later; all frames share it.
        start_sigma: begin part-way, from a smooth fill, at this noise level (fewer steps; more like the
            surroundings), or off.
        grow: pixels by which masks are grown first: against halo, shadow and blur beside what hides.
        warm_start: noise level at which a frame begins from the one before (fewer steps, steadier), or off.
        temporal_fill: where the camera stands still, take what other frames have shown from there.
        feather: pixels inside the hole over which the fill goes over into what is around it.
        blur: side of the kernel, odd, of a blur of the frames: it is found in what is known of each, and what fills it is blurred
            alike, instead of sharp. For methods that need no spectrum, such as diffpir. Worth it for thin holes in frames out of
            focus; it loses where a frame was shaken or the hole is large (docs/inversion.md).
        bf16: bfloat16 inside the network where the device computes in it, float32 elsewhere.
        batch_size: windows times samples drawn together.
    """

    mask_means: Literal["hole", "keep"] | None = None
    hole_values: tuple[Annotated[int, Bounds(at_least=0, at_most=255)], ...] | None = None
    dataset: str | None = None
    prior: str = "surgical-starter"
    method: Annotated[Any, OneOf(METHODS.offered(FRAMES))] = "ddnm+"
    options: Mapping[str, int | float | None] = field(default_factory=dict)
    steps: Annotated[int, Bounds(at_least=2)] = 25
    sigma_max: Annotated[float, Bounds(above=0)] = 40.0
    travel_length: Annotated[int, Bounds(at_least=1)] = 1
    travel_repeat: Annotated[int, Bounds(at_least=1)] = 1
    noise_std: Annotated[float, Bounds(at_least=0, below=255)] = 0.0
    window: Annotated[int | None, Bounds(at_least=1)] = None
    shift: Annotated[int | None, Bounds(at_least=1)] = None
    factor: Annotated[int | Literal["auto"], Bounds(at_least=1)] = "auto"
    samples: Annotated[int, Bounds(at_least=1)] = 1
    seed: Annotated[int, Bounds(at_least=0)] = 0
    start_sigma: Annotated[float | None, Bounds(above=0)] = None
    grow: Annotated[int, Bounds(at_least=0)] = 0
    warm_start: Annotated[float | None, Bounds(above=0)] = None
    temporal_fill: bool = True
    feather: Annotated[int, Bounds(at_least=0)] = 2
    blur: Annotated[int | None, Bounds(at_least=3)] = None
    bf16: bool = True
    batch_size: Annotated[int, Bounds(at_least=1)] = 8

    def __post_init__(self) -> None:
        METHODS.settle(self, "method", "options")
        check(self)
        if self.blur is not None and self.blur % 2 == 0:
            raise FieldError("Plan", "blur", f"must be odd, got {self.blur}")

    @property
    def sampler(self) -> "Method":
        """The method with its options."""
        return METHODS.build(self.method, self.options, "Plan", "options")

    def check_levels(self, prior: "Prior") -> None:
        """Refuses noise levels that are outside those of the prior."""
        low, high = prior.sigma_range
        check_reach(self.sigma_max, max(low, LEAST_SIGMA), high, start_sigma=self.start_sigma, warm_start=self.warm_start)

    def levels(self, prior: "Prior", start: float | None = None) -> list[float]:
        """The noise levels of a frame, from noise or from a first picture at the level `start`."""
        low, high = prior.sigma_range
        levels = karras(self.steps, min(high, self.sigma_max), max(low, LEAST_SIGMA))
        return time_travel(
            levels if start is None else below(levels, start), self.travel_length, self.travel_repeat
        )

    def grid(self, prior: "Prior") -> tuple[tuple[int, int], tuple[int, int], int]:
        """The window and the shift, (height, width) each, and the lattice that windows begin on."""
        window = (prior.size or (256, 256)) if self.window is None else (self.window, self.window)
        height, width = (side // 4 * 2 or side for side in window)  # even
        shift = (height, width) if self.shift is None else (self.shift, self.shift)
        return window, shift, math.gcd(*window, *shift, *(max(side // LATTICE, 1) for side in window))


@dataclass(frozen=True)
class Machine(PriorMachine):
    """Where the work is done: nothing of it decides the fill, but for rounding.

    Args:
        apart: do the scenes of a set in a process of their own, so that one which kills its process costs no other.
    """

    apart: bool = False


@dataclass(frozen=True)
class Reading(Checked):
    """What may be read.

    Args:
        max_gb: refuse stacks that declare more.
        allow_large_hole: go on where more than half is hidden.
    """

    max_gb: Annotated[float, Bounds(above=0)] = 16.0
    allow_large_hole: bool = False


@dataclass(frozen=True)
class Writing(Privacy):
    """What may be replaced.

    Args:
        overwrite: replace existing outputs, but never a folder of other files.
        resume: go on where a killed run stopped; skip what is complete; redo what another plan made, and what is
            damaged.
    """

    overwrite: bool = False
    resume: bool = False
