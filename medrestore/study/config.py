"""What a study is told: frozen, typed, and refused with the name of what is wrong."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from ..errors import InputError
from ..settings import build, dotted, plain, suggested

Slices = Literal["middle", "all"] | tuple[int, int]
MRI, PICTURES, SCENES = ("fastmri", "fastmri-slice", "complex"), ("natural",), ("dreaming-corrected", "dreaming-official")


@dataclass(frozen=True)
class Simulated:
    """Scans simulated from magnitude volumes: smooth random phase, a ring of coils, noise. The seed is the subject.

    Args:
        volumes: an .npz with `vol`, uint8 (subject, x, y, slice).
        subjects: [first, last).
        slices: of each subject: `middle`, `all`, or [first, last), counted among those that show something.
        coils, snr_db: of the simulated array (`mri.simulate_scan`).
    """

    volumes: str
    subjects: tuple[int, int]
    slices: Slices = "middle"
    coils: int = 8
    snr_db: float = 30.0


@dataclass(frozen=True)
class Phantoms:
    """Scans simulated from generated heads, for trying things out with no data at hand.

    Args:
        count, first: phantom `first` and those after it; each is a case of one slice.
        size: (height, width).
        seed: phantom i of a seed is always the same one.
        coils, snr_db: as for simulated volumes.
    """

    count: int
    first: int = 0
    size: tuple[int, int] = (96, 96)
    seed: int = 0
    coils: int = 8
    snr_db: float = 30.0


@dataclass(frozen=True)
class KSpace:
    """Fully sampled scans in files of any format, undersampled in software.

    Args:
        folder: of the scans, to any depth, or of the fastMRI download when there is a split; `bundled` is the sample scan.
        files: instead of a folder, or glob patterns.
        split: a name in data/splits/fastmri.yaml, or FILE.yaml:NAME.
        slices: of each scan: `middle`, `all`, or [first, last), counted from the end where negative.
        dataset, axes, max_gb: how to read files that do not say (`io.read_kspace`).
    """

    folder: str | None = None
    files: tuple[str, ...] = ()
    split: str | None = None
    slices: Slices = "all"
    dataset: str | None = None
    axes: tuple[str, ...] | None = None
    max_gb: float = 16.0


@dataclass(frozen=True)
class Scenes:
    """Scenes with hands and instruments in front: DREAMING's, or rendered ones.

    Args:
        folder: DREAMING, unpacked or as archives; null renders scenes.
        split: a name in data/splits/dreaming.yaml, or FILE.yaml:NAME; null takes all scenes of the folder.
        scenes: a range [first, last) of the numbers of the scenes, rendered or of the folder.
        numbers: of the scenes one by one, instead.
        seed, size: of rendered scenes; (height, width).
        frames: which frames of each scene, or how many, evenly spread; null for all (rendered: of the first 1000).
        crop: side of the square around what is hidden that stands for the frame; null for the whole frame.
        holes: shares [least, most] of the frame (or crop) that may be hidden in the first of the frames; other scenes are
            left out.
    """

    folder: str | None = None
    split: str | None = None
    scenes: tuple[int, int] | None = None
    numbers: tuple[int, ...] | None = None
    seed: int = 0
    size: tuple[int, int] = (270, 480)
    frames: int | tuple[int, ...] | None = None
    crop: int | None = None
    holes: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if sum(value is not None for value in (self.split, self.scenes, self.numbers)) > 1:
            raise InputError("scenes, numbers and split each choose scenes; give one of them")
        if self.scenes is not None and not 0 <= self.scenes[0] < self.scenes[1]:
            raise InputError(f"scenes must be a range [first, last) of numbers, got {list(self.scenes)}")
        if self.numbers is not None and (not self.numbers or min(self.numbers) < 0):
            raise InputError(f"numbers must be those of scenes, 0 and up, got {list(self.numbers)}")

    @property
    def wanted(self) -> tuple[int, ...] | None:
        """The numbers that `scenes` or `numbers` chooses; None where neither does."""
        return tuple(range(*self.scenes)) if self.scenes is not None else self.numbers


@dataclass(frozen=True)
class Pictures:
    """Photographs, degraded in software.

    Args:
        folder: of png and jpg, to any depth; `bundled` for those that come with scikit-image.
        crop: side of the central square; null for the whole picture.
    """

    folder: str = "bundled"
    crop: int | None = None


@dataclass(frozen=True)
class Undersample:
    """A sampling mask, drawn in software.

    Args:
        kind: one of `mri.sampling.KINDS`.
        accel: asked acceleration.
        acs: calibration lines; null for the kind's own rule.
        label: in tables; null for kind and acceleration.
    """

    kind: str
    accel: float
    acs: int | None = None
    label: str | None = None

    @property
    def name(self) -> str:
        return self.label or f"{self.kind} {self.accel:g}x"


@dataclass(frozen=True)
class Degrade:
    """What is done to a picture.

    Args:
        kind: the operator.
        factor, filter: of super-resolution: how much smaller, by bicubic interpolation or by means.
        keep, box: of inpainting: the share of the pixels kept, at random, or the side of a hidden square in the middle.
        std: of deblurring: of the Gaussian, pixels.
        noise_std: of the noise, pictures being in [0, 1].
        label: in tables; null for a name made of these.
    """

    kind: Literal["super-resolution", "inpainting", "deblurring", "colorization"]
    factor: int = 4
    filter: Literal["bicubic", "mean"] = "bicubic"
    keep: float | None = None
    box: int | None = None
    std: float = 3.0
    noise_std: float = 0.0
    label: str | None = None

    @property
    def name(self) -> str:
        if self.label:
            return self.label
        what = {"super-resolution": f"{self.factor}x", "deblurring": f"{self.std:g} px", "colorization": "",
                "inpainting": f"{self.keep:.0%}" if self.keep is not None else f"{self.box} px"}[self.kind]
        noise = f" noise {self.noise_std:g}" if self.noise_std > 0 else ""
        return f"{self.kind} {what}".strip() + noise


Setting = Undersample | Degrade | None
Source = Simulated | Phantoms | KSpace | Scenes | Pictures
SOURCES: dict[str, type] = {
    "simulated": Simulated, "phantoms": Phantoms, "kspace": KSpace, "scenes": Scenes, "pictures": Pictures,
}


@dataclass(frozen=True)
class MethodConfig:
    """One column of the comparison: exactly one of `baseline`, `method` and `fill`.

    Args:
        baseline: a class of `medrestore.baselines`, `RSS`, or for pictures `PseudoInverse`.
        weights: folder of a trained baseline.
        method: a diffusion method, as the command line names it.
        fill: of scenes: without a prior.
        options: hyper-parameters of the baseline or the method.
        tune: hyper-parameters to be chosen on the validation cases, each with the values to try.
        prior: folder or name; null for the shipped one of this kind of image.
        steps, samples, batch_size, ladder, sigma_max, start_sigma, spectral_gb: as `recon.Plan`.
        bf16: bfloat16 inside the network.
        uncertainty: also measure how well the spread of the samples tells the error.
        travel, noise_std, window, shift, factor, warm_start, grow, temporal_fill, feather: of scenes, as
            `inpainting.Plan`.
    """

    baseline: str | None = None
    weights: str | None = None
    method: str | None = None
    fill: Literal["none", "mean", "smooth", "biharmonic", "telea", "navier-stokes"] | None = None
    options: dict[str, Any] = field(default_factory=dict)
    tune: dict[str, tuple[float | None, ...]] = field(default_factory=dict)
    prior: str | None = None
    steps: int = 25
    samples: int = 1
    batch_size: int = 8
    ladder: Literal["karras", "ddpm", "quadratic"] = "karras"
    sigma_max: float | None = None
    start_sigma: float | None = None
    spectral_gb: float = 1.0
    bf16: bool = True
    uncertainty: bool = False
    travel: tuple[int, int] = (1, 1)
    noise_std: float = 0.0
    window: int | None = None
    shift: int | None = None
    factor: int | Literal["auto"] = "auto"
    warm_start: float | None = None
    grow: int = 0
    temporal_fill: bool = True
    feather: int = 2


OF_SCENES = ("travel", "noise_std", "window", "shift", "factor", "warm_start", "grow", "temporal_fill",
             "feather", "fill")
NOT_OF = {PICTURES: ("start_sigma", "spectral_gb", "uncertainty"), SCENES: ("ladder", "spectral_gb", "uncertainty")}
OF_DIFFUSION = ("prior", "steps", "samples", "batch_size", "ladder", "sigma_max", "start_sigma", "spectral_gb", "bf16",
                "uncertainty", *(name for name in OF_SCENES if name != "fill"))


@dataclass(frozen=True)
class Config:
    """A study: data x settings x methods x seeds.

    Args:
        name: of the study, in its report.
        protocol: how outputs are scored (`evaluation.protocols`).
        data: what is tested on.
        validation: what methods are tuned on; shares no patient with `data`.
        settings: samplings or degradations, each a row of the tables; none for scenes.
        methods: by the label that tables show.
        seeds: each draws masks, noise and samples anew.
        against: label of the method that the others are tested against; null for the last.
        pictures: how many cases have their images kept for the report.
        threads: of each task.
        cache: folder of coil maps; null for `cache` in the output.
        lpips: files with the weights of LPIPS; none: it is not computed.
    """

    protocol: Literal["fastmri", "fastmri-slice", "complex", "natural", "dreaming-corrected", "dreaming-official"]
    data: Source
    methods: dict[str, MethodConfig]
    name: str = "study"
    validation: Source | None = None
    settings: tuple[Undersample | Degrade, ...] = ()
    seeds: tuple[int, ...] = (0,)
    against: str | None = None
    pictures: int = 2
    threads: int = 1
    cache: str | None = None
    lpips: tuple[str, ...] = ()


def read(given: Mapping[str, Any], source: str) -> Config:
    """The study that a mapping describes; `source` is named in complaints.

    Raises:
        InputError: an unknown key, a value of another type, or one that makes no sense.
    """
    known = {one.name for one in fields(Config)}
    for key in given:
        if key not in known:
            raise InputError(f"{source}: {key} is no option; {suggested('', key, known)}")
    rest = dict(given)
    sources = {key: _source(rest.pop(key), source, key) for key in ("data", "validation") if rest.get(key) is not None}
    if "data" not in sources:
        raise InputError(f"{source}: data is missing")
    made = build(_Rest, {key: value for key, value in rest.items() if key not in ("data", "validation", "settings")}, source)
    pictures = isinstance(sources["data"], Pictures)
    settings = rest.get("settings") or ()
    if not isinstance(settings, (list, tuple)):
        raise InputError(f"{source}: settings must be a list, got {settings!r}")
    kind = Degrade if pictures else Undersample
    listed = tuple(build(kind, one, source, f"settings[{at}]") for at, one in enumerate(settings))
    values = {one.name: getattr(made, one.name) for one in fields(_Rest)}
    config = Config(**values, **sources, settings=listed)
    _check(config, given, source)
    return config


@dataclass(frozen=True)
class _Rest:
    """The part of a config whose types do not depend on the kind of data."""

    protocol: Literal["fastmri", "fastmri-slice", "complex", "natural", "dreaming-corrected", "dreaming-official"]
    methods: dict[str, MethodConfig]
    name: str = "study"
    seeds: tuple[int, ...] = (0,)
    against: str | None = None
    pictures: int = 2
    threads: int = 1
    cache: str | None = None
    lpips: tuple[str, ...] = ()


def as_plain(config: Config) -> dict[str, Any]:
    """The study as plain data, which `read` takes again; what was left at its default is left out of the methods."""
    names = {kind: name for name, kind in SOURCES.items()}
    out = plain(config)
    for key in ("data", "validation"):
        if (source := getattr(config, key)) is not None:
            out[key] = {"kind": names[type(source)], **out[key]}
    out["methods"] = {label: given(one) for label, one in config.methods.items()}
    return out


def given(method: MethodConfig) -> dict[str, Any]:
    """What a method has beyond the defaults, as plain data."""
    default = plain(MethodConfig())
    return {key: value for key, value in plain(method).items() if value != default[key]}


def _source(given: Any, source: str, key: str) -> Source:
    if not isinstance(given, Mapping) or given.get("kind") not in SOURCES:
        kind = given.get("kind") if isinstance(given, Mapping) else given
        raise InputError(f"{source}: {key}.kind must be one of {', '.join(SOURCES)}, got {kind!r}")
    return build(SOURCES[given["kind"]], {name: value for name, value in given.items() if name != "kind"}, source, key)


def _check(config: Config, given: Mapping[str, Any], source: str) -> None:
    """Refuses what does not go together."""
    family = _family(config, source)
    for name in ("pictures", "threads"):
        if getattr(config, name) < (name == "threads"):
            raise InputError(f"{source}: {name} must be at least {int(name == 'threads')}, got {getattr(config, name)}")
    if not config.seeds or min(config.seeds) < 0 or len(set(config.seeds)) < len(config.seeds):
        raise InputError(f"{source}: seeds must be different numbers of at least 0, got {list(config.seeds)}")
    if not config.methods:
        raise InputError(f"{source}: methods is empty; name at least one")
    if bool(config.settings) == (family is SCENES):
        raise InputError(f"{source}: settings {'has no meaning for scenes; leave it out' if config.settings else 'is empty'}")
    names = [setting.name for setting in config.settings]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"{source}: two settings are called {twice!r}; give each a label")
    if config.against is not None and config.against not in config.methods:
        raise InputError(f"{source}: against is {config.against!r}, which is no method; "
                         f"{suggested('', config.against, config.methods)}")
    for label, one in config.methods.items():
        _check_method(one, given["methods"][label], family, config, source, dotted("methods", label))
    for at, setting in enumerate(config.settings):
        _check_setting(setting, source, f"settings[{at}]")
    for key in ("data", "validation"):
        _check_source(getattr(config, key), source, key)


def _family(config: Config, source: str) -> tuple[str, ...]:
    """The protocols that suit the data."""
    family = SCENES if isinstance(config.data, Scenes) else PICTURES if isinstance(config.data, Pictures) else MRI
    if config.protocol not in family:
        raise InputError(f"{source}: protocol {config.protocol} does not score this data; take {' or '.join(family)}")
    for kind in (Scenes, Pictures):
        if config.validation is not None and isinstance(config.data, kind) != isinstance(config.validation, kind):
            raise InputError(f"{source}: validation is of another kind than data; what is tuned there tells nothing here")
    return family


def _check_method(one: MethodConfig, given: Mapping[str, Any], family: tuple[str, ...], config: Config, source: str,
                  where: str) -> None:
    chosen = [name for name in ("baseline", "method", "fill") if getattr(one, name) is not None]
    if len(chosen) != 1:
        raise InputError(f"{source}: {where} needs exactly one of baseline, method and fill, got {', '.join(chosen) or 'none'}")
    wrong = [key for key in given if (key in OF_SCENES and family is not SCENES)
             or (key in OF_DIFFUSION and one.method is None) or (key == "baseline" and family is SCENES)
             or (key == "weights" and one.baseline is None) or key in NOT_OF.get(family, ())]
    if wrong:
        raise InputError(f"{source}: {where}.{wrong[0]} has no meaning for a {chosen[0]} of this kind of data; leave it out")
    for name, least in (("steps", 2), ("samples", 1), ("batch_size", 1)):
        if getattr(one, name) < least:
            raise InputError(f"{source}: {where}.{name} must be at least {least}, got {getattr(one, name)}")
    for name in ("sigma_max", "start_sigma", "warm_start"):
        if (level := getattr(one, name)) is not None and level <= 0:
            raise InputError(f"{source}: {where}.{name} must be positive, got {level:g}")
    if family is PICTURES and one.ladder != "karras" and one.sigma_max is None:
        raise InputError(f"{source}: {where}.ladder needs sigma_max, the noise level to begin at")
    if one.uncertainty and one.samples < 2:
        raise InputError(f"{source}: {where}.uncertainty needs samples of at least 2, got {one.samples}")
    empty = next((key for key, values in one.tune.items() if not values), None)
    if empty is not None:
        raise InputError(f"{source}: {where}.tune.{empty} has no values to try")
    if one.tune and config.validation is None:
        raise InputError(f"{source}: {where} has tune, which needs validation: cases that are not tested on")


def _check_setting(setting: Undersample | Degrade, source: str, where: str) -> None:
    from ..mri.sampling import KINDS

    if isinstance(setting, Undersample):
        if setting.kind not in KINDS:
            raise InputError(f"{source}: {where}.kind is {setting.kind!r}; {suggested('', setting.kind, KINDS)}")
        if setting.accel < 1:
            raise InputError(f"{source}: {where}.accel must be at least 1, got {setting.accel:g}")
        return
    if setting.kind == "inpainting" and (setting.keep is None) == (setting.box is None):
        raise InputError(f"{source}: {where} needs one of keep (a share of the pixels) and box (pixels)")
    if setting.box is not None and setting.box < 1:
        raise InputError(f"{source}: {where}.box must be at least 1, got {setting.box}")
    if setting.factor < 2 or setting.std <= 0 or setting.noise_std < 0 or not 0 < (setting.keep or 0.5) < 1:
        raise InputError(f"{source}: {where}: factor must be at least 2, std positive, noise_std at least 0, "
                         "keep between 0 and 1")


def _check_source(one: Source | None, source: str, key: str) -> None:
    if isinstance(one, KSpace) and bool(one.files) == (one.folder is not None):
        raise InputError(f"{source}: {key} needs one of folder and files")
    if isinstance(one, KSpace) and one.split is not None and one.folder is None:
        raise InputError(f"{source}: {key}.split needs folder, that of the fastMRI download")
    if isinstance(one, Scenes) and one.folder is None and one.wanted is None:
        raise InputError(f"{source}: {key} needs folder (DREAMING), or scenes [first, last) or numbers to render")
    if isinstance(one, Simulated) and not 0 <= one.subjects[0] < one.subjects[1]:
        raise InputError(f"{source}: {key}.subjects must be [first, last), got {list(one.subjects)}")
    if isinstance(one, (Simulated, Phantoms)) and one.coils < 1:
        raise InputError(f"{source}: {key}.coils must be at least 1, got {one.coils}")
    if isinstance(one, Phantoms) and one.count < 1:
        raise InputError(f"{source}: {key}.count must be at least 1, got {one.count}")
