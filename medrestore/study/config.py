"""The settings of a study: one tree of frozen dataclasses, a class for each kind of data.

What a kind of data can have is what its classes have: `ScanConfig`, `PictureConfig` and `SceneConfig` differ
in the data they read, the conditions (samplings or degradations) they test in and the methods they compare. A
mapping, such as a YAML file, becomes one of them by `read`. Hyper-parameters of a diffusion method are those
of `recon.Plan`, `images.Plan` and `inpainting.Plan`, which have their defaults and check their bounds.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import product
from typing import Annotated, Any, Literal, Self, get_args

from ..conditions import Conditions
from ..errors import InputError
from ..levels import LADDERS
from ..settings import Bounds, Checked, OneOf, build, check, default_of, hints, is_required, plain, refused, suggested, variants
from .sources import (
    AsRecorded,
    Condition,
    Degrade,
    KSpace,
    Phantoms,
    Pictures,
    Positive,
    Scenes,
    Simulated,
    Source,
    Undersample,
)

Values = dict[str, float | None]  # hyper-parameters by name
Seed = Annotated[int, Bounds(at_least=0)]
Ladder = Annotated[str, OneOf(LADDERS)]
ScanProtocol = Literal["fastmri", "fastmri-slice", "complex"]
PictureProtocol = Literal["natural"]
SceneProtocol = Literal["dreaming-corrected", "dreaming-official"]
SCAN_PROTOCOLS, PICTURE_PROTOCOLS, SCENE_PROTOCOLS = map(get_args,
                                                         (ScanProtocol, PictureProtocol, SceneProtocol))
PROTOCOLS: tuple[str, ...] = (*SCAN_PROTOCOLS, *PICTURE_PROTOCOLS, *SCENE_PROTOCOLS)


@dataclass(frozen=True)
class MethodConfig(Checked):
    """One column of the comparison; each class is recognised by its required field."""

    @property
    def paths(self) -> tuple[str, ...]:
        """Files and folders that must exist."""
        return ()

    @property
    def family(self) -> str:
        """What methods are called that differ in the number of network calls alone; empty for those without a
        network.
        """
        return ""

    @property
    def tuned(self) -> bool:
        """Whether hyper-parameters are to be chosen."""
        return False

    def candidates(self) -> list[tuple[Values, Self]]:
        """Every combination of what is tuned, with the config that has it; one, empty, when nothing is."""
        return [({}, self)]

    def settled(self, chosen: Mapping[str, float | None]) -> Self:
        """The config with hyper-parameters chosen."""
        return self


@dataclass(frozen=True, kw_only=True)
class Tunable(MethodConfig):
    """A method with hyper-parameters.

    Args:
        options: hyper-parameters by name.
        tune: hyper-parameters to be chosen on the validation cases, each with the values to try.
    """

    options: dict[str, Any] = field(default_factory=dict)
    tune: dict[str, tuple[float | None, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        empty = next((key for key, values in self.tune.items() if not values), None)
        if empty is not None:
            raise refused(self, f"tune.{empty} has no values to try")

    @property
    def tuned(self) -> bool:
        return bool(self.tune)

    def candidates(self) -> list[tuple[Values, Self]]:
        combinations = (dict(zip(self.tune, values, strict=True)) for values in product(*self.tune.values()))
        return [(chosen, self.settled(chosen)) for chosen in combinations]

    def settled(self, chosen: Mapping[str, float | None]) -> Self:
        return replace(self, options={**self.options, **chosen}, tune={})


@dataclass(frozen=True)
class Baseline(Tunable):
    """A method without a diffusion prior.

    Args:
        baseline: a class of `medrestore.baselines`, `RSS` for scans, `Biharmonic` for pictures (docs/baselines.md).
        weights: folder of a trained one.
    """

    baseline: str
    weights: str | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        return () if self.weights is None else (self.weights,)


@dataclass(frozen=True)
class Fill(MethodConfig):
    """A fill of holes without a prior, of `study.fills`."""

    fill: Literal["none", "mean", "smooth", "biharmonic", "telea", "navier-stokes"]


@dataclass(frozen=True)
class Diffusion(Tunable, Conditions):
    """A diffusion method. Fields that are None take the default of the plan, `recon.Plan`,
    `images.Plan` or `inpainting.Plan`.

    Args:
        steps, samples, batch_size, sigma_max: as the plan.
        method: of `medrestore.methods.METHODS`.
        prior: folder or name; None for the one that ships for this kind of image.
        bf16: bfloat16 inside the network where the device computes in it, float32 elsewhere.
    """

    method: str
    prior: str | None = field(default=None, kw_only=True)
    steps: int = field(default=25, kw_only=True)
    samples: int = field(default=1, kw_only=True)
    batch_size: int | None = field(default=None, kw_only=True)
    sigma_max: float | None = field(default=None, kw_only=True)
    bf16: bool | None = field(default=None, kw_only=True)

    @property
    def family(self) -> str:
        return self.method

    @property
    def paths(self) -> tuple[str, ...]:
        named = self.prior is not None and not any(sign in self.prior for sign in "/\\.")  # a shipped one
        beside = () if self.classifier is None else (self.classifier,)
        return beside if self.prior is None or named else (self.prior, *beside)


@dataclass(frozen=True, kw_only=True)
class ScanMethod(Diffusion):
    """A diffusion method on scans.

    Args:
        ladder, start_sigma, spectral_gb: as `recon.Plan`.
        uncertainty: also measure how well the spread of the samples tells the error.
    """

    ladder: Ladder | None = None
    start_sigma: float | None = None
    spectral_gb: float | None = None
    uncertainty: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.uncertainty and self.samples < 2:
            raise refused(self, f"uncertainty needs samples of at least 2, got {self.samples}")


@dataclass(frozen=True, kw_only=True)
class PictureMethod(Diffusion):
    """A diffusion method on pictures.

    Args:
        ladder: as `images.Plan`.
    """

    ladder: Ladder | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.ladder not in (None, "karras") and self.sigma_max is None:
            raise refused(self, "ladder needs sigma_max, the noise level to begin at")


@dataclass(frozen=True, kw_only=True)
class SceneMethod(Diffusion):
    """A diffusion method on scenes; fields as `inpainting.Plan`, but for

    Args:
        travel: (length, repeat) of time travel.
    """

    start_sigma: float | None = None
    travel: tuple[int, int] | None = None
    noise_std: float | None = None
    window: int | None = None
    shift: int | None = None
    factor: int | Literal["auto"] | None = None
    warm_start: float | None = None
    grow: int | None = None
    temporal_fill: bool | None = None
    feather: int | None = None


@dataclass(frozen=True, kw_only=True)
class Config(ABC):
    """A study: data x conditions x methods x seeds.

    Args:
        name: of the study, in its report.
        protocol: how outputs are scored (`evaluation.protocols`).
        data: what is tested on.
        validation: what methods are tuned on; shares no patient with `data`.
        methods: by the label that tables show.
        seeds: each draws masks, noise and samples anew.
        against: label of the method that the others are tested against; None for the last.
        pictures: how many cases have their images stored for the report.
        threads: of each task.
        cache: folder of coil maps; None for `cache` in the output.
        lpips: files with the weights of LPIPS; none: it is not computed.
    """

    name: str = "study"
    protocol: str
    data: Source
    validation: Source | None = None
    methods: Mapping[str, MethodConfig]
    seeds: tuple[Seed, ...] = (0,)
    against: str | None = None
    pictures: Annotated[int, Bounds(at_least=0)] = 2
    threads: Positive = 1
    cache: str | None = None
    lpips: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check(self)
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise refused(self, f"seeds must be different and at least one, got {list(self.seeds)}")
        if not self.methods:
            raise refused(self, "methods is empty; name at least one")
        if not self.conditions:
            raise refused(self, "settings is empty; give at least one")
        names = [condition.name for condition in self.conditions]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise refused(self, f"settings has two called {twice!r}; give each a label")
        if self.against is not None and self.against not in self.methods:
            raise refused(self, f"against is {self.against!r}, which is no method; "
                                f"{suggested('', self.against, self.methods)}")
        tuned = next((label for label, method in self.methods.items() if method.tuned), None)
        if tuned is not None and self.validation is None:
            raise refused(self,
                          f"methods.{tuned} has tune, which needs validation: cases that are not tested on")

    @property
    @abstractmethod
    def conditions(self) -> Sequence[Condition]:
        """What methods restore from, each a row of the tables."""

    @property
    def fid_weights(self) -> str | None:
        """The file with the weights of FID's network; None where FID is not asked for."""
        return None

    @property
    def paths(self) -> list[str]:
        """Every file and folder that must exist."""
        sources = [self.data] if self.validation is None else [self.data, self.validation]
        parts: list[Source | MethodConfig] = [*sources, *self.methods.values()]
        weights = [*self.lpips, *([] if self.fid_weights is None else [self.fid_weights])]
        return [*weights, *(path for part in parts for path in part.paths)]


