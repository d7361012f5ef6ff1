"""What a study tests on and in which conditions: sources of cases, samplings of scans, degradations of
pictures.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from ..plugins import OPERATORS, Names
from ..recon.plan import Undersampling
from ..settings import Bounds, Checked, OneOf, refused

Slices = Literal["middle", "all"] | tuple[int, int]
Positive = Annotated[int, Bounds(at_least=1)]
QUARTER = 0.25  # of the coefficients, which compressed sensing keeps
LONGEST_MOTION = 200  # pixels


@dataclass(frozen=True)
class Source(Checked):
    """Where cases come from; classes of a kind of data share the field `kind`, which names them."""

    @property
    def paths(self) -> tuple[str, ...]:
        """Files and folders that must exist."""
        return ()


@dataclass(frozen=True, kw_only=True)
class Acquisition:
    """How a scan is simulated from a magnitude image (`mri.simulate_scan`).

    Args:
        coils: of the simulated array.
        snr_db: signal over noise of the k-space, dB.
    """

    coils: Positive = 8
    snr_db: float = 30.0


@dataclass(frozen=True)
class Simulated(Acquisition, Source):
    """Scans simulated from magnitude volumes: smooth random phase, a ring of coils, noise. The seed is the
    subject.

    Args:
        volumes: an .npz with `vol`, uint8 (subject, x, y, slice).
        subjects: [first, last).
        slices: of each subject: `middle`, `all`, or [first, last), counted among those that are not empty.
    """

    volumes: str
    subjects: tuple[int, int]
    slices: Slices = "middle"
    kind: Literal["simulated"] = field(default="simulated", kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.subjects[0] < self.subjects[1]:
            raise refused(self, f"subjects must be [first, last), got {list(self.subjects)}")

    @property
    def paths(self) -> tuple[str, ...]:
        return (self.volumes,)


@dataclass(frozen=True, kw_only=True)
class Head(Acquisition):
    """A generated head and the scan simulated from it.

    Args:
        size: (height, width).
        seed: phantom i of a seed is always the same one.
    """

    size: tuple[int, int] = (96, 96)
    seed: int = 0


@dataclass(frozen=True)
class Phantoms(Head, Source):
    """Scans simulated from generated heads, for trying things out without data.

    Args:
        count: how many phantoms; each is a case of one slice.
        first: number of the first phantom.
    """

    count: Positive
    first: int = 0
    kind: Literal["phantoms"] = field(default="phantoms", kw_only=True)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How to read files that do not describe themselves (`io.read_kspace`).

    Args:
        dataset: name of the array with the k-space.
        axes: of the array.
        select: the value to read of a counter, as {contrast: 1}.
        uncentred: the origin of k-space is at [0, 0] of the array.
        noise_scan: use the noise scan of a file; false estimates the noise from the data.
    """

    dataset: str | None = None
    axes: tuple[str, ...] | None = None
    select: Mapping[str, Annotated[int, Bounds(at_least=0)]] = field(default_factory=dict)
    uncentred: bool = False
    noise_scan: bool = True


@dataclass(frozen=True, kw_only=True)
class KSpace(Layout, Source):
    """Fully sampled scans in files of any format, undersampled in software.

    Args:
        folder: of the scans, to any depth, or of the fastMRI download when there is a split; `bundled` is the
            sample scan.
        files: instead of a folder, or glob patterns.
        split: a name in data/splits/fastmri.yaml, or FILE.yaml:NAME.
        slices: of each scan: `middle`, `all`, or [first, last), counted from the end where negative.
        max_gb: largest array that is read, GiB.
    """

    folder: str | None = None
    files: tuple[str, ...] = ()
    split: str | None = None
    slices: Slices = "all"
    max_gb: float = 16.0
    kind: Literal["kspace"] = "kspace"

    def __post_init__(self) -> None:
        super().__post_init__()
        if bool(self.files) == (self.folder is not None):
            raise refused(self, "folder or files must be given, and not both")
        if self.split is not None and self.folder is None:
            raise refused(self, "split needs folder, that of the fastMRI download")

    @property
    def paths(self) -> tuple[str, ...]:
        return (*_own_folder(self.folder),
                *(path for path in self.files if not any(sign in path for sign in "*?[")))


