"""All that decides the image of a scan, and what does not. Importing it loads no torch."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from ..conditions import Conditions
from ..errors import InputError
from ..files import expanded
from ..levels import LADDERS, below, check_reach
from ..machine import PriorMachine
from ..methods import METHODS, SCANS
from ..settings import Bounds, Checked, FieldError, Joined, OneOf, Privacy, check
from .classical import CLASSICAL, PENALTIES, classical

if TYPE_CHECKING:
    from ..baselines import Baseline
    from ..methods import Method
    from ..priors import Prior

ACROSS = ("hqs", "dds")  # methods that restore slices together
LEAST_SIGMA = 1e-3  # image brightness being about 1
Side = Annotated[int, Bounds(at_least=2, at_most=4096)]  # pixels of an image along an axis
SLICE_SEEDS = 100_000  # seeds set apart for the samples of one slice
QUALITY = {  # network calls a sample, samples, and the level to begin at from CG-SENSE: points on the curve of docs/speed.md
    "fast": (20, 1, 0.5), "balanced": (50, 1, None), "best": (100, 1, None),
}
QUALITY_OF_SAMPLES = QUALITY | {"best": (50, 4, None)}  # for methods that draw samples, to which more steps do no good


@dataclass(frozen=True)
class Undersampling(Checked):
    """Sampling done in software.

    Args:
        kind: take samples away in software: uniform1d, random1d, gaussian1d, gaussian2d, poisson2d, uniform2d, or fastMRI's
            random, equispaced, equispaced_fraction, magic, magic_fraction.
        accel: acceleration of the sampling in software, on top of that of the scan.
        acs: calibration lines of the sampling in software; default: the kind's own rule.
    """

    kind: Literal["uniform1d", "random1d", "gaussian1d", "uniform2d", "gaussian2d", "poisson2d", "random", "equispaced",
                  "equispaced_fraction", "magic", "magic_fraction"]
    accel: Annotated[float, Bounds(at_least=1)]
    acs: Annotated[int, Bounds(at_least=1)] | None = None


@dataclass(frozen=True)
class Plan(Conditions):
    """All that decides the image, but for the scan, the coil maps' numbers and the weights of the prior.

    In Python the method may also be given as an object, `Plan(mr.DDS(eta=1))`: its name and options are taken.

    Args:
        method: how the data are made to agree; the default was best on validation subjects, the other diffusion methods draw
            samples. cg-sense, tv, l1-wavelet and zero-filled need no prior.
        options: the method's hyper-parameters, by the names of its paper, such as lam.
        weight: lam of hqs, dds and diffpir, how much less to trust the data than their noise justifies; default the method's
            own. Of cg-sense, tv and l1-wavelet the weight of the penalty; default auto. auto chooses it for each scan by how well
            held-out samples are predicted, in no more time than three slices.
        steps: noise levels, a network call each with most methods (docs/methods.md).
        ladder: spacing of the noise levels.
        sigma_max: noise level to begin at (image brightness about 1); above it the calibration data decide.
        samples: posterior samples; the image is their mean (hqs draws none: take dds).
        seed: of the first sample, and of the masks that are not fastMRI's; slice i uses seed + 100000 i + sample.
        undersample: sampling done in software on top of the scan's own.
        reference_image: another contrast or an earlier scan of the same patient for a prior that takes one, already registered to
            this scan: an output of recon, or a .npy (slice, row, col) of the image as shown (docs/conditions.md).
        noise_std: std of each real number of the k-space noise; default from the noise scan or the data.
        maps: file of coil maps, shaped like the scan (slice, coil, row, col); default ESPIRiT from the scan.
        refine_maps: estimate the coil maps together with the image, from all samples, where they leave more unexplained than the
            noise, and keep what leaves less: worth it for few calibration lines (docs/inversion.md).
        phase: free, or smooth: held to that of the centre of k-space, to within a tenth, which makes up for a side of k-space
            that was left out (partial Fourier, asymmetric echo); auto where that is so. For cg-sense, tv, l1-wavelet and
            diffusion methods that need no spectrum.
        map_sets: of coil maps: 2 where the field of view is smaller than the object, which wraps; auto decides by the second
            eigenvalue of ESPIRiT.
        start_sigma: begin part-way, from CG-SENSE, at this noise level (image brightness about 1): fewer steps do.
        spectral_gb: most memory for an exact form of the data step, GiB; beyond it conjugate gradients are used.
        batch_size: samples drawn in one batch.
        together: slices whose network calls are made together, as far as `spectral_gb` allows the data steps of all; default on a
            GPU as many as fill `batch_size` with their samples, on a CPU 1: little is gained there for the memory.
        across_slices: restore the slices of a volume together, with second differences across them of this weight: one over the
            difference of a slice from the mean of its neighbours that is usual, for images of about unit brightness, such as 20;
            default slice by slice. For hqs and dds.
        differences: across slices, with across_slices: 2, of a slice from the mean of its neighbours; 1, of neighbours, the total
            variation of the papers, which left more flicker (docs/mri.md).
        three_planes: apply the prior to the planes across the slices too, with across_slices (voxels of about equal sides).
        slab: slices that are restored together at most, with across_slices: memory holds so many and four more on either side,
            which make slabs go on from one to the next.
        same_noise: all slices have the same noise, with across_slices.
        prior: a prior's folder, or the name of a shipped one.
        bf16: bfloat16 inside the network where the device computes in it, float32 elsewhere.
        dataset: name of the array in an HDF5 or MATLAB file.
        axes: its axes, as coil,slice,row,col; row is the readout; partition is the second phase encode of a 3-D scan; complex,
            channel: parts as real numbers (docs/mri.md).
        select: the value to read of a counter: contrast, phase, set, repetition, average, segment; as contrast=1.
        separate: counters whose values become images of their own, as repetition,contrast: frames of one set of coil maps, as a
            4-D NIfTI; by default averages and repetitions are averaged, and the first contrast, phase and set is read.
        uncentred: the origin of k-space is at [0, 0] of the array, as an FFT without fftshift leaves it.
        noise_scan: use the noise scan of the file; false estimates the noise from the data.
        trajectory: file of the trajectory of a scan that is a plain array, rows its readouts and columns its samples: a .npy
            (readout, sample, 2) or a BART .cfl (docs/trajectories.md).
        trajectory_units: of the trajectory; default what the format or its reach says.
        matrix: height,width of the image of a scan along a trajectory; default of the file, or as far as the trajectory reaches.
        slices: first:last+1, from 0, or one number; default all.
        keep_samples: store every sample.
        adapt: fit the prior to a first restoration of a middle slice before the others, and keep that where held-out samples are
            predicted better: for images of a kind that the prior has not seen. It costs about the time of seven
            slices of 50 steps, once a volume.
        fallback: method that takes over where samples that were held back are predicted better by CG-SENSE or l1-wavelet.
    """

    method: Annotated[Any, OneOf(Joined(METHODS.offered(SCANS), CLASSICAL))] = "hqs"
    options: Mapping[str, int | float | None] = field(default_factory=dict)
    weight: Annotated[float, Bounds(above=0)] | Literal["auto"] | None = None
    steps: Annotated[int, Bounds(at_least=2)] = 50
    ladder: Annotated[str, OneOf(LADDERS)] = "karras"
    sigma_max: Annotated[float, Bounds(above=0)] = 5.0
    samples: Annotated[int, Bounds(at_least=1)] = 1
    seed: Annotated[int, Bounds(at_least=0)] = 0
    undersample: Undersampling | None = None
    reference_image: str | None = None
    noise_std: Annotated[float, Bounds(at_least=0)] | None = None
    maps: str | None = None
    refine_maps: bool = False
    phase: Literal["auto", "free", "smooth"] = "auto"
    map_sets: Annotated[int, Bounds(at_least=1, at_most=2)] | Literal["auto"] = "auto"
    start_sigma: Annotated[float, Bounds(above=0)] | None = None
    spectral_gb: Annotated[float, Bounds(at_least=0)] = 1.0
    batch_size: Annotated[int, Bounds(at_least=1)] = 8
    together: Annotated[int, Bounds(at_least=1)] | None = None
    across_slices: Annotated[float, Bounds(above=0)] | None = None
    differences: Annotated[int, Bounds(at_least=1, at_most=2)] = 2
    three_planes: bool = False
    slab: Annotated[int, Bounds(at_least=2)] = 32
    same_noise: bool = True
    prior: str = "brain-mr-starter"
    bf16: bool = True
    dataset: str | None = None
    axes: tuple[str, ...] | None = None
    select: Mapping[str, Annotated[int, Bounds(at_least=0)]] = field(default_factory=dict)
    separate: tuple[str, ...] = ()
    uncentred: bool = False
    noise_scan: bool = True
    trajectory: str | None = None
    trajectory_units: Literal["cycles-per-fov", "cycles-per-pixel", "radians-per-pixel"] | None = None
    matrix: tuple[Side, Side] | None = None
    slices: tuple[int, int] | None = None
    keep_samples: bool = False
    adapt: bool = False
    fallback: Annotated[str, OneOf(tuple(PENALTIES))] | None = None

    def __post_init__(self) -> None:
        METHODS.settle(self, "method", "options")
        check(self)
        if self.is_classical:
            classical(self.method, self.options, None, "Plan", "options")
            for name in ("start_sigma", "fallback"):
                if getattr(self, name) is not None:
                    raise FieldError("Plan", name, f"goes with a diffusion method, and {self.method} is none; leave it out")
            if self.adapt:
                raise FieldError("Plan", "adapt", f"goes with a diffusion method, and {self.method} is none; leave it out")
        if self.weight is not None and self.own_weight is None:
            raise FieldError("Plan", "weight", "is lam of hqs, dds (without gamma) and diffpir, or of cg-sense, tv and "
                             f"l1-wavelet, and stands once: leave it out with {self.method} and these options")
        if self.samples > 1 and not self.draws:
            raise FieldError("Plan", "samples", f"must be 1 with {self.method}, which estimates the mean and draws no samples; "
                             "take a `method` that draws them, such as dds")

        if self.reference_image is not None and (self.is_classical or self.across_slices is not None):
            what = (f"goes with a diffusion method, and {self.method} is none" if self.is_classical
                    else "does not go with `across_slices`")
            raise FieldError("Plan", "reference_image", f"{what}; leave one out")
        if self.adapt and self.reference_image is not None:
            raise FieldError("Plan", "adapt", "does not go with `reference_image`; leave one out")
        if self.across_slices is not None:
            if self.method not in ACROSS or self.options.get("gamma") is not None:
                raise FieldError("Plan", "across_slices", "goes with hqs and dds without gamma; leave it out, or take one of "
                                 "these as `method`")
            for name, given in (("start_sigma", self.start_sigma is not None), ("separate", bool(self.separate))):
                if given:
                    raise FieldError("Plan", name, "does not go with `across_slices`; leave one out")
            return
        for name, given in (("three_planes", self.three_planes), ("differences", self.differences != 2)):
            if given:
                raise FieldError("Plan", name, "goes with `across_slices`, which makes slices a volume; set that too, or leave "
                                 "it out")

    @property
    def is_classical(self) -> bool:
        """Whether the method needs no prior."""
        return self.method in CLASSICAL

    @property
    def sampler(self) -> "Method":
        """The diffusion method with its options and the weight; its own default weight where one is yet to be chosen."""
        weight = {} if self.weight in (None, "auto") else {"lam": self.weight}
        return METHODS.build(self.method, {**self.options, **weight}, "Plan", "options").in_steps(self.steps)

    @property
    def baseline(self) -> "Baseline":
        """The classical method with its options and the weight; the first of a search where one is yet to be chosen."""
        given = self.weight if isinstance(self.weight, float) else None
        return classical(self.method, self.options, given, "Plan", "options")

    @property
    def fitted(self) -> "Method | Baseline":
        """The method, of whichever kind."""
        return self.baseline if self.is_classical else self.sampler

    @property
    def searched(self) -> bool:
        """Whether the scan is to choose the weight."""
        asked = self.weight == "auto" or (self.weight is None and self.is_classical)
        return asked and self.own_weight is not None

    @property
    def own_weight(self) -> float | None:
        """The method's default lam, or the first of a search; None where it has none or the options settle it."""
        if self.is_classical:
            penalty = PENALTIES.get(self.method)
            return None if penalty is None or "lam" in self.options else penalty.first
        kind: Any = METHODS[self.method]
        own: Any = {one.name: one.default for one in fields(kind)}.get("lam")
        return None if "lam" in self.options or self.options.get("gamma") is not None else own

    @property
    def draws(self) -> bool:
        """Whether the method draws samples, whose spread means something."""
        return not self.is_classical and METHODS[self.method].draws

    def check_levels(self, prior: "Prior") -> None:
        """Refuses noise levels that are outside those of the prior; for diffusion methods."""
        low, high = prior.sigma_range
        check_reach(self.sigma_max, max(low, LEAST_SIGMA), high, start_sigma=self.start_sigma)

    def levels(self, prior: "Prior") -> list[float]:
        """The noise levels over the range of a prior, before any start part-way."""
        low, high = prior.sigma_range
        return LADDERS[self.ladder](self.steps, min(high, self.sigma_max), max(low, LEAST_SIGMA))

    def sampled_levels(self, prior: "Prior") -> list[float]:
        """The noise levels of each sample; none of a classical method."""
        if self.is_classical:
            return []
        levels = self.levels(prior)
        return levels if self.start_sigma is None else below(levels, self.start_sigma)

    def passes(self, prior: "Prior") -> int:
        """Steps that a slice takes, of all its samples together; 1 for a classical method."""
        return max(1, len(self.sampled_levels(prior)) - 1) * self.samples


