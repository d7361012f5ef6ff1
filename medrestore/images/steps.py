"""What may be done to an image, step by step, as plain data; importing it loads no torch.

A further step is a dataclass with a `kind` here and a case in `operators.operator_of`; its operator need only be
differentiable.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from ..plugins import OPERATORS, Names
from ..settings import Bounds, Checked, FieldError, OneOf

GREY = (1 / 3, 1 / 3, 1 / 3)
Share = Annotated[float, Bounds(above=0, at_most=1)]
Factor = Annotated[int, Bounds(at_least=2)]


@dataclass(frozen=True)
class Pool(Checked):
    """Means of factor x factor pixels."""

    factor: Factor
    kind: Literal["pool"] = "pool"


@dataclass(frozen=True)
class Bicubic(Checked):
    """Antialiased bicubic downsampling."""

    factor: Factor
    kind: Literal["bicubic"] = "bicubic"


@dataclass(frozen=True)
class Gaussian(Checked):
    """A Gaussian blur of `std` pixels: one number, or down the rows and along the columns."""

    std: tuple[Annotated[float, Bounds(above=0)], ...]
    kind: Literal["gaussian"] = "gaussian"


@dataclass(frozen=True)
class Motion(Checked):
    """A straight motion over `length` pixels, at an angle in degrees counter-clockwise from the right."""

    length: Annotated[float, Bounds(above=0)]
    angle: float = 0.0
    kind: Literal["motion"] = "motion"


@dataclass(frozen=True)
class Kernel(Checked):
    """A blur by a kernel in a file: a 2-D .npy, or a grey picture; it is made to sum to one."""

    file: str
    kind: Literal["kernel"] = "kernel"


@dataclass(frozen=True)
class Unknown(Checked):
    """A blur whose kernel of `size` x `size` pixels, odd, is found together with the image (`restore`; not for `degrade`)."""

    size: Annotated[int, Bounds(at_least=3)]
    kind: Literal["unknown-blur"] = "unknown-blur"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.size % 2 == 0:
            raise FieldError("Unknown", "size", f"must be odd, got {self.size}")


@dataclass(frozen=True)
class Grey(Checked):
    """The weighted sum of red, green and blue; nothing to an image of one channel."""

    weights: tuple[float, float, float] = GREY
    kind: Literal["grey"] = "grey"


@dataclass(frozen=True)
class Hide(Checked):
    """Hides pixels by a mask in a file; `means` says what white means in it."""

    file: str
    means: Literal["hole", "keep"]
    kind: Literal["mask"] = "mask"


@dataclass(frozen=True)
class Pixels(Checked):
    """Keeps a share of the pixels, drawn at random."""

    keep: Share
    kind: Literal["pixels"] = "pixels"


@dataclass(frozen=True)
class Walsh(Checked):
    """Keeps a share of the Walsh-Hadamard coefficients of shuffled pixels, in blocks of `block` x `block` pixels.

    Without a block it is the whole image where both sides are powers of two, else blocks of 32.
    """

    keep: Share
    block: Annotated[int, Bounds(at_least=2)] | None = None
    kind: Literal["walsh-hadamard"] = "walsh-hadamard"


@dataclass(frozen=True)
class Jpeg(Checked):
    """JPEG compression at a quality, as libjpeg counts it; `white` is the value that was 255 in the file, black was 0."""

    quality: Annotated[int, Bounds(at_least=1, at_most=100)]
    white: Annotated[float, Bounds(above=0)] = 255.0
    kind: Literal["jpeg"] = "jpeg"


@dataclass(frozen=True)
class Saturate(Checked):
    """Brighter by a factor, and cut off at `white` and at 0."""

    gain: Annotated[float, Bounds(above=0)]
    white: Annotated[float, Bounds(above=0)] = 255.0
    kind: Literal["saturation"] = "saturation"


@dataclass(frozen=True)
class Modulus(Checked):
    """The modulus of the Fourier transform of the image, in a field of zeros `oversampling` times as large along each axis."""

    oversampling: Annotated[int, Bounds(at_least=2)] = 2
    kind: Literal["fourier-modulus"] = "fourier-modulus"


@dataclass(frozen=True)
class Plugged(Checked):
    """An operator of another package (`medrestore.plugins`) by its name, with its options; `linear` says whether it is."""

    operator: Annotated[str, OneOf(Names(OPERATORS))]
    options: Mapping[str, int | float | str | None] = field(default_factory=dict)
    linear: bool = True
    kind: Literal["plugin"] = "plugin"


NONLINEAR = (Jpeg, Saturate, Modulus)  # of which no more than a gradient is known
Step = Pool | Bicubic | Gaussian | Motion | Kernel | Unknown | Grey | Hide | Pixels | Walsh | Jpeg | Saturate | Modulus | Plugged
