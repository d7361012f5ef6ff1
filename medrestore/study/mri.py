"""Scans as cases, and how the methods of a study restore them. Where scans come from is in `scans`."""

import math
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from ..baselines import Baseline as BaselineMethod
from ..baselines import DeepImagePrior, RootSumOfSquares, rss
from ..baselines import weights as trained
from ..errors import InputError
from ..evaluation.protocols import score
from ..evaluation.uncertainty import calibration
from ..fft import ifft2c
from ..files import digest_of
from ..io import Scan
from ..mri import noise_covariance, prewhiten, whitening
from ..mri.sampling import KINDS
from ..operators import Crop
from ..recon.checks import check_plan, check_prior, complex_prior
from ..recon.plan import Plan, Undersampling
from ..recon.preparation import prepare
from ..recon.prepared import Prepared
from ..recon.restoring import restore_slice
from ..settings import Registry, suggested
from .cases import Case, Clock, Item, Row, Solved, part_of
from .config import Baseline, ScanMethod, ScanProtocol
from .methods import Facts, MethodImage, NetworkSolver, Solver, mean_and_first, plan_of, planned
from .sources import Condition, Undersample

MASK_SEEDS = 1_000_003  # masks set apart for the seeds of a study
CACHE_BYTES = 2 * 2**30  # of prepared slices that a process remembers for the other methods of a group
CLASSICAL: Registry[BaselineMethod] = Registry("medrestore.baselines", {
    "ZeroFilled": "zero_filled:ZeroFilled", "CGSense": "regularised:CGSense",
    "TotalVariation": "regularised:TotalVariation", "ADMMTV": "admm_tv:ADMMTV",
    "L1Wavelet": "regularised:L1Wavelet", "DeepImagePrior": "deep_image_prior:DeepImagePrior",
})
TRAINED = {kind.__name__: name for name, kind in trained.KINDS.items()}
ROOT_SUM_OF_SQUARES = ("RSS", RootSumOfSquares.__name__)


@dataclass(frozen=True)
class ScanCase(Case[Undersample, "ScanSolver"]):
    """One volume.

    Attributes:
        slices: their numbers.
        seed: of its masks.
    """

    slices: tuple[int, ...]
    seed: int

    @abstractmethod
    def scan(self, number: int) -> Scan:
        """Slice `number`, fully sampled."""

    @property
    @abstractmethod
    def file_name(self) -> str:
        """What fastMRI's masks take their seed from."""

    def stream(self, number: int) -> int:
        """What sets the seeds of slice `number` apart from those of the others."""
        return number

    def peak(self) -> float | None:
        """The largest value of the whole stored reference, for the scores; None without one."""
        return None

    @property
    def images(self) -> int:
        return len(self.slices)

    @property
    def grid(self) -> tuple[int, int]:
        height, width = self.scan(self.slices[0]).kspace.shape[-2:]
        return height, width

    @property
    def coils(self) -> int:
        return self.scan(self.slices[0]).kspace.shape[1]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.scan(self.slices[0]).crop

    def prepare(self, item: Item[Undersample, "ScanSolver"], device: str) -> bool:
        with tempfile.TemporaryDirectory() as cache:
            prepared_slice(self, self.slices[0], item.content.condition, item.content.seed, cache=Path(cache),
                           spectral=item.solver.spectral, spectral_gb=item.resources.spectral_gb, device=device)
        return True

    def solve(self, item: Item[Undersample, "ScanSolver"], device: str, clock: Clock) -> Solved:
        """The rows of a volume, one for each slice or the whole, and the middle slice with its reference."""
        complex_valued = item.content.protocol == "complex"
        volumes: dict[str, list[MethodImage]] = {}
        references: list[Tensor] = []
        accel = None
        for number in self.slices:
            with clock.timing("preparation"):
                prepared = _remembered(self, number, item, device)
            with clock.timing("method"):
                for made in item.solver.reconstruct(prepared, item.label, item.content.seed, self.stream(number), device):
                    volumes.setdefault(made.label, []).append(made)
            references.append(prepared.truth if complex_valued else prepared.reference)
            accel = prepared.prepared.sampling.acceleration
        rows = [row for made in volumes.values() for row in self._rows(item, made, references, accel)]
        middle = len(self.slices) // 2
        return Solved(rows, volumes[item.label][middle].image.abs(), references[middle].abs())

    def _rows(self, item: Item[Undersample, "ScanSolver"], made: Sequence[MethodImage],
              references: Sequence[Tensor],
              accel: float | None) -> list[Row]:
        """The scores of all slices by one method."""
        protocol = cast(ScanProtocol, item.content.protocol)
        complex_valued = protocol == "complex"
        images = torch.stack([one.image if complex_valued else one.image.abs() for one in made])
        peak = None if complex_valued else self.peak()
        rows = []
        for scores in score(protocol, images, torch.stack(list(references)), data_range=peak):
            at = scores.pop("slice")
            facts = mean_facts([one.facts for one in made]) if at is None else made[at].facts
            number = None if at is None else self.slices[at]
            rows.append({**item.row(made[0].label, number, accel), **scores, **facts})
        return rows