def quality(name: str, method: str) -> dict[str, Any]:
    """The steps, samples and start_sigma that a quality stands for with a method, and whether the prior is adapted."""
    if method in CLASSICAL:
        name = "balanced"  # which begins at no image of another
    points = QUALITY_OF_SAMPLES if method in METHODS and METHODS[method].draws else QUALITY
    known = dict(zip(("steps", "samples", "start_sigma"), points[name], strict=True))
    return known | {"adapt": True} if name == "best" else known


@dataclass(frozen=True)
class Machine(PriorMachine):
    """Where the work is done: nothing of it decides the image, but for rounding.

    Args:
        maps_cache: folder of coil maps, or none.
        apart: do the scans of a folder in a process of their own, so that one which kills its process costs no other.
        check_fit: first hold back some samples of a middle slice, and warn where the prior predicts them worse than CG-SENSE
            and l1-wavelet do; in about half the time of a slice.
    """

    maps_cache: str | None = None
    apart: bool = False
    check_fit: bool = False

    @property
    def cache(self) -> Path | None:
        """The folder of coil maps; none where it lies in a home that the system does not know."""
        try:
            return None if self.maps_cache is None else expanded(self.maps_cache)
        except InputError:
            return None


@dataclass(frozen=True)
class Reading(Checked):
    """What may be read.

    Args:
        max_gb: refuse files that declare a larger array.
        implausible: read also what does not look like k-space.
    """

    max_gb: Annotated[float, Bounds(above=0)] = 16.0
    implausible: bool = False


@dataclass(frozen=True)
class Writing(Privacy):
    """What is written, and over what.

    Args:
        nifti: write a .nii.gz beside.
        overwrite: replace existing outputs.
        resume: skip what is complete and was made by this very plan; redo what another plan made, and what is damaged. Slices
            that a stopped run has finished are taken up in any case, but for `overwrite`.
    """

    nifti: bool = False
    overwrite: bool = False
    resume: bool = False


UNDECIDING = (Machine, Reading, Writing)  # classes whose fields do not decide the image
