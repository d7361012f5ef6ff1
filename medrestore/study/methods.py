"""Methods of a study: built from their configs, held against the data, the prior and the setting before any work."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from itertools import product
from typing import Any

from torch import Tensor

from .. import baselines
from ..baselines import weights as trained
from ..errors import InputError
from ..inpainting.frame import check_inpaint_plan, check_rgb
from ..inpainting.plan import Plan as InpaintPlan
from ..methods import Method
from ..mri.sampling import KINDS
from ..operators import SpectralOperator
from ..priors import Prior, WrappedPrior, load
from ..priors.store import CONFIG, describe, find
from ..recon.files import fingerprint
from ..recon.plan import Plan
from ..recon.preparation import check_prior
from ..settings import build, suggested
from .cases import digest
from .config import MRI, SCENES, Config, MethodConfig, Setting, Undersample, given
from .fills import check_fill

Maker = Callable[[str, Mapping[str, Any]], Method]  # name and hyper-parameters to a method
CLASSICAL = ("ZeroFilled", "CGSense", "TotalVariation", "L1Wavelet", "DeepImagePrior")
TRAINED = {"UNet": "unet", "VarNet": "varnet"}
OF_PICTURES = ("PseudoInverse",)
ROOT_SUM = ("RSS", "RootSumOfSquares")
SHIPPED = {"mri": "brain-mr-starter", "rgb": "surgical-starter"}


@dataclass(frozen=True)
class Recipe:
    """One method with its hyper-parameters settled.

    Attributes:
        label: in tables.
        config: as given, with what was tuned in its options.
        made: the baseline or plan; None for trained baselines, fills and what needs no class.
        prior: folder or name, None without.
        hash: sha256 of the trained weights and what belongs to them, empty without.
    """

    label: str
    config: MethodConfig
    made: Any
    prior: str | None
    hash: str

    @property
    def spectral(self) -> bool:
        """Whether it is given the exact spectrum of the operator, where there is one."""
        return isinstance(self.made, Plan)

    @property
    def decides(self) -> list[Any]:
        """All of it that decides the numbers, as plain data."""
        return [self.label, {**given(self.config), "tune": {}}, self.prior, self.hash]


def recipe(label: str, config: MethodConfig, protocol: str, make: Maker, source: str) -> Recipe:
    """The method of a config.

    Args:
        make: builds a diffusion method of a name.
        source: the file of the study; complaints name it and the key.

    Raises:
        InputError: an unknown name or option, weights or a prior that are not there or do not suit the data.
    """
    where = f"methods.{label}"
    try:
        if config.fill is not None:
            check_fill(config.fill)
            return Recipe(label, config, None, None, "")
        if config.baseline is not None:
            return _baseline(label, config, protocol, source, where)
        return _diffusion(label, config, protocol, make)
    except InputError as error:
        text = str(error).replace("--options.", "options.").replace("--", "")
        raise InputError(text if text.startswith(f"{source}: ") else f"{source}: {where}: {text}") from error


def _baseline(label: str, config: MethodConfig, protocol: str, source: str, where: str) -> Recipe:
    name = config.baseline
    known = (*CLASSICAL, *TRAINED, *(ROOT_SUM if protocol != "complex" else ())) if protocol in MRI else OF_PICTURES
    if name in ROOT_SUM and protocol == "complex":
        raise InputError(f"{name} has no phase, and the protocol complex scores it; leave it out")
    if name not in known:
        raise InputError(f"there is no baseline {name!r} for this data; {suggested('', name, known)}")
    if (config.weights is not None) != (name in TRAINED):
        raise InputError(f"{name} {'needs weights, the folder of a trained one' if name in TRAINED else 'takes no weights'}")
    if name in TRAINED:
        about = trained.describe(config.weights)
        if about["kind"] != TRAINED[name]:
            raise InputError(f"{config.weights} holds a trained {about['kind']}, not a {name}")
        return Recipe(label, config, None, None, about["sha256"] + digest(about["arguments"]))
    if name not in CLASSICAL:
        if config.options:
            raise InputError(f"{name} has no options")
        return Recipe(label, config, None, None, "")
    made = build(getattr(baselines, name), config.options, source, f"{where}.options")
    return Recipe(label, config, made, None, "")


def _diffusion(label: str, config: MethodConfig, protocol: str, make: Maker) -> Recipe:
    method = make(str(config.method), config.options)
    prior = config.prior or SHIPPED["mri" if protocol in MRI else "rgb"]
    about = describe(prior)
    if protocol in MRI:
        check_prior(about["channels"], prior)
    else:
        check_rgb(about["channels"], (about["recipe"] or {}).get("kind") == "interval", prior)
    if config.samples > 1 and not method.draws:
        raise InputError(f"{config.method} estimates the mean and draws no samples; take samples: 1, or a method that draws "
                         "them, such as dds")
    plan = _inpaint_plan(config, method) if protocol in SCENES else _plan(config, method)
    _check_levels(config, plan, loaded(prior, "cpu", config.bf16))  # whose weights are held to their hash there
    told = [about.get(key) for key in ("sha256", "parametrisation", "recipe", "channels", "multiple", "size")]
    held = digest([*told, fingerprint(find(prior) / CONFIG)])
    return Recipe(label, config, plan, prior, held)


def _plan(config: MethodConfig, method: Method) -> Plan:
    level = {} if config.sigma_max is None else {"sigma_max": config.sigma_max}
    return Plan(method=method, steps=config.steps, ladder=config.ladder, samples=config.samples,
                start_sigma=config.start_sigma, spectral_gb=config.spectral_gb, batch_size=config.batch_size, **level)


def _inpaint_plan(config: MethodConfig, method: Method) -> InpaintPlan:
    names = {one.name for one in fields(InpaintPlan)} & {one.name for one in fields(MethodConfig)} - {"method", "options"}
    length, repeat = config.travel
    return InpaintPlan(method=method, travel_length=length, travel_repeat=repeat,
                       **{name: value for name in names if (value := getattr(config, name)) is not None})


def _check_levels(config: MethodConfig, plan: Plan | InpaintPlan, prior: Prior) -> None:
    """Refuses noise levels that the prior does not know."""
    if isinstance(plan, InpaintPlan):
        check_inpaint_plan(plan, prior)
        return
    low, high = prior.sigma_range
    if config.sigma_max is not None and config.sigma_max <= max(low, 1e-3):
        raise InputError(f"sigma_max {config.sigma_max:g} is not above the least noise level of the prior, {max(low, 1e-3):g}")
    if config.start_sigma is not None and not low < config.start_sigma <= high:
        raise InputError(f"start_sigma {config.start_sigma:g} is outside the noise levels of the prior, {low:g} to {high:g}")


def serves(one: Recipe, setting: Setting) -> bool:
    """Whether a method can serve a setting: spectral methods need a mask along one axis."""
    needs = one.made.sampler.needs if isinstance(one.made, Plan) else None
    both = isinstance(setting, Undersample) and KINDS[setting.kind][1] == 2
    return not (both and needs is not None and issubclass(needs, SpectralOperator))


def candidates(config: MethodConfig) -> list[tuple[dict[str, float | None], MethodConfig]]:
    """Every combination of what is to be tuned, with the config that has it; one, empty, when nothing is."""
    names = list(config.tune)
    return [(chosen, settled(config, chosen))
            for values in product(*config.tune.values()) for chosen in [dict(zip(names, values, strict=True))]]


def settled(config: MethodConfig, chosen: Mapping[str, float | None]) -> MethodConfig:
    """The config with hyper-parameters chosen."""
    return replace(config, options={**config.options, **chosen}, tune={})


def build_all(config: Config, make: Maker, source: str) -> dict[str, list[tuple[dict[str, float | None], Recipe]]]:
    """Every method by label, with each candidate of its tuning.

    Raises:
        InputError: the first that cannot be built.
    """
    return {label: [(chosen, recipe(label, one, config.protocol, make, source)) for chosen, one in candidates(method)]
            for label, method in config.methods.items()}


@lru_cache(maxsize=2)
def loaded(prior: str, device: str, bf16: bool) -> Prior:
    """A prior, kept by the process."""
    return load(prior, device=device, bf16=bf16)


@lru_cache(maxsize=4)
def loaded_baseline(folder: str, device: str) -> baselines.Baseline:
    """A trained baseline, kept by the process."""
    return trained.load(folder, device=device)


class Counted(WrappedPrior):
    """A prior that counts the images it has denoised."""

    def __init__(self, prior: Prior) -> None:
        super().__init__(prior)
        self.calls = 0

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        self.calls += len(x)
        return self.prior(x, sigma)
