"""What to do with each of many inputs: a plan and the prior that it names, loaded once."""

import logging
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import Any, Generic, Protocol, Self, TypeVar

import torch
from torch import Tensor

from . import shipped
from .conditions import Conditions
from .errors import InputError
from .machine import PriorMachine
from .priors import Prior, classifier_store, opened
from .priors.store import describe
from .settings import Privacy

LOG = logging.getLogger(__name__)


class PriorPlan(Protocol):
    """A plan that names a prior."""

    @property
    def prior(self) -> str: ...

    @property
    def bf16(self) -> bool: ...


P = TypeVar("P", bound=PriorPlan)
Show = Callable[[int, Mapping[str, Tensor]], None]


def seconds_of(call: Callable[[], object], device: str) -> float:
    """How long a call takes, measured, without what a device does at its first one: it loads its kernels."""
    with torch.no_grad():
        if device != "cpu":
            call()
        started = time.monotonic()
        call()
    return time.monotonic() - started


def made_with(device: str) -> dict[str, str]:
    """What an output was made with, for its record."""
    return {"medrestore": version("medrestore"), "torch": torch.__version__, "device": device}


def chosen_slices(slices: tuple[int, int] | None, count: int, where: object) -> range:
    """Those of `count` slices, first:last+1 of a plan; all for None.

    Raises:
        InputError: `where` has no such slices.
    """
    first, last = (0, count) if slices is None else slices
    if not 0 <= first < last <= count:
        raise InputError(f"{where} has slices 0 to {count - 1}, and `slices` {first}:{last} asks for others")
    return range(first, last)


def about(minutes: float) -> str:
    """A time that is estimated, in words."""
    return "under a minute" if minutes < 1 else f"about {minutes:.0f} min"


@dataclass(frozen=True)
class PriorJob(Generic[P]):
    """A plan with its prior.

    Args:
        plan: all that decides the result.
        prior: the loaded prior; `load` loads the one that the plan names.
        about: what the folder of the prior states of it (`priors.store.describe`), with the sha256 of its weights; empty for
            a prior that was loaded from no file.
        say: called with one line per event, for people.
        progress: `(label, total) -> advance`, for a progress bar.
        show: called with the number of each slice or frame once it is complete, and its images by title: (height, width)
            real, or (height, width, 3) uint8 or float32. None spares what only it needs.
    """

    plan: P
    prior: Prior
    about: Mapping[str, Any] = field(default_factory=dict)
    say: Callable[[str], None] = lambda line: None
    progress: Callable[[str, int], Callable[[], None]] = lambda label, total: lambda: None
    show: Show | None = None

    @classmethod
    def load(cls, plan: P, machine: PriorMachine, **rest: Any) -> Self:
        """The job with the prior that the plan names; `rest` are its other fields.

        Raises:
            InputError: there is no such prior, its files are damaged, or it does not suit the plan.
        """
        about, began = describe(plan.prior), time.monotonic()
        cls.check_described(about, plan)
        prior = cls.loaded(plan, machine)
        LOG.debug("the prior %s was loaded onto %s in %.1f s", plan.prior, machine.place, time.monotonic() - began)
        return cls(cls.settled(plan, prior), prior, about, **{"machine": machine, **rest})

    @classmethod
    def settled(cls, plan: P, prior: Prior) -> P:
        """The plan with what follows from its prior, where it leaves that open."""
        return plan

    @classmethod
    def loaded(cls, plan: P, machine: PriorMachine) -> Prior:
        """The prior that a plan names, told what the plan says of the image."""
        return opened(plan.prior, Conditions.of(plan), device=machine.place, bf16=plan.bf16, compiled=machine.compiled)

    @classmethod
    def check_described(cls, about: Mapping[str, Any], plan: P) -> None:
        """Refuses a prior by what its folder states, before it is loaded."""

    def watched(self, label: str, total: int) -> Self:
        """The job with a progress bar over the images that go through its prior.

        Args:
            label, total: of the bar; further images than `total` do not move it.
        """
        advance = self.progress(label, total)
        left = iter(range(total))

        def seen(images: int) -> None:
            for _ in range(images):
                if next(left, None) is not None:
                    advance()

        return replace(self, prior=self.prior.watched(seen))

    @property
    def prior_name(self) -> str:
        """The prior for people: as the plan names it, or by its class where it was loaded from no file."""
        return self.plan.prior if self.about else type(self.prior).__name__

    def recorded_prior(self, names: Privacy) -> str:
        """The prior as outputs tell it: by its name where it comes with the package, else what is kept of its path."""
        known = self.about and self.plan.prior in shipped.priors()
        return self.plan.prior if known else names.name_of(self.plan.prior)

    @property
    def prior_hash(self) -> str:
        """sha256 of the weights; empty for a prior that was loaded from no file."""
        return str(self.about.get("sha256", ""))

    @property
    def classifier_hash(self) -> str | None:
        """sha256 of the weights of the classifier that guides the prior; None where there is none."""
        classifier = Conditions.of(self.plan).classifier
        return None if classifier is None else str(classifier_store.describe(classifier)["sha256"])

    def prior_key(self) -> list[Any]:
        """What tells prior and program from others, plain data.

        A prior that was loaded from no file cannot be told from another: each call gives another key.
        """
        about = {name: value for name, value in self.about.items() if name != "card"} or uuid.uuid4().hex
        classifier = Conditions.of(self.plan).classifier
        beside = [] if classifier is None else [classifier_store.describe(classifier)]
        return [about, version("medrestore"), *beside]