@dataclass(frozen=True)
class PreparedSlice:
    """A slice that any method can take, and what it is scored against.

    Attributes:
        prepared: under-sampled, whitened, with coil maps.
        reference: (h, w) magnitude as shown.
        truth: (h, w) complex as shown: the fully sampled scan combined by the same coil maps.
        rss: (h, w) root-sum-of-squares of what was sampled, as shown.
    """

    prepared: Prepared
    reference: Tensor
    truth: Tensor
    rss: Tensor

    @property
    def bytes(self) -> int:
        """About how much memory it takes."""
        y = self.prepared.problem.y
        operator = self.prepared.problem.operator
        spectrum = 0 if operator is self.prepared.sense else y.shape[-2] * y.shape[-1] ** 2
        return y.element_size() * (2 * y.numel() + spectrum)


def prepared_slice(case: ScanCase, number: int, condition: Undersample, seed: int, *, cache: Path | None,
                   spectral: bool, spectral_gb: float, device: str) -> PreparedSlice:
    """Slice `number` undersampled and prepared, as `recon.prepare` does it, and its references.

    Args:
        seed: of the study.
        cache: folder of coil maps.
        spectral: for methods that need an exact spectrum, which have one weight for each line of k-space.
        spectral_gb: largest exact spectrum to compute; 0 computes none.

    Raises:
        InputError: the slice has no reference, or cannot be prepared.
    """
    scan = case.scan(number)
    plan = Plan(method="ddnm" if spectral else "hqs", seed=case.seed + MASK_SEEDS * seed, spectral_gb=spectral_gb, map_sets=1,
                undersample=part_of(Undersampling, condition))
    prepared = prepare(scan, plan, file_name=case.file_name, cache=cache, device=device)
    if prepared.reference is None:
        raise InputError(f"{case.file_name} is undersampled and holds no reference, so nothing made of it can be scored")
    full = scan.kspace if scan.noise is None else prewhiten(scan.kspace,
                                                            whitening(noise_covariance(scan.noise)))
    combined = (prepared.sense.maps.conj() * ifft2c(full.to(device))).sum(1)[0]
    sampled = rss(scan.kspace * prepared.sampling.mask)[0, 0]
    height, width = sampled.shape
    inner = (min(scan.crop[0], height), min(scan.crop[1], width))
    return PreparedSlice(prepared, prepared.reference, prepared.shown(combined[None]).cpu(),
                         Crop((height, width), inner)(sampled))


@dataclass
class SliceCache:
    """Prepared slices of one group of tasks, as many as fit; those of another group replace them."""

    group: Hashable = None
    slices: dict[int, PreparedSlice] = field(default_factory=dict)
    bytes: int = 0

    def of(self, group: Hashable) -> "SliceCache":
        """The cache, empty unless the group is the one before."""
        if group != self.group:
            self.group, self.bytes = group, 0
            self.slices.clear()
        return self

    def add(self, number: int, prepared: PreparedSlice) -> None:
        """Remembers a slice where it fits."""
        if self.bytes + prepared.bytes <= CACHE_BYTES:
            self.slices[number] = prepared
            self.bytes += prepared.bytes


_CACHE = SliceCache()  # of this process


def _remembered(case: ScanCase, number: int, item: Item[Undersample, "ScanSolver"],
                device: str) -> PreparedSlice:
    content, resources = item.content, item.resources
    cache = _CACHE.of((content.case, content.condition, content.seed, device, item.solver.spectral, resources.spectral_gb))
    if number not in cache.slices:
        prepared = prepared_slice(case, number, content.condition, content.seed, cache=resources.cache,
                                  spectral=item.solver.spectral, spectral_gb=resources.spectral_gb, device=device)
        cache.add(number, prepared)
        return prepared
    return cache.slices[number]


class ScanSolver(Solver, ABC):
    """A method that reconstructs prepared slices."""

    @property
    def spectral_gb(self) -> float | None:
        """Largest exact spectrum that it takes, GiB; None where it takes what there is."""
        return None

    @property
    def spectral(self) -> bool:
        """Whether it needs an exact spectrum."""
        return False

    @abstractmethod
    def reconstruct(self, prepared: PreparedSlice, label: str, seed: int, stream: int,
                    device: str) -> list[MethodImage]:
        """The slice; where several samples were drawn, also the first of them.

        Args:
            seed: of the study.
            stream: sets the seeds of the slice apart.
        """


@dataclass(frozen=True)
class SumOfSquares(ScanSolver):
    """Root-sum-of-squares of what was sampled."""

    def reconstruct(self, prepared: PreparedSlice, label: str, seed: int, stream: int,
                    device: str) -> list[MethodImage]:
        return [MethodImage(label, prepared.rss, {"calls": 0.0, "misfit": None})]