@dataclass(frozen=True, kw_only=True)
class ScanConfig(Config):
    """A study of scans.

    Args:
        settings: samplings.
    """

    protocol: ScanProtocol
    data: Simulated | Phantoms | KSpace
    validation: Simulated | Phantoms | KSpace | None = None
    methods: dict[str, Baseline | ScanMethod]
    settings: tuple[Undersample, ...] = ()

    @property
    def conditions(self) -> tuple[Undersample, ...]:
        return self.settings


@dataclass(frozen=True, kw_only=True)
class PictureConfig(Config):
    """A study of photographs.

    Args:
        settings: degradations.
        inception: file with the weights of FID's network, such as pytorch-fid publishes; None: FID is not computed.
    """

    protocol: PictureProtocol
    data: Pictures
    validation: Pictures | None = None
    methods: dict[str, Baseline | PictureMethod]
    settings: tuple[Degrade, ...] = ()
    inception: str | None = None

    @property
    def conditions(self) -> tuple[Degrade, ...]:
        return self.settings

    @property
    def fid_weights(self) -> str | None:
        return self.inception


@dataclass(frozen=True, kw_only=True)
class SceneConfig(Config):
    """A study of scenes, whose holes come with them."""

    protocol: SceneProtocol
    data: Scenes
    validation: Scenes | None = None
    methods: dict[str, Fill | SceneMethod]

    @property
    def conditions(self) -> tuple[AsRecorded, ...]:
        return (AsRecorded(),)