@dataclass(frozen=True, kw_only=True)
class Scenes(Source):
    """Scenes with hands and instruments in front: DREAMING's, or rendered ones.

    Args:
        folder: DREAMING, unpacked or as archives; None renders scenes.
        split: a name in data/splits/dreaming.yaml, or FILE.yaml:NAME; None takes all scenes of the folder.
        scenes: a range [first, last) of the numbers of the scenes, rendered or of the folder.
        numbers: of the scenes one by one, instead.
        seed, size: of rendered scenes; (height, width).
        frames: which frames of each scene, or how many, evenly spread; None for all (rendered: of the first
            1000).
        crop: side of the square around the hole that stands for the frame; None for the whole frame.
        hole_values: of a folder, the grey levels of its masks that hide, where these are labels or soft; in place of
            DREAMING's white for what is seen.
        holes: least and largest share of the frame (or crop) that may be hidden in the first of the frames;
            other scenes are left out.
    """

    folder: str | None = None
    split: str | None = None
    scenes: tuple[int, int] | None = None
    numbers: tuple[int, ...] | None = None
    seed: int = 0
    size: tuple[int, int] = (270, 480)
    frames: int | tuple[int, ...] | None = None
    crop: int | None = None
    hole_values: tuple[Annotated[int, Bounds(at_least=0, at_most=255)], ...] = ()
    holes: tuple[float, float] | None = None
    kind: Literal["scenes"] = "scenes"

    def __post_init__(self) -> None:
        super().__post_init__()
        if sum(value is not None for value in (self.split, self.scenes, self.numbers)) > 1:
            raise refused(self, "scenes, numbers and split each choose scenes; give one of them")
        if self.scenes is not None and not 0 <= self.scenes[0] < self.scenes[1]:
            raise refused(self, f"scenes must be a range [first, last) of numbers, got {list(self.scenes)}")
        if self.numbers is not None and (not self.numbers or min(self.numbers) < 0):
            raise refused(self, f"numbers must be those of scenes, 0 and up, got {list(self.numbers)}")
        if self.folder is None and self.hole_values:
            raise refused(self, "hole_values are of the masks in a folder; rendered scenes have none to choose from")
        if self.folder is None and self.wanted is None:
            raise refused(self,
                          "folder (DREAMING), or scenes [first, last) or numbers to render, must be given")

    @property
    def wanted(self) -> tuple[int, ...] | None:
        """The numbers that `scenes` or `numbers` chooses; None where neither does."""
        return tuple(range(*self.scenes)) if self.scenes is not None else self.numbers

    @property
    def paths(self) -> tuple[str, ...]:
        return _own_folder(self.folder)


@dataclass(frozen=True, kw_only=True)
class Pictures(Source):
    """Photographs, or rendered scenes, degraded in software.

    Args:
        folder: of png and jpg, to any depth; `bundled` for those that come with scikit-image.
        scenes: a range [first, last) of numbers of rendered scenes, `crop` pixels a side and with nothing in front of the
            patient, instead of a folder.
        seed: of rendered scenes.
        crop: side of the central square; None for the whole picture.
        resize: side to which the largest central square is made smaller, as the papers make their pictures of 256 (ADM's
            recipe: halved by means while twice as large, then bicubic); a crop is taken of that.
    """

    SIDES: ClassVar[int] = 16  # sides are cut to multiples of it, so that every factor and every network fits

    folder: str = "bundled"
    crop: Annotated[int | None, Bounds(at_least=SIDES)] = None
    resize: Annotated[int | None, Bounds(at_least=SIDES)] = None
    scenes: tuple[int, int] | None = None
    seed: Annotated[int, Bounds(at_least=0)] = 0
    kind: Literal["pictures"] = "pictures"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scenes is None:
            return
        if not 0 <= self.scenes[0] < self.scenes[1]:
            raise refused(self, f"scenes must be a range [first, last) of numbers, got {list(self.scenes)}")
        if self.folder != "bundled" or self.crop is None or self.resize is not None:
            raise refused(self, "scenes are rendered with sides of `crop`: give it, and neither folder nor resize")

    @property
    def paths(self) -> tuple[str, ...]:
        return _own_folder(self.folder)