@dataclass(frozen=True)
class Classical(ScanSolver):
    """A baseline without a network that was trained."""

    baseline: BaselineMethod

    def reconstruct(self, prepared: PreparedSlice, label: str, seed: int, stream: int,
                    device: str) -> list[MethodImage]:
        baseline = self.baseline
        if isinstance(baseline, DeepImagePrior):
            baseline = replace(baseline, seed=baseline.seed + seed)
        return [_by_baseline(baseline, prepared, label)]


@dataclass(frozen=True)
class Trained(ScanSolver):
    """A supervised baseline.

    Args:
        folder: of the trained one.
        sha256: of its weights and arguments.
    """

    folder: str
    sha256: str

    @property
    def weights(self) -> str:
        return self.sha256

    def reconstruct(self, prepared: PreparedSlice, label: str, seed: int, stream: int,
                    device: str) -> list[MethodImage]:
        return [_by_baseline(_loaded_once(self.folder, device=device), prepared, label)]


_loaded_once = lru_cache(maxsize=4)(trained.load)


def _by_baseline(baseline: BaselineMethod, prepared: PreparedSlice, label: str) -> MethodImage:
    """A baseline takes no noise level, so its misfit has no scale."""
    about = prepared.prepared
    image = baseline.reconstruct(about.kspace, about.sense.maps, about.sense.mask)
    return MethodImage(label, about.shown(image[0, 0]).cpu(), {"calls": 0.0, "misfit": None})


@dataclass(frozen=True)
class ScanDiffusion(NetworkSolver[Plan], ScanSolver):
    """A diffusion method on scans.

    Args:
        uncertainty: also measure how well the spread of the samples tells the error.
    """

    uncertainty: bool

    @property
    def spectral_gb(self) -> float:
        return self.plan.spectral_gb

    @property
    def spectral(self) -> bool:
        return self.plan.sampler.inverts()

    def serves(self, condition: Condition) -> bool:
        """Spectral methods need a mask along one axis."""
        both = isinstance(condition, Undersample) and KINDS[condition.kind][1] == 2
        return not (both and self.spectral)

    def reconstruct(self, prepared: PreparedSlice, label: str, seed: int, stream: int,
                    device: str) -> list[MethodImage]:
        about, network, plan = prepared.prepared, self.network.load(device), self.seeded(seed)
        prior = complex_prior(network, plan)
        check_plan(about, prior, plan)
        made = restore_slice(about, prior, plan, slice_index=stream)
        facts: Facts = {"calls": float(network.calls), "misfit": float(made.restoration.misfit.mean())}
        if self.uncertainty:
            inside = prepared.prepared.shown(torch.ones_like(prepared.prepared.gain[0, 0])).cpu() > 0
            measured = calibration(made.samples.abs(), prepared.reference, inside=inside).row()
            facts |= {name: value if math.isfinite(value) else None for name, value in measured.items()}
        of_first: Facts = {"calls": network.calls / plan.samples, "misfit": float(made.restoration.misfit[0])}
        return mean_and_first(label, made.image, made.samples, facts, of_first)


def mean_facts(facts: Sequence[Facts]) -> Facts:
    """Means over the slices of a volume."""
    means: Facts = {}
    for name in facts[0]:
        values = [value for one in facts if (value := one[name]) is not None]
        means[name] = sum(values) / len(values) if values else None
    return means


def scan_solver(config: Baseline | ScanMethod, protocol: str, source: str, where: str) -> ScanSolver:
    """The solver of a method; see `methods.SolverMaker`."""
    if isinstance(config, Baseline):
        return _baseline_solver(config, protocol, source, where)
    plan = plan_of(Plan, config)  # whose method the check of its prior asks for
    plan, network = planned(Plan, config, lambda about, prior: check_prior(about["channels"], prior, plan),
                            lambda plan, prior: plan.check_levels(complex_prior(prior, plan)))
    return ScanDiffusion(plan, network, config.uncertainty)


def _baseline_solver(config: Baseline, protocol: str, source: str, where: str) -> ScanSolver:
    name = config.baseline
    if name in ROOT_SUM_OF_SQUARES and protocol == "complex":
        raise InputError(f"{name} has no phase, and the protocol complex scores it; leave it out")
    known = (*CLASSICAL, *TRAINED, *(ROOT_SUM_OF_SQUARES if protocol != "complex" else ()))
    if name not in known:
        raise InputError(f"there is no baseline {name!r} for this data; {suggested('', name, known)}")
    if (config.weights is not None) != (name in TRAINED):
        raise InputError(f"{name} {'needs weights, the folder of a trained one' if name in TRAINED else 'takes no weights'}")
    if config.weights is not None:
        about = trained.describe(config.weights)
        if about["kind"] != TRAINED[name]:
            raise InputError(f"{config.weights} holds a trained {about['kind']}, not a {name}")
        return Trained(config.weights, about["sha256"] + digest_of(about["arguments"]))
    if name in ROOT_SUM_OF_SQUARES:
        if config.options:
            raise InputError(f"{name} has no options")
        return SumOfSquares()
    return Classical(CLASSICAL.build(name, config.options, source, f"{where}.options"))
