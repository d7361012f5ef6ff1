"""All that decides what is restored, degraded or generated, as plain data; importing it loads no torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from ..conditions import Conditions
from ..levels import LADDERS, check_reach, time_travel
from ..machine import PriorMachine
from ..methods import GENERATION, IMAGES, METHODS
from ..settings import Bounds, Checked, FieldError, OneOf, Privacy, check
from .degradation import Degradation

if TYPE_CHECKING:
    from ..methods import Method
    from ..priors import Prior

LEAST_SIGMA = 0.005  # below it a prior in [-1, 1] has less than a grey level to say
HIGHEST = 2.0  # noise level to begin at, for priors of the images themselves
LARGEST_WHOLE = 512 * 512  # pixels of an image that a prior of any size sees at once
WINDOW = 256  # side of the windows of larger ones
GREY_PRIOR, COLOUR_PRIOR = "brain-mr-starter", "pictures-starter"  # of "auto"
DEFAULT_METHOD, DEFAULT_OPTIONS = "hqs", {"order": 2}
BLIND_METHOD, BLIND_OPTIONS = "dds", {"lam": 3.0}  # with a kernel that was found, which is not exact
Axis = Literal["axial", "coronal", "sagittal"]


@dataclass(frozen=True)
class Reading(Checked):
    """What may be read.

    Args:
        max_gb: refuse images that declare more.
    """

    max_gb: Annotated[float, Bounds(above=0)] = 4.0


@dataclass(frozen=True)
class Writing(Privacy):
    """What is written, and over what.

    Args:
        overwrite: replace existing outputs.
        resume: skip what is complete and was made by this very plan; redo what another plan made, and what is damaged. Slices
            that a stopped run has finished are taken up in any case, but for `overwrite`.
        keep_patient: copy the patient, the study and the series of a DICOM image into the output, which has none of them else.
    """

    overwrite: bool = False
    resume: bool = False
    keep_patient: bool = False


@dataclass(frozen=True)
class Machine(PriorMachine):
    """Where the work is done: nothing of it decides the image, but for rounding."""


@dataclass(frozen=True)
class DegradePlan(Checked):
    """All that decides a degraded image, but for the clean one.

    Args:
        degradation: what is done to it.
        noise_std: std of the white noise that is added, in the units of the file (grey levels of a picture).
        seed: of the noise; slice i of a volume uses seed + 100000 i.
        crop: leave out the last rows and columns where a factor does not divide the sides; else such images are refused.
        axis: slices of a NIfTI volume are perpendicular to it.
    """

    degradation: Degradation = field(default_factory=Degradation)
    noise_std: Annotated[float, Bounds(at_least=0)] = 0.0
    seed: Annotated[int, Bounds(at_least=0)] = 0
    crop: bool = False
    axis: Axis = "axial"


class WithLevels:
    """What plans with these fields say of the noise levels."""

    steps: int
    ladder: str
    sigma_max: float | None
    travel_length: int
    travel_repeat: int

    @property
    def _highest(self) -> float:
        return HIGHEST if self.sigma_max is None else self.sigma_max

    def check_levels(self, prior: "Prior") -> None:
        """Refuses noise levels that are outside those of the prior."""
        low, high = prior.sigma_range
        check_reach(self._highest, max(low, LEAST_SIGMA), high)

    def levels(self, prior: "Prior") -> list[float]:
        """The noise levels of each sample, with time travel."""
        low, high = prior.sigma_range
        levels = LADDERS[self.ladder](self.steps, min(high, self._highest), max(low, LEAST_SIGMA))
        return time_travel(levels, self.travel_length, self.travel_repeat)


@dataclass(frozen=True)
class Plan(WithLevels, Conditions):
    """All that decides a restored image, but for the degraded one and the weights of the prior.

    Args:
        degradation: what was done to the image; not needed for what `degrade` has made, whose record says it.
        noise_std: noise of the file in its own units (grey levels of a picture); default what the record of `degrade` says,
            else estimated from the image, and 0 where hidden or random pixels leave nothing to estimate it from.
        interval: the values that are black and white to the prior; default the range of 8 bits, else 0, or the least value if
            that is below, to the 99.5 % quantile.
        prior: a prior's folder, or the name of a shipped one; auto is brain-mr-starter for grey images, pictures-starter for
            colour.
        method: how the data decide the image, by name; in Python also a `Method`. Default hqs of order 2, which was best on
            validation subjects (docs/images.md); dds where the kernel of a blur is found.
        options: the method's hyper-parameters, by the names of its paper.
        steps: noise levels, a network call each.
        ladder: spacing of the noise levels.
        sigma_max: noise level to begin at, in the prior's units (white is about 1); default 2, and 40 for a prior of codes or
            one that is given the coarse image.
        travel_length: steps of a stretch of time travel.
        travel_repeat: how often each stretch of time travel is sampled; 1 is no time travel.
        samples: samples an image; the output is their mean (hqs draws none: take ddnm+ or dds).
        seed: of the first sample; slice i of a volume uses seed + 100000 i + sample.
        window: side of the windows, pixels; default the prior's own size, else the whole image up to 512 x 512 pixels and
            windows of 256 for larger ones.
        shift: from window to window, pixels; default half a window, less where a blur looks around it.
        guide: how much coarser an image guides the windows, auto (as coarse as holes need), 1 (none), 2, 4, ...
        seam: continued takes what windows have settled on into account around them; fixed is the paper's, settled pixels alone.
        axis: slices of a NIfTI volume are perpendicular to it.
        slices: first:last+1, from 0, or one number; default all.
        keep_samples: store every sample.
        bf16: bfloat16 inside the network where the device computes in it, float32 elsewhere.
        batch_size: samples, or windows times samples, drawn together.
    """

    degradation: Degradation = field(default_factory=Degradation)
    noise_std: Annotated[float, Bounds(at_least=0)] | None = None
    interval: tuple[float, float] | None = None
    prior: str = "auto"
    method: Annotated[Any, OneOf(METHODS.offered(IMAGES))] | None = None
    options: Mapping[str, int | float | str | None] = field(default_factory=dict)
    steps: Annotated[int, Bounds(at_least=2)] = 25
    ladder: Annotated[str, OneOf(LADDERS)] = "karras"
    sigma_max: Annotated[float, Bounds(above=0)] | None = None
    travel_length: Annotated[int, Bounds(at_least=1)] = 1
    travel_repeat: Annotated[int, Bounds(at_least=1)] = 1
    samples: Annotated[int, Bounds(at_least=1)] = 1
    seed: Annotated[int, Bounds(at_least=0)] = 0
    window: Annotated[int | None, Bounds(at_least=8)] = None
    shift: Annotated[int | None, Bounds(at_least=1)] = None
    guide: Annotated[int | Literal["auto"], Bounds(at_least=1)] = "auto"
    seam: Literal["continued", "fixed"] = "continued"
    axis: Axis = "axial"
    slices: tuple[int, int] | None = None
    keep_samples: bool = False
    bf16: bool = True
    batch_size: Annotated[int, Bounds(at_least=1)] = 8

    def __post_init__(self) -> None:
        if self.method is not None:
            METHODS.settle(self, "method", "options")
        check(self)
        if self.method is None and self.options:
            METHODS.build(self.method_name, self.options, "Plan", "options")
        if self.interval is not None and not self.interval[0] < self.interval[1]:
            raise FieldError(
                "Plan", "interval", f"must be two numbers, black below white, got {list(self.interval)}"
            )
        if self.samples > 1 and not METHODS[self.method_name].draws:
            raise FieldError(
                "Plan",
                "samples",
                f"must be 1 with {self.method_name}, which estimates the mean and draws no samples; "
                "take a `method` that draws them, such as ddnm+",
            )

    @property
    def method_name(self) -> str:
        """The method, by the name that it has in configs."""
        return self.method or self._default[0]

    @property
    def _default(self) -> tuple[str, Mapping[str, Any]]:
        """Method and options where no method is named."""
        if self.degradation.blind:
            return BLIND_METHOD, BLIND_OPTIONS
        return DEFAULT_METHOD, DEFAULT_OPTIONS

    @property
    def sampler(self) -> "Method":
        """The method with its options."""
        options = self.options or (self._default[1] if self.method is None else {})
        return METHODS.build(self.method_name, options, "Plan", "options").in_steps(self.steps)

    def for_images(self, channels: int) -> "Plan":
        """The plan with the prior that "auto" stands for."""
        return (
            self
            if self.prior != "auto"
            else replace(self, prior=COLOUR_PRIOR if channels == 3 else GREY_PRIOR)
        )


@dataclass(frozen=True)
class GeneratePlan(WithLevels, Conditions):
    """All that decides images from nothing, but for the weights of the prior.

    Args:
        prior: a prior's folder, or the name of a shipped one.
        height, width: of the images, pixels; any size.
        samples: how many.
        seed: of the first; image k uses the seed k later.
        method: how the prior is sampled.
        options: the method's hyper-parameters, by the names of its paper.
        steps: noise levels, a network call each.
        ladder: spacing of the noise levels.
        sigma_max: noise level to begin at, in the prior's units (white is about 1).
        travel_length: steps of a stretch of time travel.
        travel_repeat: how often each stretch of time travel is sampled; 1 is no time travel.
        window: side of the windows, pixels; default the prior's own size, else the whole image up to 512 x 512 pixels and
            windows of 256 for larger ones.
        shift: from window to window, pixels; default half a window.
        seam: continued takes what windows have settled on into account around them; fixed is the paper's, settled pixels alone.
        bf16: bfloat16 inside the network where the device computes in it, float32 elsewhere.
        batch_size: images, or windows times images, drawn together.
    """

    prior: str = "surgical-starter"
    height: Annotated[int, Bounds(at_least=8, at_most=16384)] = 128
    width: Annotated[int, Bounds(at_least=8, at_most=16384)] = 128
    samples: Annotated[int, Bounds(at_least=1)] = 1
    seed: Annotated[int, Bounds(at_least=0)] = 0
    method: Annotated[Any, OneOf(METHODS.offered(GENERATION))] = "dpm-solver++"
    options: Mapping[str, int | float | None] = field(default_factory=dict)
    steps: Annotated[int, Bounds(at_least=2)] = 50
    ladder: Annotated[str, OneOf(LADDERS)] = "karras"
    sigma_max: Annotated[float, Bounds(above=0)] = 40.0
    travel_length: Annotated[int, Bounds(at_least=1)] = 1
    travel_repeat: Annotated[int, Bounds(at_least=1)] = 1
    window: Annotated[int | None, Bounds(at_least=8)] = None
    shift: Annotated[int | None, Bounds(at_least=1)] = None
    seam: Literal["continued", "fixed"] = "continued"
    bf16: bool = True
    batch_size: Annotated[int, Bounds(at_least=1)] = 8

    def __post_init__(self) -> None:
        METHODS.settle(self, "method", "options")
        check(self)

    @property
    def sampler(self) -> "Method":
        """The method with its options."""
        return METHODS.build(self.method, self.options, "GeneratePlan", "options").in_steps(self.steps)


def window_of(plan: Plan | GeneratePlan, prior: "Prior", size: tuple[int, int]) -> tuple[int, int] | None:
    """The windows of an image of a size; None where the prior sees it at once."""
    if prior.whole:
        return None
    if plan.window is not None:
        window = (plan.window, plan.window)
    elif prior.size is not None:
        window = prior.size
    elif size[0] * size[1] <= LARGEST_WHOLE:
        return None
    else:
        side = max(WINDOW // prior.multiple, 1) * prior.multiple
        window = (side, side)
    return None if all(n <= w for n, w in zip(size, window, strict=True)) else window


UNDECIDING = (Machine, Reading, Writing)  # classes whose fields do not decide the image