KINDS: tuple[type[Config], ...] = (ScanConfig, PictureConfig, SceneConfig)


def read(given: Mapping[str, Any], source: str) -> Config:
    """The study that a mapping describes.

    Args:
        given: keys as the fields of the classes; `data` has a `kind`, which says what kind of study it is.
        source: the file that it comes from; complaints begin with it.

    Raises:
        InputError: an unknown key, a value of another type or out of bounds, or values that do not go
            together.
    """
    if "data" not in given:
        raise InputError(f"{source}: data is missing")
    data = given["data"]
    kind = data.get("kind") if isinstance(data, Mapping) else data
    choices = {name: config for config in KINDS for name in variants(hints(config)["data"])}
    if not isinstance(data, Mapping) or kind not in choices:
        raise InputError(f"{source}: data.kind must be one of {', '.join(choices)}, got {kind!r}")
    return build(choices[kind], given, source)


def as_plain(config: Config) -> dict[str, Any]:
    """The study as plain data, which `read` takes again; methods without what they leave at its default."""
    out: dict[str, Any] = plain(config)
    out["methods"] = {label: _beyond_defaults(method) for label, method in config.methods.items()}
    return out


def _beyond_defaults(method: MethodConfig) -> dict[str, Any]:
    """What a method has beyond the defaults, as plain data."""
    values = plain(method)
    return {one.name: values[one.name] for one in fields(method)
            if is_required(one) or values[one.name] != plain(default_of(one))}
