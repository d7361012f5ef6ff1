"""What was, or is to be, done to an image, by the name of a task or step by step; importing it loads no torch."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from ..settings import Bounds, FieldError, check
from .steps import (
    GREY,
    NONLINEAR,
    Bicubic,
    Factor,
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
    Share,
    Step,
    Unknown,
    Walsh,
)

TASKS: Mapping[str, tuple[str, ...]] = {  # each with the fields that say more of it
    "denoise": (),
    "sr": ("factor", "filter"),
    "deblur": ("blur_std", "motion", "kernel"),
    "blind-deblur": ("kernel_size",),
    "colorize": ("weights",),
    "inpaint": ("mask", "mask_means"),
    "cs": ("keep", "pattern", "block"),
    "old-photo": ("factor", "weights", "mask", "mask_means", "keep"),
    "jpeg": ("quality", "white"),
    "saturation": ("gain", "white"),
    "phase-retrieval": ("oversampling",),
}
KERNEL_SIZE = 21  # pixels, where none is given
ALWAYS = ("task", "operators", "pattern_seed")


@dataclass(frozen=True)
class Degradation:
    """What was done to an image.

    Args:
        task: denoise, sr (a coarser image), deblur, blind-deblur (the kernel is not known), colorize (a grey image), inpaint
            (hidden pixels), cs (random pixels or coefficients), old-photo (a coarser, grey image with hidden pixels), jpeg
            (compression), saturation (overexposure) or phase-retrieval (the modulus of the Fourier transform).
        operators: in place of a task a list of steps, the first one done first; each is a mapping of `kind` (pool, bicubic,
            gaussian, motion, kernel, unknown-blur, grey, mask, pixels, walsh-hadamard, jpeg, saturation, fourier-modulus; plugin:
            an `operator` of another package and its `options`) and its numbers.
        factor: of sr and old-photo: how many pixels became one, along each axis.
        filter: of sr: means over the pixels, or bicubic with antialiasing.
        blur_std: of deblur: std of a Gaussian in pixels, one number or two, down the rows and along the columns.
        motion: of deblur: length in pixels and angle in degrees of a straight motion.
        kernel: of deblur: a file with the kernel, .npy or a grey picture.
        kernel_size: of blind-deblur: side of the square that the kernel fits in, odd, pixels; default 21.
        weights: of red, green and blue in the grey image.
        mask: of inpaint and old-photo: a picture of the image's size (of old-photo, of the coarser one) of what is hidden.
        mask_means: what white means in the mask, hole or keep; never guessed.
        keep: of cs, and of old-photo without a mask: the share that is left, 0 to 1.
        pattern: of cs: pixels, or Walsh-Hadamard coefficients of the shuffled image (a single-pixel camera).
        block: of Walsh-Hadamard: side of the blocks, a power of two; default the whole image where both sides are powers of two,
            else 32.
        quality: of jpeg: 1 to 100.
        gain: of saturation: how much brighter the exposure made the image.
        white: of jpeg and saturation: the value of the file above which nothing can be; black is 0.
        oversampling: of phase-retrieval: how many times larger than the image the field of the transform is, along each axis.
        pattern_seed: of random pixels and coefficients.
    """

    task: Literal["denoise", "sr", "deblur", "blind-deblur", "colorize", "inpaint", "cs", "old-photo", "jpeg",
                  "saturation", "phase-retrieval"] | None = None
    operators: tuple[Step, ...] = ()
    factor: Factor | None = None
    filter: Literal["average", "bicubic"] = "average"
    blur_std: tuple[Annotated[float, Bounds(above=0)], ...] | None = None
    motion: tuple[float, float] | None = None
    kernel: str | None = None
    kernel_size: Annotated[int, Bounds(at_least=3)] | None = None
    weights: tuple[float, float, float] = GREY
    mask: str | None = None
    mask_means: Literal["hole", "keep"] | None = None
    keep: Share | None = None
    pattern: Literal["pixels", "walsh-hadamard"] = "pixels"
    block: Annotated[int, Bounds(at_least=2)] | None = None
    quality: Annotated[int, Bounds(at_least=1, at_most=100)] | None = None
    gain: Annotated[float, Bounds(above=0)] | None = None
    white: Annotated[float, Bounds(above=0)] = 255.0
    oversampling: Annotated[int, Bounds(at_least=2)] = 2
    pattern_seed: Annotated[int, Bounds(at_least=0)] = 0

    def __post_init__(self) -> None:
        check(self)
        if self.task is not None and self.operators:
            raise FieldError("Degradation", "operators", "stand in place of a `task`; leave one of them out")
        meant = TASKS[self.task] if self.task is not None else ()
        for name, default in DEFAULTS.items():
            if name not in (*ALWAYS, *meant) and vars(self)[name] != default:
                of = ", ".join(task for task, names in TASKS.items() if name in names)
                raise FieldError(
                    "Degradation",
                    name,
                    f"says more of the `task` {of}, and the task is {self.task or 'not given'}; "
                    "leave it out, or give that task",
                )
        if len(self.operators) > 1 and any(isinstance(step, Unknown) for step in self.operators):
            raise FieldError("Degradation", "operators", "of which one is an unknown-blur must be that one alone")
        if self.task is not None:
            self._check_complete()
            self.steps  # noqa: B018 - refuses numbers that make no step

    def _check_complete(self) -> None:
        """Refuses a task without what it needs."""
        if self.task in ("sr", "old-photo") and self.factor is None:
            raise FieldError(
                "Degradation",
                "factor",
                f"is missing: how many pixels became one, along each axis, for {self.task}",
            )
        if (
            self.task == "deblur"
            and sum(one is not None for one in (self.blur_std, self.motion, self.kernel)) != 1
        ):
            raise FieldError(
                "Degradation",
                "blur_std",
                "or one of `motion` and `kernel` is needed for deblur, and one alone",
            )
        if self.blur_std is not None and len(self.blur_std) > 2:
            raise FieldError(
                "Degradation", "blur_std", f"must be one number or two, got {len(self.blur_std)}"
            )
        if self.task == "inpaint" and self.mask is None:
            raise FieldError("Degradation", "mask", "is missing: a picture of what is hidden, for inpaint")
        if self.mask is not None and self.mask_means is None:
            raise FieldError(
                "Degradation", "mask_means", "is missing: what white means in the mask, hole or keep"
            )
        if self.task == "cs" and self.keep is None:
            raise FieldError(
                "Degradation", "keep", "is missing: the share of pixels or coefficients that is left, for cs"
            )
        for task, name in (("jpeg", "quality"), ("saturation", "gain")):
            if self.task == task and vars(self)[name] is None:
                raise FieldError("Degradation", name, f"is missing, for {task}")
        if self.task == "old-photo" and (self.mask is None) == (self.keep is None):
            raise FieldError("Degradation", "mask", "or `keep` is needed for old-photo, and one alone")

    @property
    def steps(self) -> tuple[Step, ...]:
        """What is done, the first step first."""
        match self.task:
            case "sr":
                return (Bicubic(self.factor or 2) if self.filter == "bicubic" else Pool(self.factor or 2),)
            case "deblur":
                return (self._blur(),)
            case "blind-deblur":
                return (Unknown(self.kernel_size or KERNEL_SIZE),)
            case "colorize":
                return (Grey(self.weights),)
            case "inpaint":
                return (self._hide(),)
            case "cs":
                keep = self.keep or 1.0
                return (Pixels(keep) if self.pattern == "pixels" else Walsh(keep, self.block),)
            case "old-photo":
                return (
                    Pool(self.factor or 2),
                    Grey(self.weights),
                    Pixels(self.keep) if self.keep else self._hide(),
                )
            case "jpeg":
                return (Jpeg(self.quality or 100, self.white),)
            case "saturation":
                return (Saturate(self.gain or 1.0, self.white),)
            case "phase-retrieval":
                return (Modulus(self.oversampling),)
        return self.operators

    @property
    def blind(self) -> bool:
        """Whether it is a blur whose kernel is not known."""
        return any(isinstance(step, Unknown) for step in self.steps)

    @property
    def linear(self) -> bool:
        """Whether it is linear, as most methods need it to be."""
        return not any(isinstance(step, NONLINEAR) or (isinstance(step, Plugged) and not step.linear) for step in self.steps)

    def _blur(self) -> Step:
        if self.kernel is not None:
            return Kernel(self.kernel)
        return Motion(*self.motion) if self.motion is not None else Gaussian(self.blur_std or (1.0,))

    def _hide(self) -> Hide:
        return Hide(self.mask or "", self.mask_means or "hole")

    @property
    def files(self) -> tuple[str, ...]:
        """The masks and kernels that it names."""
        return tuple(step.file for step in self.steps if isinstance(step, Kernel | Hide))

    def with_files(self, names: Mapping[str, str]) -> "Degradation":
        """The same with other names of its files."""
        steps = tuple(
            replace(step, file=names[step.file]) if isinstance(step, Kernel | Hide) else step
            for step in self.operators
        )
        return replace(
            self,
            operators=steps,
            mask=None if self.mask is None else names[self.mask],
            kernel=None if self.kernel is None else names[self.kernel],
        )

    @property
    def given(self) -> bool:
        """Whether it says anything."""
        return self.task is not None or bool(self.operators)

    @property
    def name(self) -> str:
        """In words."""
        return self.task or ", then ".join(step.kind for step in self.operators)


DEFAULTS = {name: Degradation.__dataclass_fields__[name].default for name in Degradation.__dataclass_fields__}
