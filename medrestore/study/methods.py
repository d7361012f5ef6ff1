"""Methods of a study: solvers built from their configs, checked against the data and the prior before any work."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, Generic, TypeVar

from torch import Tensor

from .. import levels
from ..errors import InputError
from ..files import digest, digest_of
from ..methods import METHODS
from ..priors import Prior, load
from ..priors.store import CONFIG, describe, find
from .config import Config, Diffusion, MethodConfig, Values
from .sources import Condition

S = TypeVar("S", bound="Solver")
P = TypeVar("P")
SEEDS_APART = 100_000_007  # between the samples of two seeds of a study: sample k of an image adds k to its own


@dataclass(frozen=True)
class Network:
    """A prior as a study uses it.

    Args:
        prior: folder or name.
        bf16: bfloat16 inside the network.
        sha256: of the weights and of all that decides what the network makes of them.
    """

    prior: str
    bf16: bool
    sha256: str

    def load(self, device: str) -> "CountedPrior":
        """The prior on a device, loaded once for a process, with a count that begins at 0."""
        return CountedPrior(_loaded(self.prior, device, self.bf16))


@lru_cache(maxsize=2)
def _loaded(prior: str, device: str, bf16: bool) -> Prior:
    return load(prior, device=device, bf16=bf16)


class CountedPrior(Prior):
    """A prior that counts the images it has denoised."""

    def __init__(self, prior: Prior) -> None:
        self.prior, self.calls = prior, 0
        self.channels, self.multiple, self.size = prior.channels, prior.multiple, prior.size
        self.recipe, self.sigma_range = prior.recipe, prior.sigma_range

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        self.calls += len(x)
        return self.prior(x, sigma)


class Solver:
    """A method ready to restore one kind of data: plain data that travels to any worker."""

    @property
    def prior_network(self) -> Network | None:
        """The prior it calls, None for methods without one."""
        return None

    @property
    def weights(self) -> str:
        """sha256 of all that was trained; empty where nothing was."""
        return "" if self.prior_network is None else self.prior_network.sha256

    @property
    def calls(self) -> int:
        """Network calls for an image."""
        return 0

    def serves(self, condition: Condition) -> bool:
        """Whether it can restore from data of this condition."""
        return True

    def field(self, prior: Prior, size: tuple[int, int]) -> tuple[int, int]:
        """(height, width) of what the network sees at once of an image of a size."""
        return size


@dataclass(frozen=True)
class Recipe(Generic[S]):
    """One method with its hyper-parameters settled.

    Attributes:
        label: in tables.
        config: with what was tuned in its options.
        solver: built from the config.
    """

    label: str
    config: MethodConfig
    solver: S


SolverMaker = Callable[[Any, str, str, str], Solver]
"""(config of a method, protocol, file of the study, dotted key of the method) to its solver; raises InputError."""
Candidates = dict[str, list[tuple[Values, Recipe[Any]]]]  # by label, with what was chosen for each


def recipe(label: str, config: MethodConfig, protocol: str, make: SolverMaker, source: str) -> Recipe[Any]:
    """The method of a config.

    Args:
        make: builds the solver for this kind of data.
        source: the file of the study; complaints begin with it and the key.

    Raises:
        InputError: an unknown name or option, weights or a prior that are missing or do not suit the data.
    """
    where = f"methods.{label}"
    try:
        return Recipe(label, config, make(config, protocol, source, where))
    except InputError as error:
        text = str(error)
        raise InputError(text if text.startswith(f"{source}: ") else f"{source}: {where}: {text}") from error


def build_all(config: Config, make: SolverMaker, source: str) -> Candidates:
    """Every method by label, with each candidate of its tuning.

    Raises:
        InputError: the first that cannot be built.
    """
    return {label: [(chosen, recipe(label, one, config.protocol, make, source)) for chosen, one in method.candidates()]
            for label, method in config.methods.items()}


def plan_of(kind: type[P], config: Diffusion, source: str, where: str) -> P:
    """The plan of a config: fields of the same names, those that are None at the plan's default.

    Raises:
        InputError: an unknown method or option, a value out of bounds.
    """
    names = {one.name for one in fields(kind)} & {one.name for one in fields(config)}  # type: ignore[arg-type]
    given: dict[str, Any] = {name: value for name in names if (value := getattr(config, name)) is not None}
    given["method"] = METHODS.build(config.method, config.options, source, f"{where}.options")
    if "ladder" in given:
        given["ladder"] = getattr(levels, given["ladder"])
    return kind(**given)


def network_of(config: Diffusion, shipped: str, check: Callable[[Mapping[str, Any], str], None]) -> Network:
    """The prior of a config, after its description was checked.

    Args:
        shipped: name of the prior to take when the config names none.
        check: refuses a description (`priors.store.describe`) that does not suit the data; its second argument is the name.

    Raises:
        InputError: no such prior, or one that does not suit the data.
    """
    prior = config.prior or shipped
    about = describe(prior)
    check(about, prior)
    decides = [about.get(key) for key in ("sha256", "parametrisation", "recipe", "channels", "multiple", "size")]
    return Network(prior, config.bf16, digest_of([*decides, digest(find(prior) / CONFIG)]))


def check_samples(samples: int, draws: bool, method: str) -> None:
    """Refuses several samples of a method that draws none."""
    if samples > 1 and not draws:
        raise InputError(f"{method} estimates the mean and draws no samples; take samples: 1, or a method that draws them, "
                         "such as dds")
