"""The weight of the data for one scan: the one with which samples that were held out are predicted best."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from ..priors import Prior
from .classical import PENALTIES
from .held_out import error, parts
from .plan import Plan
from .prepared import Prepared

WEIGHTS = (0.0625, 0.125, 0.25, 0.5, 1.0, 2.0, 4.0)  # lam: larger is less trust in the data
BETTER = 0.98  # of the error at the method's own weight, below which that of another must be: less is chance
FOLDS = 2  # times that samples are held out
CALLS = 12  # of the network for each fold and weight: the best weight hardly depends on their number
MOST = 3  # times the network calls of one slice that the search may make
WANTED, LEAST = 5, 3  # weights to try: with fewer calls one fold does, and with fewer still there is no search


@dataclass(frozen=True)
class Choice:
    """A weight and why.

    Attributes:
        weight: lam of the method; None where the plan or the method gives it, or nothing could be held out.
        errors: |predicted - measured| / |measured| of held-out samples, squared, mean over the folds, by weight.
    """

    weight: float | None = None
    errors: dict[float, float] = field(default_factory=dict)

    def of(self, plan: Plan) -> Plan:
        """The plan with this weight."""
        return plan if self.weight is None else replace(plan, weight=self.weight)


def chosen_weight(prepared: Prepared, prior: Prior, plan: Plan, *, on_call: Callable[[], None] = lambda: None) -> Choice:
    """The weight for a volume, from one of its slices; the same for the same data and plan.

    The slice is restored from fewer samples with a few weights. The error of the samples left out has one minimum, which is
    followed downhill from the method's own weight; that one stays unless the error falls by more than chance, and below that of
    an empty image, towards which a large penalty leads where nothing can be predicted.

    Args:
        prepared: a slice in the middle of the volume.
        on_call: called after each joint call of the network, or each reconstruction by a classical method.
    """
    search = Search.of(plan, prior)
    held_back = [] if search is None else parts(prepared.sense, plan.seed, search.folds)
    if search is None or not held_back or (prepared.problem.exact is True and not plan.is_classical):
        return Choice()
    errors: dict[int, float] = {}
    own, known = plan.own_weight or 1.0, search.choices
    first = min(range(len(known)), key=lambda index: abs(np.log(known[index] / own)))
    following: int | None = first
    while following is not None and len(errors) < search.weights:
        errors[following] = error(prepared, prior, _trial(plan, search, known[following]), held_back, on_call)
        best = min(errors, key=errors.__getitem__)
        beside = [index for index in (best - 1, best + 1) if 0 <= index < len(known) and index not in errors]
        following = beside[0] if beside else None
    if errors[best] > BETTER * min(errors[first], 1.0):  # an empty image has 1: below that nothing was predicted
        best = first
    return Choice(known[best], {known[index]: errors[index] for index in sorted(errors)})


def _trial(plan: Plan, search: "Search", weight: float) -> Plan:
    """The plan with a weight, made cheaper."""
    if plan.is_classical:
        return replace(plan, weight=weight, options={"iterations": PENALTIES[plan.method].iterations, **plan.options})
    return replace(plan, samples=1, steps=search.calls, start_sigma=None, weight=weight)


@dataclass(frozen=True)
class Search:
    """What a search may cost.

    Attributes:
        folds: times that samples are held out.
        calls: of the network for each fold and weight; 1 for a classical method, which is one reconstruction.
        weights: most that are tried.
        choices: the weights, rising.
        unit: what is counted, in words.
    """

    folds: int
    calls: int
    weights: int
    choices: tuple[float, ...] = WEIGHTS
    unit: str = "network calls"

    @classmethod
    def of(cls, plan: Plan, prior: Prior) -> "Search | None":
        """The search of a plan, no longer than three slices take; None where there is nothing to choose."""
        if not plan.searched:
            return None
        if plan.is_classical:  # of a third to all of the method's own iterations
            return cls(FOLDS, 1, WANTED, PENALTIES[plan.method].weights, "short reconstructions")
        allowed = MOST * plan.passes(prior)
        calls = max(1, min(CALLS, plan.steps - 1))
        folds = FOLDS if allowed >= FOLDS * calls * WANTED else 1
        weights = min(len(WEIGHTS), allowed // (folds * calls))
        return cls(folds, calls, weights) if weights >= LEAST else None

    @property
    def total(self) -> int:
        """Most network calls, or reconstructions, of all."""
        return self.folds * self.calls * self.weights