@dataclass(frozen=True)
class Condition(Checked):
    """What a method has to restore from: a row of the tables."""

    @property
    def name(self) -> str:
        """In tables."""
        return type(self).__name__


@dataclass(frozen=True)
class Undersample(Undersampling, Condition):
    """A sampling mask, drawn in software.

    Args:
        label: in tables; None for kind and acceleration.
    """

    label: str | None = None

    @property
    def name(self) -> str:
        return self.label or f"{self.kind} {self.accel:g}x"


@dataclass(frozen=True)
class Degrade(Condition):
    """What is done to a picture.

    Args:
        kind: the operator.
        factor: of super-resolution: how much smaller.
        filter: of super-resolution: by bicubic interpolation or by means.
        keep: of inpainting: the share of the pixels left, at random; of compressed sensing, of the Walsh-Hadamard coefficients
            (default a quarter).
        box: of inpainting: the side of a hidden square in the middle.
        std: of deblurring: of the Gaussian, pixels.
        motion: of deblurring: (length in pixels, angle in degrees) of a straight motion, instead of the Gaussian.
        operator: of plugin: its name; `options` are what it takes.
        noise_std: of the noise, pictures being in [0, 1].
        label: in tables; None for a name made of these.
    """

    kind: Literal["super-resolution", "inpainting", "deblurring", "colorization", "compressed-sensing", "denoising", "plugin"]
    factor: Annotated[int, Bounds(at_least=2)] = 4
    filter: Literal["bicubic", "mean"] = "bicubic"
    keep: Annotated[float | None, Bounds(above=0, below=1)] = None
    box: Annotated[int | None, Bounds(at_least=1)] = None
    std: Annotated[float, Bounds(above=0)] = 3.0
    motion: tuple[float, float] | None = None
    operator: Annotated[str, OneOf(Names(OPERATORS))] | None = None
    options: Mapping[str, int | float | str | None] = field(default_factory=dict)
    noise_std: Annotated[float, Bounds(at_least=0)] = 0.0
    label: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kind == "inpainting" and (self.keep is None) == (self.box is None):
            raise refused(self, "keep (a share of the pixels) or box (pixels) must be given, and not both")
        if (self.kind == "plugin") != (self.operator is not None):
            raise refused(self, "operator is the name of a plugin, and goes with the kind plugin")
        if self.motion is not None and not 0 < self.motion[0] <= LONGEST_MOTION:
            raise refused(self, f"motion has a length above 0 and at most {LONGEST_MOTION} pixels, got {self.motion[0]:g}")

    @property
    def name(self) -> str:
        if self.label:
            return self.label
        blur = f"{self.std:g} px" if self.motion is None else f"motion {self.motion[0]:g} px"
        what = {"super-resolution": f"{self.factor}x", "deblurring": blur, "colorization": "", "denoising": "",
                "plugin": self.operator or "",
                "compressed-sensing": f"{self.keep or QUARTER:.0%}",
                "inpainting": f"{self.keep:.0%}" if self.keep is not None else f"{self.box} px"}[self.kind]
        noise = f" noise {self.noise_std:g}" if self.noise_std > 0 else ""
        return f"{self.kind} {what}".strip() + noise


@dataclass(frozen=True)
class AsRecorded(Condition):
    """Scenes, whose holes come with them."""

    @property
    def name(self) -> str:
        return "scenes"


def _own_folder(path: str | None) -> tuple[str, ...]:
    """The folder that a path names, where it is one of the user's."""
    return () if path is None or path == "bundled" else (path,)
