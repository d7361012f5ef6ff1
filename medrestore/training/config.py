"""The configuration of a run that trains a prior, and what it shares with those of other runs.

Bounds stand at the fields and are checked wherever an object is made. A field marked `Adjustable` does not
decide what is learned at a given image of the run, so it may change when the run resumes; every other field
may not.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, is_dataclass
from typing import Annotated, Any, Literal, TypeVar, get_args

from ..errors import InputError
from ..settings import OMITTED, Bounds, Checked, Privacy, build, check, flatten, hints, plain
from .conditioning import Conditioning

T = TypeVar("T")
_ADJUSTABLE = "may change when a run resumes"
Adjustable = Annotated[T, _ADJUSTABLE]
Count = Annotated[int, Bounds(at_least=1)]
Whole = Annotated[int, Bounds(at_least=0)]
Positive = Annotated[float, Bounds(above=0)]
NotNegative = Annotated[float, Bounds(at_least=0)]


@dataclass(frozen=True)
class Optim(Checked):
    """AdamW, its learning rate rising, constant, and falling to zero at the end.

    Args:
        lr: while it is constant.
        batch: crops of the smallest side, or scans, in one pass of one process; a larger crop takes the place
            of as many as it covers.
        accumulate: passes to one step. A step has `batch * accumulate * processes` images.
        clip: largest norm of the gradient.
        warmup_images, decay_images: over which the learning rate rises and falls.
        weight_decay: of AdamW.
    """

    lr: Positive = 2e-4
    batch: Count = 16
    accumulate: Count = 1
    clip: Positive = 1.0
    warmup_images: Whole = 5_000
    decay_images: Adjustable[Whole] = 50_000
    weight_decay: NotNegative = 0.0


@dataclass(frozen=True)
class Card(Checked):
    """What the run cannot know of the network that it trains."""

    name: str = "unnamed"
    about: str = ""
    training_data: str = ""
    licence: str = "not stated"
    use: str = "Research use only. Not a medical device. Not for diagnosis. Can invent anatomy."


@dataclass(frozen=True)
class Betas:
    """A linear schedule of DDPM."""

    start: Annotated[float, Bounds(above=0, below=1)] = 1e-4
    end: Annotated[float, Bounds(above=0, below=1)] = 0.02
    steps: Annotated[int, Bounds(at_least=2)] = 1000

    def __post_init__(self) -> None:
        check(self)
        if self.start > self.end:
            raise InputError(f"Betas: start must be at most end, got {self.start} and {self.end}")


@dataclass(frozen=True)
class Levels(Checked):
    """Which noise levels are trained on, std of every real number.

    Args:
        kind: `log_normal`; `schedule`, every timestep of the betas as often; `log_uniform` over all levels of
            the target; null: log-normal for `edm`, log-uniform for a score network, else the schedule.
        mean, std: of log sigma, when it is log-normal.
    """

    kind: Literal["log_normal", "schedule", "log_uniform"] | None = None
    mean: float = -1.2
    std: Positive = 1.2


@dataclass(frozen=True)
class Objective:
    """What the network predicts, and how much each noise level counts.

    Args:
        kind: the target; null: the parent's when fine-tuning, else `edm`.
        sigma_data, time_scale, sigmas: of `edm` (see `priors.EDM`).
        betas: of the others.
        noise: levels trained on.
        weighting: see `training.loss`; `edm` with the sigma_data of the target, where that has one.
        gamma: of `min_snr`.
    """

    kind: Literal["edm", "epsilon", "velocity", "sample"] | None = None
    sigma_data: Positive = 0.5
    time_scale: float = 60.0
    sigmas: tuple[Positive, Positive] = (0.002, 80.0)
    betas: Betas = field(default_factory=Betas)
    noise: Levels = field(default_factory=Levels)
    weighting: Literal["simple", "edm", "min_snr"] = "simple"
    gamma: Positive = 5.0

    def __post_init__(self) -> None:
        check(self)
        if self.sigmas[0] >= self.sigmas[1]:
            raise InputError(f"Objective: sigmas must rise, got {list(self.sigmas)}")


@dataclass(frozen=True)
class Sources:
    """The data of a run.

    Args:
        train, validation: sources, as `datasets.images` takes them; they may not share a patient or scene.
            For baselines also `{kind: kspace, files: ..., cache: ...}`, fully sampled fastMRI volumes with
            their own coils.
        augment: as `datasets.augmentation` takes it; for baselines only with `sides`.
    """

    train: tuple[dict[str, Any], ...] = ()
    validation: tuple[dict[str, Any], ...] = ()
    augment: Any = None


@dataclass(frozen=True)
class Data(Sources):
    """The images that a prior is trained on, and its crops of them.

    Args:
        train, validation, augment: see `Sources`.
        sides: (side in pixels, share of the passes) of the crops; every pass holds about the same number of
            pixels.
        workers: processes that prepare crops, on each device; 0: none.
        validation_crops: how many fixed crops are scored.
        validation_side: their side; null: the largest of `sides`.
    """

    sides: tuple[tuple[Count, Positive], ...] = ((64, 1.0),)
    workers: Adjustable[Whole] = 0
    validation_crops: Count = 16
    validation_side: Count | None = None

    def __post_init__(self) -> None:
        check(self)
        _require_distinct("Data: sides", [side for side, _ in self.sides])

    @property
    def scored_side(self) -> int:
        """Of the crops that are scored."""
        return self.validation_side or max(side for side, _ in self.sides)


@dataclass(frozen=True, kw_only=True)
class RunConfig(Checked):
    """What every run has, whatever it trains.

    Args:
        out: folder of the run, in which its result ends up too.
        seed: of the weights, and of all that is drawn.
        network: arguments of the network.
        images: to train on, in all.
        checkpoint_images: between checkpoints.
        keep: how many of the last checkpoints stay, besides the best.
        card: what the run cannot know.
        privacy: what checkpoints and the result tell of the paths of the training data.
    """

    out: Adjustable[str]
    seed: Whole = 0
    network: dict[str, Any] = field(default_factory=dict)
    optim: Optim = field(default_factory=Optim)
    images: Adjustable[Count] = 100_000
    checkpoint_images: Adjustable[Count] = 10_000
    keep: Adjustable[Count] = 2
    card: Adjustable[Card] = field(default_factory=Card)
    privacy: Adjustable[Privacy] = field(default_factory=Privacy)


@dataclass(frozen=True, kw_only=True)
class CropConfig(RunConfig):
    """What every run on crops of images has."""

    data: Data = field(default_factory=Data)

    @property
    def conditioning(self) -> Conditioning:
        """What the network is told of an image beside the noisy one."""
        return Conditioning()


@dataclass(frozen=True, kw_only=True)
class GeneratorConfig(CropConfig):
    """What runs have whose result makes images.

    Args:
        weights: type of the exported weights; fp16 takes half the space.
        channels_last: faster layout.
    """

    weights: Adjustable[Literal["fp32", "fp16"]] = "fp32"
    channels_last: bool = True


@dataclass(frozen=True, kw_only=True)
class Config(GeneratorConfig):
    """A run that trains a prior. Images are crops of the smallest side: one of twice the side counts as four.

    Args:
        out: folder of the run; the prior ends up in `out/prior`.
        init: prior to start from, by folder or name: its network, target and range are taken unless given;
            the scale of complex images is that of the data, which the network sees.
        network: arguments of a diffusers `UNet2DModel`; empty: the parent's.
        conditions: what the network is told of an image beside the noisy one.
        ema_images: half-lives of the averaged weights; the one that denoises best at the end is exported.
        precision: of the network's arithmetic; weights stay fp32 while it trains.
        compile: whether the network is compiled by `torch.compile`.
        gradient_checkpointing: less memory for more time.
        sample_images: between pictures; 0: none.
        snapshots: epochs after which the averaged weights become a prior in `out/snapshots/epoch-NN`.
    """

    out: Adjustable[str] = "runs/prior"
    init: str | None = None
    objective: Objective = field(default_factory=Objective)
    conditions: Conditioning = field(default_factory=Conditioning)
    images: Adjustable[Count] = 200_000
    ema_images: tuple[Count, ...] = (10_000,)
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    compile: bool = False
    gradient_checkpointing: bool = False
    sample_images: Adjustable[Whole] = 0
    snapshots: Adjustable[tuple[Count, ...]] = ()

    def __post_init__(self) -> None:
        check(self)
        _require_distinct("Config: ema_images", self.ema_images)
        _require_distinct("Config: snapshots", self.snapshots or (1,))

    @property
    def conditioning(self) -> Conditioning:
        return self.conditions


def stored(config: RunConfig) -> dict[str, Any]:
    """A config as plain data to write down: of the paths in it, what its `privacy` lets be told."""
    return _told(plain(config), config.privacy)


def _told(values: Mapping[str, Any], privacy: Privacy) -> dict[str, Any]:
    return {key: privacy.within(value) if key in ("out", "init", "data") else value for key, value in values.items()}


def changes_since(before: Mapping[str, Any], now: RunConfig, source: str) -> list[str]:
    """What may not change when a run resumes and did, as `key was a and is b`.

    Args:
        before: the config that the run began with, as `stored`: of paths, only what it tells can be compared;
            keys that an earlier version did not write have their defaults.
        now: the config of today.
        source: of `before`, for messages.
    """
    names = Privacy()
    old = flatten(_told(plain(build(type(now), before, source)), names))
    new = flatten(_told(plain(now), names))
    free = tuple(f"{key}." for key in adjustable(type(now)))
    keys = [key for key in {**old, **new} if not f"{key}.".startswith(free)]
    return [
        f"{key} was {old.get(key)!r} and is {new.get(key)!r}"
        for key in keys
        if _tell_apart(old.get(key), new.get(key))
    ]


def _tell_apart(old: Any, new: Any) -> bool:
    """Whether two values differ, as far as texts that were omitted let it be known."""
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() != new.keys() or any(_tell_apart(old[key], new[key]) for key in old)
    if isinstance(old, list) and isinstance(new, list):
        return len(old) != len(new) or any(map(_tell_apart, old, new))
    return bool(old != new) and old != OMITTED


def adjustable(kind: type, within: str = "") -> Iterator[str]:
    """The dotted names of the fields of a config class that may change when a run resumes."""
    for name, hint in hints(kind).items():
        if _ADJUSTABLE in get_args(hint)[1:]:
            yield f"{within}{name}"
        elif is_dataclass(hint) and isinstance(hint, type):
            yield from adjustable(hint, f"{within}{name}.")


def _require_distinct(name: str, values: tuple[int, ...] | list[int]) -> None:
    if not values or len(set(values)) < len(values):
        raise InputError(f"{name} must be different numbers, at least one, got {list(values)}")
