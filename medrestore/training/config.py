"""What a training run is told: frozen, typed, and refused with the name of what is wrong."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from ..errors import InputError
from ..settings import assign, build, flatten, plain

__all__ = ["Betas", "Card", "Config", "Data", "Levels", "Objective", "Optim", "assign", "differences", "plain", "read"]


@dataclass(frozen=True)
class Betas:
    """A linear schedule of DDPM."""

    start: float = 1e-4
    end: float = 0.02
    steps: int = 1000


@dataclass(frozen=True)
class Levels:
    """Which noise levels are trained on, std of every real number.

    Args:
        kind: `log_normal`; `schedule`, every timestep of the betas as often; `log_uniform` over all levels of the target;
            null: log-normal for `edm`, log-uniform for a score network, else the schedule.
        mean, std: of log sigma, when it is log-normal.
    """

    kind: Literal["log_normal", "schedule", "log_uniform"] | None = None
    mean: float = -1.2
    std: float = 1.2


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
    sigma_data: float = 0.5
    time_scale: float = 60.0
    sigmas: tuple[float, float] = (0.002, 80.0)
    betas: Betas = field(default_factory=Betas)
    noise: Levels = field(default_factory=Levels)
    weighting: Literal["simple", "edm", "min_snr"] = "simple"
    gamma: float = 5.0


@dataclass(frozen=True)
class Data:
    """What is learned from.

    Args:
        train, validation: sources, as `datasets.images` takes them; they may not share a patient or scene.
        augment: as `datasets.augmentation` takes it.
        sides: (side in pixels, share of the passes) of the crops; every pass holds about the same number of pixels.
        workers: processes that prepare crops, on each device; 0: none.
        validation_crops: how many fixed crops are scored.
        validation_side: their side; null: the largest of `sides`.
    """

    train: tuple[dict[str, Any], ...] = ()
    validation: tuple[dict[str, Any], ...] = ()
    augment: Any = None
    sides: tuple[tuple[int, float], ...] = ((64, 1.0),)
    workers: int = 0
    validation_crops: int = 16
    validation_side: int | None = None


@dataclass(frozen=True)
class Optim:
    """AdamW, its learning rate rising, staying, and falling to zero at the end.

    Args:
        lr: while it stays.
        batch: crops of the smallest side in one pass of one process; a larger crop takes the place of as many as it covers.
        accumulate: passes to one step. A step sees `batch * accumulate * processes` images.
        clip: largest norm of the gradient.
        warmup_images, decay_images: over which the learning rate rises and falls.
        weight_decay: of AdamW.
    """

    lr: float = 2e-4
    batch: int = 16
    accumulate: int = 1
    clip: float = 1.0
    warmup_images: int = 5_000
    decay_images: int = 50_000
    weight_decay: float = 0.0


@dataclass(frozen=True)
class Card:
    """What the run cannot know of its prior."""

    name: str = "unnamed"
    about: str = ""
    training_data: str = ""
    licence: str = "not stated"
    use: str = "Research use only. Not a medical device. Not for diagnosis. Can invent anatomy."


@dataclass(frozen=True)
class Config:
    """A training run. Images are crops of the smallest side: one of twice the side counts as four.

    Args:
        out: folder of the run; the prior ends up in `out/prior`.
        seed: of the weights, the crops and the noise.
        init: prior to start from, by folder or name: its network, target and range are kept unless told otherwise; the scale of
            complex images is that of the data, which say what was learned.
        network: arguments of a diffusers `UNet2DModel`; empty: the parent's.
        images: to train on, in all.
        ema_images: half-lives of the averaged weights; the one that denoises best at the end is exported.
        precision: of the network's arithmetic; weights stay fp32 while it trains.
        weights: how the exported prior keeps them; fp16 takes half the space.
        channels_last, compile, gradient_checkpointing: faster layout, `torch.compile`, less memory for more time.
        checkpoint_images: between checkpoints.
        keep: how many of the last checkpoints stay, besides the best.
        sample_images: between pictures; 0: none.
        snapshots: epochs after which the averaged weights become a prior in `out/snapshots/epoch-NN`.
    """

    out: str = "runs/prior"
    seed: int = 0
    init: str | None = None
    network: dict[str, Any] = field(default_factory=dict)
    objective: Objective = field(default_factory=Objective)
    data: Data = field(default_factory=Data)
    optim: Optim = field(default_factory=Optim)
    images: int = 200_000
    ema_images: tuple[int, ...] = (10_000,)
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    weights: Literal["fp32", "fp16"] = "fp32"
    channels_last: bool = True
    compile: bool = False
    gradient_checkpointing: bool = False
    checkpoint_images: int = 10_000
    keep: int = 2
    sample_images: int = 0
    snapshots: tuple[int, ...] = ()
    card: Card = field(default_factory=Card)


POSITIVE = ("images", "checkpoint_images", "keep", "optim.lr", "optim.batch", "optim.accumulate", "optim.clip",
            "objective.sigma_data", "objective.noise.std", "objective.gamma", "objective.betas.steps", "data.validation_crops")
NOT_NEGATIVE = ("seed", "sample_images", "optim.warmup_images", "optim.decay_images", "optim.weight_decay", "data.workers")
FREE = ("out", "images", "weights", "optim.decay_images", "checkpoint_images", "keep", "sample_images", "snapshots", "card",
        "data.workers")  # what a run may change and go on: how long, and what is written


def read(given: Mapping[str, Any], source: str) -> Config:
    """The run that a mapping describes; `source` is named in complaints.

    Raises:
        InputError: an unknown key, a value of another type, or one that makes no sense.
    """
    config = build(Config, given, source)
    flat = flatten(asdict(config))
    for key in (*POSITIVE, *NOT_NEGATIVE):
        if flat[key] < 0 or (key in POSITIVE and flat[key] == 0):
            raise InputError(f"{source}: {key} must be {'positive' if key in POSITIVE else 'at least 0'}, got {flat[key]}")
    for key, values in (("ema_images", config.ema_images), ("snapshots", config.snapshots or (1,)),
                        ("data.sides", [side for side, _ in config.data.sides])):
        if not values or min(values) < 1 or len(set(values)) < len(values):
            raise InputError(f"{source}: {key} must be positive and different numbers, got {list(values)}")
    if min(share for _, share in config.data.sides) <= 0:
        raise InputError(f"{source}: the shares in data.sides must be positive")
    if config.data.validation_side is not None and config.data.validation_side < 1:
        raise InputError(f"{source}: data.validation_side must be positive, got {config.data.validation_side}")
    low, high = config.objective.sigmas
    if not 0 < low < high:
        raise InputError(f"{source}: objective.sigmas must be positive and rise, got {[low, high]}")
    start, end = config.objective.betas.start, config.objective.betas.end
    if not 0 < start <= end < 1 or config.objective.betas.steps < 2:
        raise InputError(f"{source}: objective.betas must rise between 0 and 1 in at least 2 steps")
    return config


def differences(before: Mapping[str, Any], now: Config, source: str) -> list[str]:
    """What a run may not change on its way and did, as `key was a and is b`; `before` is the plain config it began with."""
    old, new = flatten(plain(read(before, source))), flatten(plain(now))
    keys = [key for key in {**old, **new} if not any(f"{key}.".startswith(f"{free}.") for free in FREE)]
    return [f"{key} was {old.get(key)!r} and is {new.get(key)!r}" for key in keys if old.get(key) != new.get(key)]
