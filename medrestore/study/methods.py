"""Methods of a study: solvers built from their configs, checked against the data and the prior before any
work.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from typing import Any, Generic, Protocol, TypeVar

from torch import Tensor

from ..conditions import UNTOLD, Conditions
from ..errors import InputError
from ..files import digest, digest_of
from ..methods import Method
from ..priors import Prior, WrappedPrior, classifier_store, opened
from ..priors.network_files import CONFIG
from ..priors.store import describe, find
from ..settings import FieldError, dotted
from .config import Config, Diffusion, MethodConfig, Values
from .sources import Condition

S = TypeVar("S", bound="Solver")
P = TypeVar("P", bound="SamplingPlan")
Facts = dict[str, float | None]
# between the samples of two seeds of a study: sample k of an image adds k to its own
SEEDS_APART = 100_000_007


@dataclass(frozen=True)
class Network:
    """A prior as a study uses it.

    Args:
        prior: folder or name.
        bf16: as the method says.
        sha256: of the weights and of all that decides what the network makes of them.
        conditions: what it is told of every image.
    """

    prior: str
    bf16: bool
    sha256: str
    conditions: Conditions = UNTOLD

    def load(self, device: str) -> "CountedPrior":
        """The prior on a device, loaded once for a process, with a count that begins at 0."""
        return CountedPrior(_opened_once(self.prior, self.conditions, device=device, bf16=self.bf16))


_opened_once = lru_cache(maxsize=2)(opened)


class CountedPrior(WrappedPrior):
    """A prior that counts the images it has denoised."""

    def __init__(self, prior: Prior) -> None:
        super().__init__(prior)
        self.calls = 0

    def __call__(self, x: Tensor, sigma: float) -> Tensor:
        self.calls += len(x)
        return self.prior(x, sigma)


class Solver:
    """A method ready to restore one kind of data: plain data that travels to any worker."""

    @property
    def settings(self) -> object:
        """The plan that it works by, a dataclass of plain data; None for methods without one."""
        return None

    @property
    def prior_network(self) -> Network | None:
        """The prior it calls, None for methods without one."""
        return None

    @property
    def weights(self) -> str:
        """sha256 of all that was trained; empty where nothing was."""
        return "" if self.prior_network is None else self.prior_network.sha256

    def calls(self, coils: int) -> int:
        """Network calls for an image.

        Args:
            coils: of a scan, which some methods restore one by one.
        """
        return 0

    def serves(self, condition: Condition) -> bool:
        """Whether it can restore from data of this condition."""
        return True

    def field(self, prior: Prior, size: tuple[int, int]) -> tuple[int, int]:
        """(height, width) of what the network sees at once of an image of a size."""
        return size


class SamplingPlan(Protocol):
    """What studies know of the plan of any diffusion method."""

    @property
    def steps(self) -> int: ...

    @property
    def samples(self) -> int: ...

    @property
    def sampler(self) -> Method: ...

    @property
    def prior(self) -> str: ...

    @property
    def bf16(self) -> bool: ...


@dataclass(frozen=True)
class NetworkSolver(Solver, Generic[P]):
    """A diffusion method.

    Args:
        plan: its hyper-parameters; its seed is the study's.
        network: the prior.
    """

    plan: P
    network: Network

    @property
    def settings(self) -> P:
        return self.plan

    @property
    def prior_network(self) -> Network:
        return self.network

    def calls(self, coils: int) -> int:
        return self.plan.sampler.calls(self.plan.steps, coils) * self.plan.samples

    def seeded(self, seed: int) -> P:
        """The plan with the seeds of a seed of the study."""
        return replace(self.plan, seed=SEEDS_APART * seed)  # type: ignore[type-var]  # plans are dataclasses


@dataclass(frozen=True)
class MethodImage:
    """One image by one method.

    Attributes:
        label: of the method, or of one of its samples.
        image: as the kind of data has it.
        facts: further columns of its row, such as `calls` of the network.
    """

    label: str
    image: Tensor
    facts: Facts


def mean_and_first(label: str, mean: Tensor, samples: Tensor, facts: Facts,
                   of_first: Facts) -> list[MethodImage]:
    """The mean of the samples and, where there are several, the first of them."""
    restored = [MethodImage(label, mean, facts)]
    if len(samples) > 1:
        restored.append(MethodImage(f"{label}, one sample", samples[0], of_first))
    return restored


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


def method_recipe(label: str, config: MethodConfig, protocol: str, make: SolverMaker, source: str) -> Recipe[Any]:
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
    except FieldError as error:
        if error.source == source:
            raise
        raise FieldError(source, dotted(where, error.field), error.what) from error
    except InputError as error:
        text = str(error)
        raise InputError(text if text.startswith(f"{source}: ") else f"{source}: {where}: {text}") from error


def build_all(config: Config, make: SolverMaker, source: str) -> Candidates:
    """Every method by label, with each candidate of its tuning.

    Raises:
        InputError: the first that cannot be built.
    """
    return {label: [(chosen, method_recipe(label, one, config.protocol, make, source)) for chosen, one in method.candidates()]
            for label, method in config.methods.items()}


def planned(kind: type[P], config: Diffusion, check: Callable[[Mapping[str, Any], str], None],
            fits: Callable[[P, Prior], None],
            **further: Any) -> tuple[P, Network]:
    """The plan and the network of a config, checked against one another.

    Args:
        check, further: as `network_of` and `plan_of`.
        fits: refuses a plan that does not suit its prior.

    Raises:
        InputError: as `plan_of`, `network_of` and `fits`; weights that are not those of their hash.
    """
    plan = plan_of(kind, config, **further)
    network = network_of(plan.prior, plan.bf16, check, Conditions.of(plan))
    fits(plan, network.load("cpu"))
    return plan, network


def plan_of(kind: type[P], config: Diffusion, **further: Any) -> P:
    """The plan of a config: fields of the same names, those that are None at the plan's default.

    Args:
        further: fields of the plan that the config has by other names.

    Raises:
        InputError: an unknown method or option, a value out of bounds.
    """
    names = {one.name for one in fields(kind)} & {one.name for one in fields(config)}  # type: ignore[arg-type]
    given = {name: getattr(config, name) for name in sorted(names)} | further
    return kind(**{name: value for name, value in given.items() if value is not None})


def network_of(prior: str, bf16: bool, check: Callable[[Mapping[str, Any], str], None],
               conditions: Conditions = UNTOLD) -> Network:
    """The prior of a method, after its description was checked.

    Args:
        prior: folder or name.
        bf16: as the method says.
        check: refuses a description (`priors.store.describe`) that does not suit the data; its second
            argument is the name.
        conditions: what the prior is told of every image.

    Raises:
        InputError: no such prior, or one that does not suit the data.
    """
    about = describe(prior)
    check(about, prior)
    decides = [about.get(key) for key in ("sha256", "parametrisation", "recipe", "channels", "multiple", "size")]
    decides += [about["classes"]] if "classes" in about else []
    decides += [] if conditions.classifier is None else [classifier_store.describe(conditions.classifier)["digest"]]
    return Network(prior, bf16, digest_of([*decides, digest(find(prior) / CONFIG)]), conditions)
